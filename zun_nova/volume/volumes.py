# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Brings volumes to servers and takes them away.

The container of each server mounts a directory of the host, with all that is
mounted in it when the container starts. So volumes are mounted there before
that; and what comes later is brought into the running container beside.

Every step may be interrupted by the death of nova-compute and done again.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import errno
import os
import stat
from typing import Any

from nova.virt import driver as nova_driver
from oslo_concurrency import lockutils
from oslo_concurrency import processutils
from oslo_log import log as logging
from oslo_privsep import comm
from oslo_privsep import daemon

from zun_nova import errors
from zun_nova.virt import flavor_config
from zun_nova.virt import identity
from zun_nova.virt import locks
from zun_nova.virt import spec
from zun_nova.virt.runtime import base
from zun_nova.volume import brick
from zun_nova.volume import filesystem
from zun_nova.volume import model
from zun_nova.volume import places
from zun_nova.volume import privileged

LOG = logging.getLogger(__name__)

#: Between a share that is mounted for a volume and the record of that volume.
_SHARES = 'zun-nova-shares'
_DAMAGED = (errno.EUCLEAN, errno.EINVAL, errno.EIO)


class Volumes:
    """Those of the servers of one compute service.

    :param conf: ConfigOpts.
    """

    def __init__(self, runtime: base.Runtime, conf: Any, host: str) -> None:
        self._runtime = runtime
        self._conf = conf
        self._places = places.Places(conf, host)
        self._brick = brick.Brick(conf, host, str(self._places.shares.absolute()))

    def connector(self) -> dict[str, Any]:
        """What Cinder must know of this host."""
        return self._brick.properties()

    def mounts(self, instance: Any) -> tuple[spec.Mount, ...]:
        """What the server's container mounts, to see volumes now or later."""
        if not self._conf.zun_nova.volumes:
            return ()
        # Its tenant must not fill the host's disk here; volumes in it can be written.
        return (spec.Mount(self._places.make(str(instance.uuid)), places.INSIDE,
                           read_only=True, recursive=False),)

    @contextlib.contextmanager
    def connected(self, instance: Any, block_device_info: Any) -> Iterator[None]:
        """Around the making or the start of the server: its volumes are there before that.

        :raises errors.VolumeError: one cannot be had.
        """
        connections = _connections(block_device_info)
        for each in connections:
            model.check(each)
        if connections:
            self._refuse(flavor_config.from_extra_specs(
                instance.flavor.extra_specs).runtime or self._conf.zun_nova.default_runtime)
        with locks.volumes(instance):
            for each in connections:
                self._mount(str(instance.uuid), each)
            yield
            if connections:
                # They are, unless the engine does not see this host's new mounts.
                self._bring_in(instance, [each.volume_id for each in connections])

    def attach(self, instance: Any, connection_info: Mapping[str, Any]) -> None:
        """Mount one more volume, in a server in whatever state. On failure it is not there.

        :raises errors.NotFound: the server has no container.
        :raises errors.VolumeError: it cannot be had.
        """
        connection = model.of_nova(connection_info)
        model.check(connection)
        uuid = str(instance.uuid)
        with locks.volumes(instance), contextlib.ExitStack() as on_failure:
            container = self._runtime.inspect(identity.container_name(instance))
            self._refuse(container.runtime)
            if not self._places.exist(uuid):
                raise errors.VolumeError(
                    connection.volume_id, 'the server was made before its host could attach '
                    'volumes; rebuild it, or resize it')
            on_failure.callback(self._give_up, instance, connection)
            self._mount(uuid, connection)
            self._bring_in(instance, [connection.volume_id])
            on_failure.pop_all()

    def detach(self, instance: Any, connection_info: Mapping[str, Any]) -> None:
        """Take the volume from the server; may be called again, and when the server is gone.

        :raises errors.VolumeInUse: a process uses it.
        :raises errors.VolumeError: it cannot be let go.
        """
        connection = model.of_nova(connection_info)
        with locks.volumes(instance):
            self._take(str(instance.uuid), connection)

    def disconnect_all(self, instance: Any, block_device_info: Any) -> None:
        """Take all volumes from a server that does not run; its container need not be there.

        :raises errors.VolumeError: of the last that could not be let go; the others are gone.
        """
        failure: errors.VolumeError | None = None
        with locks.volumes(instance):
            for each in _connections(block_device_info):
                try:
                    self._take(str(instance.uuid), each)
                except errors.VolumeError as ex:
                    LOG.error('%s', ex, instance=instance)
                    failure = ex
        if failure:
            raise failure

    def clear(self, uuid: str) -> None:
        """Remove the directory of a server that has no volumes any more; may be called again."""
        self._places.remove(uuid)

    def release(self, instance: Any, block_device_info: Any, *, keep: bool) -> None:
        """Leave nothing of a server that was destroyed.

        What this fails at is left to :meth:`remove`: the server must go.

        :param keep: its container stays, which mounts the directory.
        """
        uuid = str(instance.uuid)
        with contextlib.suppress(errors.VolumeError):   # it is in the log
            self.disconnect_all(instance, block_device_info)
        # One that is set aside comes back when a resize is reverted.
        if not keep and self._places.exist(uuid) and not self._has(identity.aside_name(uuid)):
            self.remove(uuid)

    def remove(self, uuid: str) -> None:
        """Leave nothing of a server that is gone; what this fails at, the next one does."""
        try:
            for record in self._places.records(uuid):
                # What os-brick connects beside files needs words of Cinder that are not kept.
                self._let_go(uuid, record)
                self._places.forget(uuid, record.volume_id)
                self._release_share(record)
        except errors.VolumeError as ex:
            LOG.warning('Volumes of the server are left here: %s', ex, instance_uuid=uuid)
        self._places.remove(uuid)

    def uuids(self) -> set[str]:
        """The servers that have something here."""
        return self._places.uuids()

    def extend(self, instance: Any, connection_info: Mapping[str, Any], size: int) -> None:
        """Have the file system as large as the volume has become, whether the server runs or not.

        :param size: of the volume, in bytes.
        :raises errors.VolumeError: it is not.
        """
        connection = model.of_nova(connection_info)
        uuid = str(instance.uuid)
        with locks.volumes(instance):
            record = self._places.record(uuid, connection.volume_id)
            if record is None:
                raise errors.VolumeError(connection.volume_id, 'this host does not have it')
            with _asking(connection.volume_id, 'extended'):
                device = self._extended(connection, record)
                if privileged.size(device) < size:
                    raise errors.VolumeError(
                        connection.volume_id, 'its backend does not show its new size here')
                privileged.grow(device, privileged.probe(device),
                                self._places.target(uuid, connection.volume_id))

    def _extended(self, connection: model.Connection, record: places.Record) -> str:
        if _is_device(record.path):
            self._brick.extend(connection)
        else:
            privileged.resize_loop(record.path)
        return self._device(record.path, connection.read_only)

    def _has(self, name: str) -> bool:
        try:
            self._runtime.inspect(name)
        except errors.NotFound:
            return False
        return True

    def _refuse(self, runtime: str | None) -> None:
        """Refuse volumes where servers could not use them.

        :param runtime: of the server's container.
        """
        engine = self._runtime.info()
        sandbox = engine.oci_runtime(runtime).sandbox
        if sandbox:
            raise errors.Unsupported(
                'attach a volume', f'a server in a sandbox of {sandbox} does not see it')
        if engine.remaps_users:
            raise errors.Unsupported(
                'attach a volume', 'the engine of this host maps users, so that all files on it '
                'would be nobody\'s')

    # -- bringing

    def _mount(self, uuid: str, connection: model.Connection) -> None:
        """Have it mounted on the host; nothing to do when it is."""
        volume_id = connection.volume_id
        with lockutils.lock(_SHARES):
            path = self._brick.connect(connection)
            old = self._places.record(uuid, volume_id)
            if old is not None and old.path != path:
                self._let_go(uuid, old)
            self._places.note(uuid, places.Record(volume_id, path, connection.protocol))
        with _asking(volume_id, 'mounted'):
            device = self._device(path, connection.read_only)
            kind = self._filesystem(connection, device)
            privileged.mount(device, kind, self._places.target(uuid, volume_id),
                             connection.read_only)

    @staticmethod
    def _device(path: str, read_only: bool) -> str:
        return path if _is_device(path) else privileged.attach_loop(path, read_only)

    def _filesystem(self, connection: model.Connection, device: str) -> str:
        """The type of what is on it; made when it is empty and may be made."""
        kind = privileged.probe(device)
        if kind in filesystem.KNOWN:
            return kind
        if kind:
            raise errors.VolumeError(
                connection.volume_id, f'what is on it ({kind}) is no file system that servers '
                f'of this host can have; these are {", ".join(filesystem.KNOWN)}')
        if connection.read_only or not self._conf.zun_nova.format_volumes:
            raise errors.VolumeError(
                connection.volume_id, 'it is empty; make a file system on it first')
        kind = filesystem.choose(
            self._conf.zun_nova.volume_filesystem, privileged.size(device))
        LOG.info('Making a file system (%s) on volume %s, which is empty', kind,
                 connection.volume_id)
        privileged.make_filesystem(device, kind)
        return kind

    def _bring_in(self, instance: Any, volume_ids: list[str]) -> None:
        """Have them in the server's container, if it runs."""
        # Looked at after they are mounted: one that starts now will see them.
        container = self._runtime.inspect(identity.container_name(instance))
        if container.pid is None:
            return
        for volume_id in volume_ids:
            with _asking(volume_id, 'mounted in the running server'):
                privileged.bring_in(
                    container.pid, container.id,
                    self._places.target(str(instance.uuid), volume_id),
                    f'{places.INSIDE}/{volume_id}')

    def _give_up(self, instance: Any, connection: model.Connection) -> None:
        try:
            self._take(str(instance.uuid), connection)
        except errors.ZunNovaError:
            # Nova must see why it could not be attached.
            LOG.exception('Could not take the volume back', instance=instance)

    # -- taking away

    def _take(self, uuid: str, connection: model.Connection) -> None:
        record = self._places.record(uuid, connection.volume_id)
        if record is not None:
            self._take_out(uuid, record)
            self._let_go(uuid, record)
        self._brick.disconnect(connection, record.path if record else '')
        if record is not None:
            self._places.forget(uuid, record.volume_id)
            self._release_share(record)

    def _take_out(self, uuid: str, record: places.Record) -> None:
        """Take it out of the containers that run."""
        for name in (identity.name_of(uuid), identity.aside_name(uuid)):
            with contextlib.suppress(errors.NotFound):
                container = self._runtime.inspect(name)
                if container.pid is not None:
                    with _asking(record.volume_id, 'detached'), contextlib.suppress(
                            ProcessLookupError):   # it has just ended
                        privileged.take_out(container.pid, container.id,
                                            self._places.target(uuid, record.volume_id))

    def _let_go(self, uuid: str, record: places.Record) -> None:
        """Have nothing of it on the host, but what os-brick has."""
        with _asking(record.volume_id, 'detached'):
            privileged.unmount(self._places.target(uuid, record.volume_id))
            # What a nested namespace still has of the mount goes with its directory.
            self._places.leave(uuid, record.volume_id)
            if not _is_device(record.path):
                privileged.detach_loop(record.path)

    def _release_share(self, record: places.Record) -> None:
        """Unmount the share that a volume was on, when no other is."""
        share = self._brick.share_of(record.path)
        with lockutils.lock(_SHARES):
            if share and not self._places.is_shared(share):
                with _asking(record.volume_id, 'let go'):
                    privileged.unmount(share)


