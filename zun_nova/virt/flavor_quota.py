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

"""What ``quota:*`` and ``hw:*`` extra specs of flavors mean for a container; pure.

Both namespaces are Nova's own: nova-api checks their values when an operator
sets them. What Nova acts on itself (``hw:cpu_policy``, ``hw:numa_nodes``,
``hw:mem_page_size``...) arrives as the server's NUMA topology. Here is the
rest: limits to set, and promises that no container can keep. Those are
refused; what merely describes a virtual machine's hardware is passed over.
doc/source/admin/resources.rst has the table.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import re

from oslo_utils import strutils

from zun_nova import errors
from zun_nova.virt import flavor_config

CPU_SHARES = 'quota:cpu_shares'
CPU_PERIOD = 'quota:cpu_period'
CPU_QUOTA = 'quota:cpu_quota'

#: Bounds of the kernel: cpu.shares, cpu.cfs_period_us and cpu.cfs_quota_us.
_SHARES = (2, 262_144)
_PERIOD = (1000, 1_000_000)
_QUOTA_MIN = 1000
#: No processor time is scarce above this: a thousand processors of the longest period.
_QUOTA_MAX = 1000 * _PERIOD[1]
_DISK_MAX = 2 ** 63 - 1

_SHARES_KEY = flavor_config.Key(
    CPU_SHARES, '', int, minimum=_SHARES[0], maximum=_SHARES[1],
    rule=f'a whole number from {_SHARES[0]} to {_SHARES[1]}, or 0')
_PERIOD_KEY = flavor_config.Key(
    CPU_PERIOD, '', int, minimum=_PERIOD[0], maximum=_PERIOD[1],
    rule=f'a number of microseconds from {_PERIOD[0]} to {_PERIOD[1]}, or 0')
_QUOTA_KEY = flavor_config.Key(
    CPU_QUOTA, '', int, minimum=_QUOTA_MIN, maximum=_QUOTA_MAX,
    rule=f'a number of microseconds from {_QUOTA_MIN} to {_QUOTA_MAX}, or 0 or a negative number')

_NO_HARDWARE = 'a container has no hardware of its own; its host\'s is used'
_NO_RESERVATION = 'nothing is set apart for a container beyond what the scheduler counts; '
_BOTH_WAYS = ('reading and writing are limited apart; set quota:disk_read_{unit} and '
              'quota:disk_write_{unit}')
_NEUTRON = ('the network of a container is limited by Neutron alone; give the port or the '
            'network a QoS policy')

#: Keys that promise what no container can keep, with why and what to do instead.
#: A key that ends in * stands for all that begin so.
REFUSED: Mapping[str, str] = {
    'hw:tpm_version': _NO_HARDWARE,
    'hw:tpm_model': _NO_HARDWARE,
    'hw:mem_encryption': 'the memory of a container cannot be encrypted apart from its host\'s',
    'hw:mem_encryption_model': 'the memory of a container cannot be encrypted apart from its '
                               'host\'s',
    'os:secure_boot': 'a container does not boot firmware',
    'hw:ephemeral_encryption': 'the disk of a container cannot be encrypted apart from its '
                               'host\'s',
    'hw:cpu_realtime': 'containers are not scheduled in real time; hw:cpu_policy=dedicated gives '
                       'them processors of their own',
    'hw:locked_memory': 'the memory of a container is not locked; give the flavor no swap, or '
                        'hw:mem_page_size',
    'hw:pmem': _NO_HARDWARE,
    'quota:cpu_limit': 'megahertz are not counted; set quota:cpu_quota and quota:cpu_period',
    'quota:cpu_reservation': _NO_RESERVATION + 'set hw:cpu_policy=dedicated',
    'quota:cpu_shares_*': 'set quota:cpu_shares',
    'quota:memory_*': _NO_RESERVATION + 'the flavor\'s ram is the limit',
    'quota:disk_io_*': 'set quota:disk_read_iops_sec and quota:disk_write_iops_sec',
    'quota:disk_total_bytes_sec': _BOTH_WAYS.format(unit='bytes_sec'),
    'quota:disk_total_iops_sec': _BOTH_WAYS.format(unit='iops_sec'),
    'quota:vif_*': _NEUTRON,
}

#: Values with which such a key asks for nothing.
_NOTHING: Mapping[str, tuple[str, ...]] = {
    'os:secure_boot': ('disabled', 'optional'),
}


@dataclasses.dataclass(frozen=True)
class DiskLimits:
    """What a server may read and write in a second; 0 is no limit."""

    read_bytes_sec: int = 0
    write_bytes_sec: int = 0
    read_iops_sec: int = 0
    write_iops_sec: int = 0


NO_DISK_LIMITS = DiskLimits()
#: The fields of DiskLimits, by extra spec.
DISK_KEYS = {f'quota:disk_{field.name}': field.name for field in dataclasses.fields(DiskLimits)}


@dataclasses.dataclass(frozen=True)
class Quota:
    """Limits that a flavor sets; None leaves what follows from its size."""

    cpu_shares: int | None = None
    cpu_period_us: int | None = None
    #: Of one vcpu in each period; 0 is no limit.
    cpu_quota_us: int | None = None
    disk: DiskLimits = NO_DISK_LIMITS


def from_extra_specs(extra_specs: Mapping[str, str]) -> Quota:
    """Read a flavor's limits.

    :raises errors.InvalidSpec: a value does not fit, or a key promises what no
        container can keep.
    """
    for name, text in sorted(extra_specs.items()):
        _refuse(name, text)
    return Quota(
        cpu_shares=_number(extra_specs, _SHARES_KEY) or None,
        cpu_period_us=_number(extra_specs, _PERIOD_KEY) or None,
        cpu_quota_us=_cpu_quota(extra_specs),
        disk=DiskLimits(**{
            field: _number(extra_specs, _disk_key(name)) or 0
            for name, field in DISK_KEYS.items()}),
    )


def why_refused(name: str) -> str | None:
    """Why no container can have this extra spec; None when nothing is against it."""
    for key, reason in REFUSED.items():
        if name == key or (key.endswith('*') and name.startswith(key[:-1])):
            return reason
    return None


def _refuse(name: str, text: str) -> None:
    reason = why_refused(name)
    if reason is None or _asks_for_nothing(name, text):
        return
    raise errors.InvalidSpec(f'flavor extra spec {name}', reason)


def _asks_for_nothing(name: str, text: str) -> bool:
    if name in _NOTHING:
        return text in _NOTHING[name]
    # "0" is what Nova documents as no limit, and what is no boolean is a wish.
    return text == '0' or not strutils.bool_from_string(text, default=True)


def _cpu_quota(extra_specs: Mapping[str, str]) -> int | None:
    if re.fullmatch('-[0-9]+', extra_specs.get(CPU_QUOTA, '')):
        return 0
    return _number(extra_specs, _QUOTA_KEY)


def _number(extra_specs: Mapping[str, str], key: flavor_config.Key) -> int | None:
    """The value; None when it is absent."""
    text = extra_specs.get(key.name)
    if text is None or text == '0':
        return None if text is None else 0
    return int(key.read(text))


def _disk_key(name: str) -> flavor_config.Key:
    return flavor_config.Key(name, '', int, minimum=1, maximum=_DISK_MAX,
                             rule=f'a whole number from 0 to {_DISK_MAX}')
