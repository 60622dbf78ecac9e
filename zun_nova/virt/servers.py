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

"""Makes servers and removes them."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import dataclasses
import pathlib
from typing import Any

from nova import conf
from nova import exception
from nova.compute import task_states
from oslo_log import log as logging

from zun_nova import errors
from zun_nova.vif import events
from zun_nova.vif import plug
from zun_nova.virt import config_drive
from zun_nova.virt import devices
from zun_nova.virt import flavor_config
from zun_nova.virt import guest
from zun_nova.virt import identity
from zun_nova.virt import image_source
from zun_nova.virt import images
from zun_nova.virt import key_pair
from zun_nova.virt import locks
from zun_nova.virt import network
from zun_nova.virt import passthrough
from zun_nova.virt import passwords
from zun_nova.virt import rescue_root
from zun_nova.virt import resources
from zun_nova.virt import signature
from zun_nova.virt import spec
from zun_nova.virt import tenants
from zun_nova.virt import timezone
from zun_nova.virt import wanted
from zun_nova.virt.runtime import base
from zun_nova.volume import volumes

LOG = logging.getLogger(__name__)


class Servers:
    """The servers of one compute service."""

    def __init__(self, runtime: base.Runtime, image_store: images.Images,
                 networks: network.Networks, drives: config_drive.ConfigDrives,
                 volumes_of: volumes.Volumes, default: spec.Defaults, virtapi: Any) -> None:
        self._runtime = runtime
        self._images = image_store
        self._networks = networks
        self._drives = drives
        self._volumes = volumes_of
        self._default = default
        self._virtapi = virtapi
        self.tenants = tenants.Tenants(runtime, default.host)
        self._rescue_roots = rescue_root.RescueRoots(conf.CONF, default.host)

    def list(self) -> list[base.ContainerSummary]:
        """Those that have a container here, in one engine call."""
        return [row for row in self._runtime.list(identity.servers_of(self._default.host))
                if identity.is_server(row.name, row.labels)]

    def _rows_of(self, uuid: str) -> Sequence[base.ContainerSummary]:
        """The server's container here, and what is set aside of it."""
        return self._runtime.list({
            **identity.servers_of(self._default.host), identity.LABEL_UUID: uuid})

    def check_host(self, instance: Any) -> None:
        """Make sure that this host has what the server's flavor asks for, and count it in.

        :raises errors.InvalidSpec: it has not, and nothing in the flavor keeps
            it to hosts that have.
        :raises nova.exception.ComputeResourcesUnavailable: another host may.
        :raises errors.OtherTenant: it must not live beside those that are here.
        """
        self._check_flavor(instance)
        self.tenants.let_in(instance)

    def _check_flavor(self, instance: Any) -> None:
        extra_specs = instance.flavor.extra_specs
        power = flavor_config.from_extra_specs(extra_specs)
        for device in power.devices:
            if not pathlib.Path(device.path).exists():
                raise errors.InvalidSpec(
                    f'flavor extra spec {flavor_config.DEVICES}',
                    f'the host has no {device.path}; keep the flavor to hosts that have it')
        runtime = power.runtime or self._default.runtime
        engine = self._runtime.info()
        if power.privileged and engine.remaps_users:
            raise exception.ComputeResourcesUnavailable(reason=(
                f'flavor extra spec {flavor_config.PRIVILEGED}: the engine maps users '
                '(userns-remap) and makes no privileged containers'))
        if runtime is None or runtime in (known := engine.runtimes):
            self._check_pids(power.pids_limit, engine.oci_runtime(runtime).least_pids)
            return
        reason = f'the engine has no OCI runtime {runtime!r}, only {", ".join(known)}'
        trait = f'trait:{resources.runtime_trait(runtime)}'
        if power.runtime is None or extra_specs.get(trait) == 'required':
            raise exception.ComputeResourcesUnavailable(reason=reason)
        raise errors.InvalidSpec(
            f'flavor extra spec {flavor_config.RUNTIME}',
            f'{reason}; install it, or set {trait}=required')

    def _check_pids(self, wanted: int | None, least: int) -> None:
        """Or a sandbox would end without a word when it starts."""
        if (wanted or self._default.pids_limit) < least:
            raise errors.InvalidSpec(
                f'flavor extra spec {flavor_config.PIDS_LIMIT}',
                f'the sandbox of its OCI runtime has threads of its own and needs {least}')

    def create(self, context: Any, instance: Any, image_meta: Any, network_info: Any,
               given: guest.Given, power_on: bool) -> None:
        """Make the server; its process starts after its network.

        On failure all that was made is removed again. A container that was
        there before is left alone.

        :raises nova.exception.InstanceExists: the server has a container.
        """
        if self.exists(instance):
            raise exception.InstanceExists(name=identity.container_name(instance))
        # What the owner asks for is checked before anything is fetched or made.
        properties = {} if image_source.is_shelved(
            instance, image_meta) else image_source.properties_of(instance)
        source = self._images.trusted(
            context, image_source.of_image(image_meta, properties),
            signature.trusted_by(instance))
        container = timezone.with_timezone(guest.with_files(
            self.container_of(instance, image_meta, source.reference), given))
        check = wanted.Wanted(context, instance).check
        with self.tenants.entering(instance), self._images.held(context, source, check), \
                contextlib.ExitStack() as on_failure:
            on_failure.callback(self._remove_failed, instance, network_info)
            self.make(context, instance, container, network_info, power_on, given)
            on_failure.pop_all()
        if power_on and given.admin_password and conf.CONF.zun_nova.inject_password:
            passwords.set_at_boot(self._runtime, instance, given.admin_password)

    def container_of(self, instance: Any, image_meta: Any, image: str) -> spec.ContainerSpec:
        """The container that the server becomes.

        :param image: its name in the engine.
        :raises errors.InvalidSpec: the owner or the flavor asks for what makes none.
        """
        shelved = image_source.is_shelved(instance, image_meta)
        properties = image_source.properties_of(instance) if shelved else image_meta.properties
        built = spec.build(instance, image, properties.get('os_command_line'), self._default)
        if shelved:   # the image has them, as the server has left them
            built = dataclasses.replace(built, files=())
        if built.security.cdi:
            built = passthrough.with_cdi(built, self._runtime.info().capabilities.cdi)
        return passthrough.with_pci(instance, built)

    def limits_of(self, flavor: Any) -> spec.Limits:
        """What servers of this flavor may use on this host."""
        return spec.limits(flavor, self._default)

    def wire(self, instance: Any, network_info: Any) -> None:
        """Have the ports of a server that comes back where they were, and wait for Neutron."""
        with events.wait_plugged(self._virtapi, instance, network_info), locks.wiring(instance):
            self._networks.open(instance, network_info)
        self._networks.announce(instance, network_info)

    def make(self, context: Any, instance: Any, container: spec.ContainerSpec,
             network_info: Any, power_on: bool, given: guest.Given | None = None) -> None:
        """The same of a container whose image the engine has; on failure what was made stays.

        :param given: None: the server was built before; what it was given then
            is in the container's image, and in its config drive if that is here.
        :raises errors.OtherTenant: it must not live beside those that are here.
        """
        # Ports that stay wired send no event, whatever Nova remembers of them.
        awaited = () if self._networks.is_open(instance) else network_info
        with self.tenants.entering(instance):
            with events.wait_plugged(self._virtapi, instance, awaited):
                self._networks.open(instance, network_info)
                devices.record(context, instance, network_info)
                drive = self._drives.mounts(instance, network_info, given)
                self._runtime.create(dataclasses.replace(
                    container, mounts=(
                        *container.mounts, *drive, *self._volumes.mounts(instance))))
                key_pair.put(self._runtime, container, instance)
            self._networks.announce(instance, network_info)
            if power_on:
                self._runtime.start(container.name)

    def destroy(self, instance: Any, network_info: Any, keep_disk: bool = False) -> None:
        """Remove container, writable layer, ports and namespace; may be called again.

        What is set aside goes too, unless a resize is reverted: then that is the server.
        Where it is rebuilt, ports and namespace stay, or are made anew for another host name.

        :param keep_disk: leave the container, stopped and set aside, for its writable layer: the
            server has moved to another cell and may come back.
        """
        name = identity.container_name(instance)
        self.tenants.leaving(instance)
        if keep_disk:
            with contextlib.suppress(errors.NotFound):
                self._runtime.stop(name, 0)
                self._runtime.rename(name, identity.aside_name(str(instance.uuid)))
            with locks.wiring(instance):
                plug.unplug_all(instance, network_info)
        else:
            # Who attaches a port meanwhile finds the server, or finds it gone.
            with locks.wiring(instance):
                self._runtime.remove(name)
                uuid = str(instance.uuid)
                reverting = instance.task_state == task_states.RESIZE_REVERTING
                if not reverting:
                    self._remove_aside(uuid)
                if not (reverting and self._rows_of(uuid)):
                    self._drives.remove(uuid)
                    self._volumes.clear(uuid)
                if not (self.tenants.rebuilds(instance) and self._networks.fits(instance)):
                    self._networks.close(instance, network_info)

    def remove_left(self, instance: Any, network_info: Any) -> None:
        """Remove what a server has left here that is on another host; may be called again."""
        with locks.wiring(instance):
            self._runtime.remove(identity.aside_name(str(instance.uuid)))
            self._drives.remove(str(instance.uuid))
            self._volumes.remove(str(instance.uuid))
            self._networks.close(instance, network_info)

    def _remove_aside(self, uuid: str) -> None:
        """After the container that took its place."""
        self._rescue_roots.release(uuid)
        if self._rows_of(uuid):
            self._runtime.remove(identity.aside_name(uuid))

    def exists(self, instance: Any) -> bool:
        """Whether the server has a container here, in whatever state."""
        try:
            self._runtime.inspect(identity.container_name(instance))
        except errors.NotFound:
            return False
        return True

    def _remove_failed(self, instance: Any, network_info: Any) -> None:
        try:
            self.destroy(instance, network_info)
        except errors.ZunNovaError:
            # Nova must see why the build failed, and destroys it again itself.
            LOG.exception('Could not remove what was made of the server', instance=instance)