def are_in(block_device_info: Any) -> bool:
    """Whether the server has volumes."""
    return bool(_connections(block_device_info))


def _connections(block_device_info: Any) -> list[model.Connection]:
    """All volumes of a server."""
    return [model.of_nova(each['connection_info'], getattr(each, 'volume_id', None))
            for each in nova_driver.block_device_info_get_mapping(block_device_info)
            if each['connection_info']]


def _is_device(path: str) -> bool:
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except OSError:
        # Gone with what it was on. The name of a file is not below /dev.
        return path.startswith('/dev/')


@contextlib.contextmanager
def _asking(volume_id: str, what: str) -> Iterator[None]:
    """Around calls of the privileged daemon.

    :param what: the volume cannot be.
    """
    try:
        yield
    except ProcessLookupError:
        raise
    except OSError as ex:
        if ex.errno == errno.EBUSY:
            raise errors.VolumeInUse(volume_id) from ex
        cure = '; its file system may be damaged' if ex.errno in _DAMAGED else ''
        raise errors.VolumeError(volume_id, f'cannot be {what}: {ex.strerror}{cure}') from ex
    except processutils.ProcessExecutionError as ex:
        LOG.warning('Volume %s cannot be %s: %s', volume_id, what, ex)
        raise errors.VolumeError(
            volume_id, f'cannot be {what}: {str(ex.stderr).strip()[-200:]}') from ex
    except comm.PrivsepTimeout as ex:
        raise errors.VolumeError(
            volume_id, f'cannot be {what}: the privileged daemon does not answer') from ex
    except daemon.FailedToDropPrivileges as ex:
        raise errors.VolumeError(volume_id, (
            f'cannot be {what}: {ex}; is helper_command in '
            f'[{privileged.context.cfg_section}] right?')) from ex
