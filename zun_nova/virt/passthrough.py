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

"""Devices that Nova gave to a server, in its container."""

from __future__ import annotations

import dataclasses
from typing import Any

from nova import objects

from zun_nova.virt import cdi
from zun_nova.virt import flavor_config
from zun_nova.virt import pci
from zun_nova.virt import spec

_ALIAS = 'pci_passthrough:alias'


def with_cdi(container: spec.ContainerSpec, engine_knows: bool) -> spec.ContainerSpec:
    """The container with its devices by CDI names, in words that its engine knows.

    :raises errors.InvalidSpec: the host has no such device, or this engine cannot give it.
    """
    names = container.security.cdi
    if engine_knows or not names:
        return container
    edits = cdi.resolve(names, cdi.read())
    security = dataclasses.replace(
        container.security, cdi=(), devices=(*container.security.devices, *edits.devices))
    return dataclasses.replace(
        container, security=security, mounts=(*container.mounts, *edits.mounts),
        # What the owner says goes before.
        env={**edits.env, **container.env})


def with_pci(instance: Any, container: spec.ContainerSpec) -> spec.ContainerSpec:
    """The container with the device files of the server's PCI functions.

    :raises errors.InvalidSpec: a function has none on this host.
    """
    if _ALIAS not in instance.flavor.extra_specs:
        return container   # it may cost a call of the conductor to ask for them
    given = instance.get_pci_devices(source=objects.InstancePCIRequest.FLAVOR_ALIAS)
    # Several functions can share some.
    paths = dict.fromkeys(
        path for device in given for path in pci.device_files(device.address))
    devices = [flavor_config.Device(path, path, 'rw') for path in paths]
    security = dataclasses.replace(
        container.security, devices=(*container.security.devices, *devices))
    return dataclasses.replace(container, security=security)
