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

"""What a running server uses, in the two forms in which Nova tells it.

Read from the host's files, not from the engine: engines take a second or two
for the same figures. What the host does not count is None, or left out of the
older form.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
from typing import Any

from nova.compute import power_state
from nova.objects import diagnostics as objects
from nova.virt import configdrive

from zun_nova.vif import model
from zun_nova.virt import cgroup
from zun_nova.virt import power
from zun_nova.virt import procfs
from zun_nova.virt.runtime import base

#: The API's schema knows only drivers of Nova's own tree; which engine it is, ``hypervisor`` says.
DRIVER = 'libvirt'
_MIB = 1024 ** 2
_KIB = 1024


@dataclasses.dataclass(frozen=True)
class Nic:
    """One port of a server."""

    mac: str
    #: Its link on the host.
    device: str
    #: As the host counts; None while it is not plugged.
    traffic: procfs.Traffic | None


@dataclasses.dataclass(frozen=True)
class Figures:
    """Everything there is to tell of a server."""

    #: Nova's.
    power_state: int
    vcpus: int
    memory_mb: int
    usage: cgroup.Usage
    #: Seconds since its process was started.
    uptime: int | None
    nics: tuple[Nic, ...]


def measure(instance: Any, container: base.ContainerInfo) -> Figures:
    """Look at what the container uses now; one that does not run uses nothing."""
    pid = container.pid
    return Figures(
        power_state=power.info_of(container).state,
        vcpus=instance.flavor.vcpus,
        memory_mb=instance.flavor.memory_mb,
        usage=cgroup.Usage() if pid is None else cgroup.usage(pid, container.id),
        uptime=None if pid is None else procfs.uptime(pid),
        nics=_nics(instance.get_network_info() or (), procfs.traffic()),
    )


def _nics(network_info: Iterable[Mapping[str, Any]],
          traffic: Mapping[str, procfs.Traffic]) -> tuple[Nic, ...]:
    devices = {vif['address'].lower(): model.host_device(vif['id']) for vif in network_info}
    return tuple(Nic(mac, device, traffic.get(device)) for mac, device in devices.items())


def free_form(figures: Figures) -> dict[str, int]:
    """For API versions before 2.48; names and units are those of Nova's libvirt driver.

    Times are in nanoseconds, memory in KiB, the rest in bytes and counts.
    """
    usage = figures.usage
    said = {f'cpu{number}_time': time for number, time in enumerate(_per_vcpu(figures))}
    said |= {
        'memory': _memory_bytes(figures) // _KIB,
        'memory-used': None if usage.memory_bytes is None else usage.memory_bytes // _KIB,
        'root_read_req': usage.read_requests,
        'root_read': usage.read_bytes,
        'root_write_req': usage.write_requests,
        'root_write': usage.write_bytes,
    }
    for nic in figures.nics:
        said |= {f'{nic.device}_{name}': value for name, value in _counts(nic).items()}
    return {name: value for name, value in said.items() if value is not None}


def standard_form(instance: Any, figures: Figures, engine: str) -> objects.Diagnostics:
    """For API version 2.48 and later.

    :param engine: EngineInfo.name.
    """
    usage = figures.usage
    made = objects.Diagnostics(
        state=power_state.STATE_MAP[figures.power_state], driver=DRIVER, hypervisor=engine,
        hypervisor_os='linux', uptime=figures.uptime,
        config_drive=bool(configdrive.required_by(instance)))
    made.memory_details = objects.MemoryDiagnostics(
        maximum=_memory_bytes(figures) // _MIB,
        used=None if usage.memory_bytes is None else usage.memory_bytes // _MIB)
    for number, time in enumerate(_per_vcpu(figures)):
        made.add_cpu(id=number, time=time)
    made.add_disk(read_bytes=usage.read_bytes, read_requests=usage.read_requests,
                  write_bytes=usage.write_bytes, write_requests=usage.write_requests)
    for nic in figures.nics:
        counts = _counts(nic)
        made.add_nic(mac_address=nic.mac, **{
            'rx_octets': counts.get('rx'), 'tx_octets': counts.get('tx'),
            **{name: value for name, value in counts.items() if '_' in name}})
    return made


def _memory_bytes(figures: Figures) -> int:
    return figures.usage.memory_limit_bytes or figures.memory_mb * _MIB


def _per_vcpu(figures: Figures) -> list[int | None]:
    """Equal parts of the whole: processors of the host serve a container as it comes."""
    whole = figures.usage.cpu_ns
    if whole is None:
        return [None] * figures.vcpus
    part, rest = divmod(whole, figures.vcpus)
    return [part + (number < rest) for number in range(figures.vcpus)]


def _counts(nic: Nic) -> dict[str, int]:
    """As the server sees it: it received what the host has sent."""
    if nic.traffic is None:
        return {}
    return {
        'rx': nic.traffic.tx_bytes,
        'rx_packets': nic.traffic.tx_packets,
        'rx_errors': nic.traffic.tx_errors,
        'rx_drop': nic.traffic.tx_dropped,
        'tx': nic.traffic.rx_bytes,
        'tx_packets': nic.traffic.rx_packets,
        'tx_errors': nic.traffic.rx_errors,
        'tx_drop': nic.traffic.rx_dropped,
    }
