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

"""What /proc says of this host: processor time, how long a process has run, links.

Every function takes the root below which ``proc`` and ``sys`` are. All files
are readable by every user.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import os
import pathlib

_ROOT = pathlib.Path('/')
_TICKS = os.sysconf('SC_CLK_TCK')
_TICK_NS = 10 ** 9 // _TICKS


@dataclasses.dataclass(frozen=True)
class CpuTimes:
    """What all processors did since the host was booted, in nanoseconds."""

    user: int
    kernel: int
    idle: int
    iowait: int
    #: Of the first processor, now; 0 where the host does not say.
    frequency_mhz: int


@dataclasses.dataclass(frozen=True)
class Traffic:
    """What went through a link, from the host's side."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


def cpu_times(root: pathlib.Path = _ROOT) -> CpuTimes:
    """See ``cpu`` of proc_stat(5); guests count as user, interrupts as kernel."""
    line = (root / 'proc/stat').read_text().splitlines()[0]
    user, nice, system, idle, iowait, irq, softirq = (
        int(number) * _TICK_NS for number in line.split()[1:8])
    return CpuTimes(user=user + nice, kernel=system + irq + softirq, idle=idle, iowait=iowait,
                    frequency_mhz=_frequency(root))


def _frequency(root: pathlib.Path) -> int:
    for line in (root / 'proc/cpuinfo').read_text().splitlines():
        name, _, value = line.partition(':')
        if name.strip() == 'cpu MHz':
            return int(float(value))
    try:
        khz = (root / 'sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq').read_text()
    except OSError:   # machines that do not scale; ARM's among them have no MHz above either
        return 0
    return int(khz) // 1000


def uptime(pid: int, root: pathlib.Path = _ROOT) -> int | None:
    """Whole seconds since the process was started; None when it is not there."""
    try:
        text = (root / f'proc/{pid}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is in parentheses and may hold anything; the start is the 22nd.
    started = int(text.rpartition(')')[2].split()[19])
    now = float((root / 'proc/uptime').read_text().split()[0])
    return max(0, int(now - started / _TICKS))


def traffic(root: pathlib.Path = _ROOT) -> dict[str, Traffic]:
    """By link, of the network namespace that the caller is in."""
    return dict(_links((root / 'proc/thread-self/net/dev').read_text()))


def _links(text: str) -> Iterator[tuple[str, Traffic]]:
    """Two lines of headings, then ``name: 8 numbers received, 8 sent``."""
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(':')
        counts = [int(number) for number in numbers.split()]
        yield name.strip(), Traffic(*counts[:4], *counts[8:12])
