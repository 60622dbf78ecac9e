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

"""How every service is, for people and for the exit code."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pathlib
import typing

from zun_cloud import service as cloud_service
from zun_cloud import services
from zun_cloud import settings as cloud_settings
from zun_cloud import supervise

HEADINGS = ('SERVICE', 'HOST', 'PID', 'PORT', 'HEALTHY', 'MEMORY')


@dataclasses.dataclass(frozen=True)
class Row:
    """One service now.

    :param memory: proportional share of the process and its children, in bytes.
    """

    service: cloud_service.Service
    pid: int | None
    healthy: bool
    memory: int

    def cells(self) -> tuple[str, ...]:
        host = f'compute{self.service.host}' if self.service.host else ''
        return (
            self.service.name, host, str(self.pid or '-'), str(self.service.port or '-'),
            'yes' if self.healthy else 'NO', f'{self.memory / 2**20:.0f} MiB' if self.pid else '-',
        )


def rows(settings: cloud_settings.Settings) -> list[Row]:
    """The state of every service there should be; asks all of them at once."""
    processes = supervise.Manager(settings).processes()
    children = _children()
    every = services.all_services(settings)

    def look(item: cloud_service.Service) -> Row:
        process = processes.get(item.name)
        pid = process.pid if process and process.up else None
        return Row(item, pid, bool(pid) and item.ready(), _memory(pid, children) if pid else 0)

    with concurrent.futures.ThreadPoolExecutor(len(every)) as pool:
        return list(pool.map(look, every))


def table(found: typing.Sequence[Row]) -> str:
    lines = [HEADINGS, *(row.cells() for row in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    text = [
        '  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    total = sum(row.memory for row in found)
    well = sum(row.healthy for row in found)
    return '\n'.join([*text, '', f'{well} of {len(found)} well, {total / 2**20:.0f} MiB'])


def _memory(pid: int, children: typing.Mapping[int, list[int]]) -> int:
    total, waiting = 0, [pid]
    while waiting:
        current = waiting.pop()
        total += _pss(current)
        waiting += children.get(current, [])
    return total


def _pss(pid: int) -> int:
    try:
        text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith('Pss:'):
            return int(line.split()[1]) * 1024
    return 0


def _children() -> dict[int, list[int]]:
    """Every process of the machine by its parent."""
    found: dict[int, list[int]] = {}
    for entry in pathlib.Path('/proc').iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / 'stat').read_text()
        except OSError:
            continue
        parent = int(text.rpartition(')')[2].split()[1])
        found.setdefault(parent, []).append(int(entry.name))
    return found
