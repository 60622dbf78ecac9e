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

"""What a compute host has, in the words of Nova and Placement."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import re
import shutil
from typing import Any

from nova.objects import fields
import os_resource_classes as orc
import os_traits
from oslo_serialization import jsonutils
import psutil

from zun_nova.virt import cpu_traits as host_cpu_traits
from zun_nova.virt import pci
from zun_nova.virt import processors as host_processors
from zun_nova.virt.runtime import base

#: Every custom trait of ours starts so.
TRAIT_PREFIX = 'CUSTOM_CONTAINER_'
TRAIT_HOST = TRAIT_PREFIX + 'HOST'
#: The host's statistic that names the project whose servers have it to themselves, or ''.
STAT_TENANT = 'container_tenant'
#: Of hosts that limit what a server writes to the disk of its flavor.
TRAIT_DISK_QUOTA = TRAIT_PREFIX + 'DISK_QUOTA'
#: Of hosts on which root in servers is nobody.
TRAIT_USER_NAMESPACES = TRAIT_PREFIX + 'USER_NAMESPACES'
#: Standard ones that are ours to set and to remove.
_STANDARD_TRAITS = {os_traits.HW_CPU_HYPERTHREADING}

MIB = 1024 ** 2
GIB = 1024 ** 3


@dataclasses.dataclass(frozen=True)
class HostFacts:
    """What was read from the engine and the kernel at one moment."""

    engine: base.EngineInfo
    memory_used_bytes: int
    disk_total_bytes: int
    disk_used_bytes: int
    uptime: str
    processors: host_processors.Processors = host_processors.ANY
    cpu_traits: frozenset[str] = frozenset()
    #: As Nova wants them, see :func:`zun_nova.virt.pci.functions`.
    pci_functions: tuple[Mapping[str, Any], ...] = ()


def read(engine: base.EngineInfo, uptime: str) -> HostFacts:
    """Read the host the engine runs on, which is this one.

    :raises nova.exception.InvalidConfiguration: nova.conf gives servers
        processors that the host has not.
    """
    disk = shutil.disk_usage(engine.data_root)
    memory = psutil.virtual_memory()
    return HostFacts(
        engine=engine,
        memory_used_bytes=memory.total - memory.available,
        disk_total_bytes=disk.total,
        disk_used_bytes=disk.used,
        uptime=uptime,
        processors=host_processors.of_host(),
        cpu_traits=host_cpu_traits.read(),
        pci_functions=tuple(pci.functions()),
    )


def version_number(text: str) -> int:
    """'20.10.24+dfsg1' as 20010024, the way Nova writes versions."""
    parts = [int(part) for part in re.findall(r'\d+', text)[:3]]
    major, minor, patch = [*parts, 0, 0, 0][:3]
    return major * 1_000_000 + minor * 1000 + patch


def available(facts: HostFacts, node: str, node_uuid: str,
              numa_topology: str, tenant: str = '') -> dict[str, Any]:
    """The dict of ComputeDriver.get_available_resource().

    :param numa_topology: the host's, in the JSON of Nova's object.
    :param tenant: of STAT_TENANT.
    """
    engine = facts.engine
    return {
        'uuid': node_uuid,
        'hypervisor_hostname': node,
        'hypervisor_type': engine.name,
        'hypervisor_version': version_number(engine.version),
        'vcpus': _shared_cpus(facts) + len(facts.processors.dedicated),
        'vcpus_used': 0,  # the resource tracker counts claims itself
        'memory_mb': engine.memory_bytes // MIB,
        'memory_mb_used': facts.memory_used_bytes // MIB,
        'local_gb': facts.disk_total_bytes // GIB,
        'local_gb_used': facts.disk_used_bytes // GIB,
        'disk_available_least': (facts.disk_total_bytes - facts.disk_used_bytes) // GIB,
        'cpu_info': jsonutils.dumps({'arch': engine.architecture}),
        'supported_instances': [
            (engine.architecture, fields.HVType.DOCKER, fields.VMMode.EXE)],
        'numa_topology': numa_topology,
        'pci_passthrough_devices': jsonutils.dumps(facts.pci_functions),
        'stats': {'uptime': facts.uptime, STAT_TENANT: tenant},
    }


@dataclasses.dataclass(frozen=True)
class Reserved:
    """What the operator keeps from servers."""

    cpus: int
    memory_mb: int
    disk_gb: int


def inventory(facts: HostFacts, ratios: Mapping[str, float],
              reserved: Reserved) -> dict[str, dict[str, Any]]:
    """The inventory of the compute node's resource provider.

    A resource of which there is nothing is left out: Placement refuses a
    total of 0.
    """
    totals = {
        orc.VCPU: (_shared_cpus(facts), reserved.cpus),
        orc.PCPU: (len(facts.processors.dedicated), 0),
        orc.MEMORY_MB: (facts.engine.memory_bytes // MIB, reserved.memory_mb),
        orc.DISK_GB: (facts.disk_total_bytes // GIB, reserved.disk_gb),
    }
    return {
        resource: {
            'total': total,
            'reserved': kept,
            'min_unit': 1,
            'max_unit': total,
            'step_size': 1,
            # Whoever has a processor of its own shares it with nobody.
            'allocation_ratio': ratios.get(resource, 1.0),
        }
        for resource, (total, kept) in totals.items() if total > 0
    }


def runtime_trait(runtime: str) -> str:
    """The trait of hosts whose engine has this OCI runtime."""
    return str(os_traits.normalize_name(f'CONTAINER_RUNTIME_{runtime}'))


def traits(facts: HostFacts) -> set[str]:
    """What flavors can ask of a container host with ``trait:...=required``."""
    engine = facts.engine
    names = {TRAIT_HOST, os_traits.normalize_name(f'CONTAINER_ENGINE_{engine.name}'),
             *map(runtime_trait, engine.runtimes), *facts.cpu_traits}
    if engine.capabilities.disk_quota:
        names.add(TRAIT_DISK_QUOTA)
    if engine.remaps_users:
        names.add(TRAIT_USER_NAMESPACES)
    if facts.processors.topology.has_threads:
        names.add(os_traits.HW_CPU_HYPERTHREADING)
    return names


def is_ours(trait: str) -> bool:
    """Whether it is for this module to say that a host has this trait."""
    return (trait.startswith(TRAIT_PREFIX) or trait in _STANDARD_TRAITS
            or host_cpu_traits.is_ours(trait))


def _shared_cpus(facts: HostFacts) -> int:
    if facts.processors.confined:
        return len(facts.processors.shared)
    return facts.engine.cpus
