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

"""Removes what servers have left on this host that are no longer here.

Has migrations of those that are here go on whose message was lost, on the way.

A nova-compute that is killed, or an engine that is down while a failed build
is cleaned up, leaves containers, network namespaces and ports behind. Nova's
own start finishes deletions and sets interrupted builds to ERROR, for their
owners to delete; ``running_deleted_instance_action`` deals with containers of
deleted servers. What is left to do here is decided by :func:`decide`.

The container that holds a server's network is made while the first port is
plugged and removed last, and it carries the labels of the server and of the
host. So it says whose all the rest is. A port that was plugged before it was
made, when nova-compute was killed, is known by Nova's record: that one names
this host, for who is killed hands no build on.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import contextlib
import dataclasses
import enum
import threading
from typing import Any

from nova import conf
from nova import context as nova_context
from nova import objects
from nova import utils
from nova.compute import vm_states
from oslo_concurrency import lockutils
from oslo_log import log as logging

from zun_nova.vif import switch
from zun_nova.virt import config_drive
from zun_nova.virt import identity
from zun_nova.virt import migration
from zun_nova.virt import network
from zun_nova.virt import rescue_root
from zun_nova.virt import unfinished
from zun_nova.virt.runtime import base
from zun_nova.volume import volumes

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Remains:
    """What this host has of one server."""

    uuid: str
    #: The container its owner sees.
    container: bool = False
    #: The container that holds its network.
    holder: bool = False
    #: Whatever virt driver plugged them.
    ports: tuple[switch.Port, ...] = ()
    #: Its config drive.
    drive: bool = False
    #: The container that made room for another.
    aside: bool = False
    #: What it has written, on its way to or from another host.
    layers: bool = False
    #: The directory of its volumes.
    volumes: bool = False

    @property
    def labelled(self) -> bool:
        """It is of this compute service."""
        return (self.container or self.holder or self.drive or self.aside
                or self.volumes)

    @property
    def ours(self) -> bool:
        """No other virt driver has it."""
        return self.labelled or self.layers

    def __str__(self) -> str:
        parts = [name for name, there in (
            ('container', self.container), ('network', self.holder),
            ('config drive', self.drive), ('container set aside', self.aside),
            ('layers', self.layers), ('volumes', self.volumes)) if there]
        return ', '.join(parts + [f'port {port.port_id}' for port in self.ports])


@dataclasses.dataclass(frozen=True)
class Record:
    """What Nova's database says of one server."""

    #: Of the compute service that has it, or had it when it was deleted.
    host: str | None
    deleted: bool = False
    #: A migration from or to this host is on record, and what is here may be needed for it.
    migrates: bool = False


class Verdict(enum.Enum):
    KEEP = enum.auto()
    #: Only an administrator can tell.
    ASK = enum.auto()
    REMOVE = enum.auto()
    #: Unless it has changed by the next look.
    REMOVE_LATER = enum.auto()


def decide(remains: Remains, record: Record | None, host: str) -> tuple[Verdict, str]:
    """What to do with it, and why; pure.

    :param record: None: Nova's database has no such server, not even as a deleted one.
    :param host: of this compute service.
    """
    if record is None:
        verdict = Verdict.KEEP   # ports alone may be another cell's, or another driver's
        if remains.labelled:
            verdict = Verdict.ASK if remains.container or remains.aside else Verdict.REMOVE
        return verdict, 'Nova does not know the server'
    if record.deleted:
        if remains.container:
            return Verdict.KEEP, 'left to running_deleted_instance_action'
        ours = remains.ours or record.host == host
        return (Verdict.REMOVE if ours else Verdict.KEEP), 'the server was deleted'
    if record.host == host:
        return Verdict.KEEP, 'the server is here'
    if record.migrates or not remains.ours:
        return Verdict.KEEP, 'the server is elsewhere'
    where = f'on {record.host}' if record.host else 'on no host'
    return Verdict.REMOVE_LATER, f'its build here has failed and the server is {where}'


