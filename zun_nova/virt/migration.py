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

"""Resize and cold migration: how a server leaves its container and gets another.

The container it leaves is stopped, and renamed to make room (see
:func:`zun_nova.virt.identity.aside_name`). It is the server until the new one
is confirmed: with it, and with the network namespace it is in, every step can
be undone. What it has written goes along as a layer
(:mod:`zun_nova.virt.layers`). On the same host volumes that the image wants go
along as they are.

Every step may be interrupted by the death of nova-compute and done again.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

from nova import exception
from nova import objects
from nova.compute import task_states
from oslo_log import log as logging

from zun_nova import errors
from zun_nova.vif import plug
from zun_nova.virt import carrier as carriers
from zun_nova.virt import identity
from zun_nova.virt import image_source
from zun_nova.virt import images
from zun_nova.virt import layers
from zun_nova.virt import locks
from zun_nova.virt import moved
from zun_nova.virt import network
from zun_nova.virt import power
from zun_nova.virt import received
from zun_nova.virt import servers
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import limits

LOG = logging.getLogger(__name__)


class Migrations:
    """Those from, to and on one host.

    :param conf: Nova's configuration.
    """

    def __init__(self, engine: base.Engine, image_store: images.Images,
                 networks: network.Networks, maker: servers.Servers, power_of: power.Power,
                 conf: Any) -> None:
        self._engine = engine
        self._images = image_store
        self._networks = networks
        self._servers = maker
        self._power = power_of
        self._conf = conf

    # -- leaving

    def leave(self, context: Any, instance: Any, dest: str, flavor: Any, network_info: Any,
              timeout: int, may_stay: bool = True) -> moved.Moved:
        """Stop the server and have all that it is ready for its new host or flavor.

        :param dest: address of the host it goes to, which can be this one.
        :param flavor: the one it gets.
        :param timeout: seconds its process gets to end by itself.
        :param may_stay: its process may run on where that is possible. Nova disconnects volumes.
        :raises nova.exception.InstanceFaultRollback: it could not be; it runs on as before.
        """
        container = self._engine.inspect(identity.container_name(instance))
        try:
            if dest == str(self._conf.my_ip):
                return ((may_stay and self._changed(instance, flavor, container))
                        or self._set_aside(instance, flavor, container, timeout))
            return self._send(
                context, instance, dest, flavor, network_info, container, timeout)
        except Exception as ex:
            LOG.exception('The server stays where it is', instance=instance)
            self._stay(instance, network_info, container)
            raise exception.InstanceFaultRollback(_reason(ex)) from ex

    def _changed(self, instance: Any, flavor: Any,
                 container: base.ContainerInfo) -> moved.Moved | None:
        """Change nothing but limits, where that is enough and can be done."""
        if not (self._conf.zun_nova.live_resize and only_limits_differ(instance, flavor)
                and container.state in (base.State.RUNNING, base.State.PAUSED)):
            return None
        try:
            self._limit(container.name, flavor)
        except errors.EngineError as ex:
            LOG.warning('The server restarts with its new size: %s', ex, instance=instance)
            return None
        return moved.Moved()

    def _limit(self, name: str, flavor: Any) -> None:
        if not (isinstance(self._engine, limits.Limiter)
                and self._engine.info().capabilities.update_limits):
            raise errors.Unsupported(
                f'change the limits of container {name}', 'the engine or its OCI runtime cannot')
        self._engine.update_limits(name, self._servers.limits_of(flavor))

    def _set_aside(self, instance: Any, flavor: Any, container: base.ContainerInfo,
                   timeout: int) -> moved.Moved:
        left = moved.Moved(self._written(instance, flavor, container, timeout))
        self._carrier().note(left, _file_of(left.layer))
        self._engine.rename(container.name, identity.aside_name(str(instance.uuid)))
        return left

    def _send(self, context: Any, instance: Any, dest: str, flavor: Any, network_info: Any,
              container: base.ContainerInfo, timeout: int) -> moved.Moved:
        carrier = self._carrier()
        plan = carrier.plan(context, instance, container, dest)
        layer = self._written(instance, flavor, container, timeout)
        name = _file_of(layer)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(carrier.take_back, name, dest)
            left = carrier.send(plan, layer, name, dest)
            self._engine.rename(container.name, identity.aside_name(str(instance.uuid)))
            # Or Neutron would not tell of a return: nothing would have to be wired.
            with locks.wiring(instance):
                plug.unplug_all(instance, network_info)
            on_failure.pop_all()
        return left

    def _carrier(self) -> carriers.Carrier:
        return carriers.Carrier(self._engine, self._images, self._conf)

    def _written(self, instance: Any, flavor: Any, container: base.ContainerInfo,
                 timeout: int) -> str:
        """Stop the server and have what it has written in a layer; returns its name."""
        store = layers.LayerStore(self._engine)
        layers.check_count(len(store.of(container.image_id).diff_ids))
        layer = layers.reference(
            str(instance.uuid), instance.migration_context.migration_id)
        self._power.off(instance, timeout)
        store.commit(str(instance.uuid), layer, self._conf.zun_nova.migration_timeout)
        self._check_size(store, instance, flavor, layer)
        return layer

    @staticmethod
    def _check_size(store: layers.LayerStore, instance: Any, flavor: Any, layer: str) -> None:
        image = store.of(layer)
        for below in store.bases(instance.image_ref, image).values():   # one by several names
            layers.check_size(image.size_bytes - below.size_bytes, flavor.root_gb)

    def _stay(self, instance: Any, network_info: Any, container: base.ContainerInfo) -> None:
        """Have the server as it was before it was to leave."""
        self._put_back(instance)
        if container.state in (base.State.RUNNING, base.State.PAUSED):
            self._power.on(instance, network_info)
        self.sweep(str(instance.uuid))

    def _put_back(self, instance: Any) -> bool:
        """Have the container that was set aside in its place; whether there was one."""
        aside = identity.aside_name(str(instance.uuid))
        try:
            self._engine.inspect(aside)
        except errors.NotFound:
            return False
        self._engine.remove(identity.container_name(instance))
        self._engine.rename(aside, identity.container_name(instance))
        return True

    def sweep(self, uuid: str) -> None:
        """Forget a server's layers that no container is made of, and what has come of it.

        What this fails at, the next one does.
        """
        try:
            with contextlib.suppress(errors.Unsupported):   # so there are none
                layers.LayerStore(self._engine).sweep(uuid)
                self._carrier().forget(uuid)
        except (errors.EngineError, OSError) as ex:
            LOG.warning('Layers of the server are left here: %s', ex, instance_uuid=uuid)

    def left(self) -> set[str]:
        """The uuids of all servers that have layers here, or something that has come."""
        with contextlib.suppress(errors.Unsupported):
            return layers.LayerStore(self._engine).servers() | self._carrier().servers()
        return set()

    # -- arriving

    def arrive(self, context: Any, instance: Any, left: moved.Moved, image_meta: Any,
               network_info: Any, power_on: bool) -> None:
        """Make the server of what its source left; may be called again.

        :raises nova.exception.InstanceFaultRollback: it could not be made, and
            is on this host as it was before.
        """
        if left.stays:
            self._limit(identity.container_name(instance), instance.flavor)
            return
        try:
            self._carrier().note(left, _file_of(left.layer))
            with self._layer(context, instance, left):
                self._make(context, instance, left, image_meta, network_info, power_on)
        except Exception as ex:
            LOG.exception('The server could not be made anew', instance=instance)
            if not self._put_back(instance):
                raise
            if power_on:
                self._power.on(instance, network_info)
            self.sweep(str(instance.uuid))
            raise exception.InstanceFaultRollback(_reason(ex)) from ex

    def recover(self, context: Any, instance: Any, network_info: Any) -> None:
        """Have the container of a server that was to come here; may be called again.

        Nova names it to its administrators as the way out: reboot hard.

        :raises errors.NotFound: this host has nothing of it.
        """
        there, left = self._servers.exists(instance), self._noted(instance)
        if left:
            if not there:
                with self._layer(context, instance, left):
                    self._make(context, instance, left, objects.ImageMeta.from_instance(instance),
                               network_info, power_on=False)
            elif not self._is_made_of(instance, left):
                return
            self._engine.remove(identity.aside_name(str(instance.uuid)))
            self.sweep(str(instance.uuid))
        elif not there and not self._put_back(instance):
            raise errors.NotFound('find the server', 'this host has nothing of it')

    def left_for(self, instance: Any) -> moved.Moved | None:
        """How a server was left that has not arrived yet; None: this host cannot tell."""
        left = self._noted(instance)
        if left is None and self._servers.exists(instance):
            return moved.Moved()   # it stayed, for nothing but limits is to change
        return left

    def _noted(self, instance: Any) -> moved.Moved | None:
        """How its present migration has left it, if it came or was to come here."""
        try:
            carrier = self._carrier()
        except errors.Unsupported:
            return None   # nothing has come, or could
        if str(instance.uuid) not in carrier.servers():
            return None   # as nearly always, and Nova's database need not be asked
        migration = instance.migration_context
        if migration is None:
            return None
        name = received.name_of(str(instance.uuid), migration.migration_id)
        left = carrier.noted(name)
        return left if left and _is_of(left, name, str(instance.image_ref)) else None

    def _is_made_of(self, instance: Any, left: moved.Moved) -> bool:
        container = self._engine.inspect(identity.container_name(instance))
        return container.image_id == self._engine.image_id(left.layer)

    def broken_off(self, instance: Any) -> bool:
        """Whether nova-compute died in the middle of what cannot go on by itself.

        Of a return to this host the rest is done here, as far as containers go.
        """
        if instance.task_state == task_states.RESIZE_REVERTING:
            migration = objects.Migration.get_by_id_and_instance(
                instance._context, instance.migration_context.migration_id, instance.uuid)
            if migration.source_compute != instance.host:
                return False   # Nova's message may still be on its way to that host
            self._put_back(instance)
            self.sweep(str(instance.uuid))
            return True
        return bool(instance.task_state == task_states.RESIZE_FINISH)

    def _layer(self, context: Any, instance: Any,
               left: moved.Moved) -> contextlib.AbstractContextManager[None]:
        """Have the layer in the engine."""
        if not left.was_sent:
            return contextlib.nullcontext()
        return self._carrier().loaded(context, instance, left, _file_of(left.layer))

    def _make(self, context: Any, instance: Any, left: moved.Moved, image_meta: Any,
              network_info: Any, power_on: bool) -> None:
        aside = self._aside(instance)
        if aside is not None or left.was_sent:   # what an interrupted try has made
            self._engine.remove(identity.container_name(instance))
        container = dataclasses.replace(
            self._servers.container_of(instance, image_meta, left.layer),
            # They are in the layer, as the server has changed them meanwhile.
            files=(),
            volumes_from=aside.name if aside is not None and aside.volumes else None)
        self._servers.make(context, instance, container, network_info, power_on)

    def _aside(self, instance: Any) -> base.ContainerInfo | None:
        try:
            return self._engine.inspect(identity.aside_name(str(instance.uuid)))
        except errors.NotFound:
            return None

    # -- the end

    def confirm(self, instance: Any, network_info: Any, *, moved_on: bool) -> None:
        """Remove what the server has left; may be called again.

        :param moved_on: to another host: its ports here, too.
        """
        if moved_on:
            self._servers.remove_left(instance, network_info)
        else:
            self._engine.remove(identity.aside_name(str(instance.uuid)))
        self.sweep(str(instance.uuid))

    def stays_to_be_reverted(self, context: Any, instance: Any) -> bool:
        """Whether Nova destroys the server to have it back in a moment, on this host."""
        if instance.task_state != task_states.RESIZE_REVERTING:
            return False
        if instance.migration_context is None:
            return False
        migration = objects.Migration.get_by_id_and_instance(
            context, instance.migration_context.migration_id, instance.uuid)
        return is_same_host(migration)

    def revert(self, instance: Any, network_info: Any, power_on: bool) -> None:
        """Have the server back as it was before it left; may be called again.

        :raises errors.NotFound: this host has nothing of it.
        """
        name = identity.container_name(instance)
        with locks.wiring(instance):
            if not self._put_back(instance):
                self._engine.inspect(name)
                with contextlib.suppress(errors.Unsupported):
                    self._limit(name, instance.flavor)
        if power_on:
            self._servers.wire(instance, network_info)
            self._power.on(instance, network_info)
        else:
            self._engine.stop(name, 0)
        self.sweep(str(instance.uuid))


def only_limits_differ(instance: Any, flavor: Any) -> bool:
    """Whether the flavor differs from the server's in vCPUs and memory at most; pure."""
    same = ('root_gb', 'ephemeral_gb', 'swap', 'extra_specs')
    return (instance.numa_topology is None
            and all(getattr(instance.flavor, name) == getattr(flavor, name) for name in same))


def is_same_host(migration: Any) -> bool:
    return bool(migration.source_compute == migration.dest_compute)


def _file_of(layer: str) -> str:
    """The name under which a layer travels."""
    return layer.removeprefix(f'{layers.REPOSITORY}:')


def _is_of(left: moved.Moved, name: str, image_ref: str) -> bool:
    """Whether a note, which other hosts can write, is of the server it was written for."""
    return _file_of(left.layer) == name and (
        not left.base or image_source.image_id_of(left.base) == image_ref)


def _reason(ex: Exception) -> Exception:
    """What Nova tells the owner."""
    told = ex
    if isinstance(ex, errors.TooLarge):
        told = exception.ResizeError(reason=str(ex))
    elif isinstance(ex, errors.ZunNovaError):
        told = exception.MigrationError(reason=str(ex))
    return told
