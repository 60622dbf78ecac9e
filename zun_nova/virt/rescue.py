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

"""Rescue: another container in a server's place, with the server's root to repair.

The server's own container is stopped and set aside, its root is mounted on the
host and bound into a container that takes its name and its network. Nothing of
the server itself changes; to end the rescue is to remove that container and to
put the own one back.

What an interrupted one has left is told by the note of
:mod:`zun_nova.virt.rescue_root` and by the container that is aside: if there
is one, the one of the server's name is the rescue's.
"""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import dataclasses
from typing import Any

from nova import exception
from nova import objects
from nova.compute import task_states
from nova.compute import vm_states
from nova.image import glance
from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt import exits
from zun_nova.virt import identity
from zun_nova.virt import image_source
from zun_nova.virt import images
from zun_nova.virt import owner_config
from zun_nova.virt import passwords
from zun_nova.virt import power
from zun_nova.virt import process
from zun_nova.virt import rescue_root
from zun_nova.virt import servers
from zun_nova.virt import signature
from zun_nova.virt import spec
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import roots

LOG = logging.getLogger(__name__)

#: Where the server's root is in the rescue container.
TARGET = '/mnt/rescue'
#: The process when the rescue image is the server's own, whose command may be what is broken.
SHELL = process.Process(command=('/bin/sh',), args=(), user='0', tty=True)
#: The action that says that a rescue was interrupted.
UNDONE = 'rescue_undone'


def process_of(properties: Mapping[str, Any]) -> process.Process:
    """What a rescue image runs: what it says, with a terminal that keeps a shell alive; pure.

    :param properties: all the Glance image has.
    :raises errors.InvalidSpec: they make no process.
    """
    said = {name: str(value) for name, value in properties.items()}
    return dataclasses.replace(
        process.from_config(owner_config.read(None, {}, said)), tty=True)