class Reconciler:
    """Looks and removes, once it was started, every so many seconds.

    :param interval: 0: only once.
    """

    def __init__(self, runtime: base.Runtime, networks: network.Networks,
                 drives: config_drive.ConfigDrives, volumes_of: volumes.Volumes,
                 moves: migration.Migrations, host: str, interval: float) -> None:
        self._runtime = runtime
        self._networks = networks
        self._drives = drives
        self._volumes = volumes_of
        self._moves = moves
        self._host = host
        self._interval = interval
        self._rescue_roots = rescue_root.RescueRoots(conf.CONF, host)
        self._unfinished = unfinished.Unfinished(
            moves, host, conf.CONF.zun_nova.migration_timeout)
        self._seen: set[str] = set()
        self._asked: set[str] = set()
        self._failure = ''
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='zun-nova-reconcile', daemon=True)

    def start(self) -> None:
        """Begin, in a thread; once."""
        self._thread.start()

    def stop(self) -> None:
        """End, without waiting for what is being done; may be called again."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.reconcile(nova_context.get_admin_context())
                self._failure = ''
            except Exception as ex:  # noqa: BLE001  engine, switch, RPC: next time may do better
                if str(ex) != self._failure:
                    LOG.warning('Cannot look for what servers have left on this host: %s', ex)
                self._failure = str(ex)
            self._ended.wait(self._interval or None)

    def reconcile(self, context: Any) -> None:
        """Look once. Four calls when nothing is left: two of the engine, two of the database.

        Acts only when engine, switch and database have all answered.

        :raises errors.ZunNovaError: engine or switch did not; nothing more is removed.
        :raises Exception: the database did not, whatever RPC raises then.
        """
        found = self._remains()
        instances = objects.InstanceList.get_by_host(context, self._host, expected_attrs=[])
        here = {instance.uuid for instance in instances}
        found = {uuid: each for uuid, each in found.items() if uuid not in here}
        records = self._records(context, found) if found else {}
        later = set()
        for uuid, remains in found.items():
            verdict, reason = decide(remains, records.get(uuid), self._host)
            if verdict is Verdict.ASK and uuid not in self._asked:
                LOG.warning('%s, which has this here: %s. Remove it by hand if it belongs to no '
                            'other cell', reason, remains, instance_uuid=uuid)
                self._asked.add(uuid)
            elif verdict is Verdict.REMOVE_LATER and uuid not in self._seen:
                later.add(uuid)
            elif verdict in (Verdict.REMOVE, Verdict.REMOVE_LATER):
                self._remove(context, uuid)
        self._seen = later
        self._asked &= found.keys()
        self._unfinished.look(context, instances)

    def _remove(self, context: Any, uuid: str) -> None:
        """Look again while Nova does nothing with the server, and remove."""
        # The name is nova.compute.manager's.
        with contextlib.suppress(lockutils.AcquireLockFailedException), \
                lockutils.lock(uuid, blocking=False):
            remains = self._remains(uuid).get(uuid)
            if remains is None:
                return
            record = self._records(context, {uuid: remains}).get(uuid)
            verdict, reason = decide(remains, record, self._host)
            if verdict not in (Verdict.REMOVE, Verdict.REMOVE_LATER):
                return
            LOG.info('Removing what is left here of a server (%s): %s', remains, reason,
                     instance_uuid=uuid)
            self._runtime.remove(identity.name_of(uuid))
            self._rescue_roots.release(uuid)
            self._runtime.remove(identity.aside_name(uuid))
            self._drives.remove(uuid)
            self._volumes.remove(uuid)
            self._networks.close_forgotten(uuid)
            self._moves.sweep(uuid)

    def _remains(self, only: str | None = None) -> dict[str, Remains]:
        """What there is, by server.

        :param only: the one server to look for.
        """
        labels = identity.all_of(self._host) | ({identity.LABEL_UUID: only} if only else {})
        rows = self._runtime.list(labels)
        ports = switch.ports()
        servers = {row.labels[identity.LABEL_UUID] for row in rows if _is(row, 'server')}
        asides = {row.labels[identity.LABEL_UUID] for row in rows if _is(row, 'aside')}
        holders = {row.labels[identity.LABEL_UUID] for row in rows if _is(row, 'network')}
        drives, layers = self._drives.uuids(), self._moves.left()
        volumes_of = self._volumes.uuids()
        uuids = servers | asides | holders | drives | layers | volumes_of
        uuids |= {port.instance_uuid for port in ports}
        return {
            uuid: Remains(uuid, uuid in servers, uuid in holders,
                          tuple(port for port in ports if port.instance_uuid == uuid),
                          uuid in drives, uuid in asides, uuid in layers, uuid in volumes_of)
            for uuid in uuids if only in (None, uuid)}

    def _records(self, context: Any, found: Mapping[str, Remains]) -> dict[str, Record]:
        with utils.temporary_mutation(context, read_deleted='yes'):
            instances = objects.InstanceList.get_by_filters(
                context, {'uuid': list(found)}, expected_attrs=[])
        return {instance.uuid: self._record(context, instance, found[instance.uuid])
                for instance in instances}

    def _record(self, context: Any, instance: Any, remains: Remains) -> Record:
        if instance.deleted or instance.host == self._host or not remains.ours:
            return Record(instance.host, bool(instance.deleted))
        migrations = objects.MigrationList.get_by_filters(
            context, {'host': self._host, 'instance_uuid': instance.uuid})
        return Record(instance.host, migrates=bool(migrations) and is_needed(
            instance, [each.status for each in migrations]))



def is_needed(instance: Any, statuses: Iterable[str]) -> bool:
    """Whether a server that is elsewhere may come back, or need what it has left; pure.

    :param statuses: of its migrations from or to this host.
    """
    # After a failure what is here may be all that there is of its data. A person can tell.
    return (instance.task_state is not None or 'error' in statuses
            or instance.vm_state in (vm_states.RESIZED, vm_states.ERROR))


def _is(row: base.ContainerSummary, kind: str) -> bool:
    """Whether it is a server, what made room for one, or the network of one."""
    if row.labels.get(identity.LABEL_ROLE) != identity.ROLE_SERVER:
        return kind == row.labels.get(identity.LABEL_ROLE)
    return kind == ('server' if identity.is_server(row.name, row.labels) else 'aside')