class Rescues:
    """Rescues the servers of one compute service. Nova holds a lock per server."""

    def __init__(self, runtime: base.Runtime, image_store: images.Images,
                 made: servers.Servers, powered: power.Power,
                 root_mounts: rescue_root.RescueRoots, default: spec.Defaults) -> None:
        self._runtime = runtime
        self._images = image_store
        self._servers = made
        self._power = powered
        self._roots = root_mounts
        self._default = default

    def rescue(self, context: Any, instance: Any, network_info: Any, image_meta: Any,
               password: str | None) -> None:
        """Put a container of this image in the server's place; may be called again.

        On failure the server is as it was, and runs if it ran.

        :param password: of the administrator, where the image can have one set. Nova makes one
            up for who gives none.
        :raises errors.ZunNovaError: of many kinds; the text says what to do.
        """
        with contextlib.ExitStack() as on_failure:
            # Nova has stopped it already.
            on_failure.callback(self._undo, instance, network_info)
            container, source = self._container(context, instance, image_meta)
            with self._images.held(context, source):
                self._put_back(str(instance.uuid))
                self._set_aside(str(instance.uuid))
                self._servers.make(context, instance, container, network_info, power_on=True)
            on_failure.pop_all()
        if password:
            passwords.set_at_boot(self._runtime, instance, password)

    def unrescue(self, instance: Any, network_info: Any) -> None:
        """Put the server's own container back and start it; may be called again."""
        self._put_back(str(instance.uuid))
        self._power.on(instance, network_info)

    def before_start(self, instance: Any) -> None:
        """Have in order what a start of the server needs; one look when it is not rescued.

        A restart of the host unmounts roots. And Nova can have forgotten that a
        server was rescued, when an administrator reset its state or a rescue
        could not be undone: then its own container is put back.
        """
        uuid = str(instance.uuid)
        if not self._roots.noted(uuid):
            return
        if instance.vm_state == vm_states.RESCUED:
            self._roots.mount(uuid, self._layers(identity.aside_name(uuid)))
        else:
            LOG.warning('Ending the rescue of a server that is %s', instance.vm_state,
                        instance=instance)
            self._put_back(uuid)

    def recover(self, instance: Any) -> None:
        """Finish what a nova-compute that was killed has begun; tells Nova's record.

        A rescue is undone: whether its container was ready nobody knows.
        """
        if instance.task_state not in (task_states.RESCUING, task_states.UNRESCUING):
            return
        undone = instance.task_state == task_states.RESCUING
        LOG.info('%s', 'Undoing an interrupted rescue' if undone else
                 'Finishing an interrupted end of a rescue', instance=instance)
        try:
            self._put_back(str(instance.uuid))
            if not undone or instance.vm_state == vm_states.ACTIVE:
                self._power.on(instance, instance.get_network_info() or ())
                instance.vm_state = vm_states.ACTIVE
        except (errors.ZunNovaError, exception.NovaException):
            LOG.exception('Could not put the server back', instance=instance)
            instance.vm_state = vm_states.ERROR
        instance.task_state = None
        instance.save()
        if undone:
            exits.record(instance.uuid, instance.project_id,
                         'nova-compute was restarted meanwhile; rescue it again', UNDONE)

    def _container(self, context: Any, instance: Any,
                   image_meta: Any) -> tuple[spec.ContainerSpec, image_source.Source]:
        image_id = image_meta.id if image_meta.obj_attr_is_set('id') else instance.image_ref
        own = image_id in (
            instance.image_ref, instance.system_metadata.get('image_base_image_ref'))
        # Neither Nova's ImageMeta nor its record of the server has all that the image says.
        image = glance.API().get(context, image_id)
        full_meta = objects.ImageMeta.from_dict(image)
        full_meta.id = image_id
        source = image_source.trusted(
            image_source.of_image(full_meta, image['properties']), image['properties'],
            signature.trusted_by(instance))
        wanted = SHELL if own else process_of(image['properties'])
        mount = spec.Mount(str(self._roots.path(str(instance.uuid))), TARGET)
        container = dataclasses.replace(
            spec.of_process(instance, source.reference, wanted, self._default), mounts=(mount,))
        return container, source

    def _set_aside(self, uuid: str) -> None:
        name, aside = identity.name_of(uuid), identity.aside_name(uuid)
        layers = self._layers(name)
        self._runtime.stop(name, 0)
        self._roots.note(uuid)
        self._runtime.rename(name, aside)
        self._roots.mount(uuid, layers)

    def _put_back(self, uuid: str) -> None:
        """Have the server's own container in its place; one look when it is there."""
        if not self._roots.noted(uuid):
            return
        name, aside = identity.name_of(uuid), identity.aside_name(uuid)
        if self._exists(aside):
            self._runtime.remove(name)
            self._roots.unmount(uuid)
            self._take_name(name, aside)
        self._roots.release(uuid)

    def _take_name(self, name: str, aside: str) -> None:
        try:
            self._runtime.rename(aside, name)
        except errors.Conflict:
            # The engine was still making the container that a nova-compute wanted before
            # it was killed.
            self._runtime.remove(name)
            self._runtime.rename(aside, name)

    def _undo(self, instance: Any, network_info: Any) -> None:
        try:
            self._put_back(str(instance.uuid))
            if instance.vm_state == vm_states.ACTIVE:
                self._power.on(instance, network_info)
        except (errors.ZunNovaError, exception.NovaException):
            # Nova must see why the rescue failed. A hard reboot tries again to put it back.
            LOG.exception('Could not put the server back', instance=instance)

    def _layers(self, name: str) -> roots.Layers:
        if not isinstance(self._runtime, roots.Roots):
            raise errors.Unsupported(
                'rescue the server', 'this engine does not say where its root is')
        return self._runtime.root_layers(name)

    def _exists(self, name: str) -> bool:
        try:
            self._runtime.inspect(name)
        except errors.NotFound:
            return False
        return True
