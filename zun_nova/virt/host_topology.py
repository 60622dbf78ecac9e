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

"""The host's processors and memory by NUMA node, as the kernel shows them in sysfs."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import pathlib
import re

SYSFS = pathlib.Path('/sys')

_NODES = 'devices/system/node'
_CPUS = 'devices/system/cpu'
_HUGE_PAGES = 'kernel/mm/hugepages'
_MEM_TOTAL = re.compile(r'MemTotal:\s+(\d+) kB')


@dataclasses.dataclass(frozen=True)
class Cpu:
    """A logical processor."""

    id: int
    #: The physical package it is in; None when the kernel does not know.
    socket: int | None
    #: The threads of its core, itself among them.
    siblings: frozenset[int]


@dataclasses.dataclass(frozen=True)
class Pages:
    """Huge pages of one size that are set apart."""

    size_kb: int
    total: int


@dataclasses.dataclass(frozen=True)
class Node:
    """Processors and the memory that is near to them."""

    id: int
    cpus: tuple[Cpu, ...]
    memory_kb: int
    huge_pages: tuple[Pages, ...]

    @property
    def cpu_ids(self) -> frozenset[int]:
        return frozenset(cpu.id for cpu in self.cpus)


@dataclasses.dataclass(frozen=True)
class Topology:
    """The nodes that have processors, all of them online."""

    nodes: tuple[Node, ...] = ()

    @property
    def cpu_ids(self) -> frozenset[int]:
        return frozenset().union(*(node.cpu_ids for node in self.nodes))

    @property
    def has_threads(self) -> bool:
        """Some core has more than one."""
        return any(len(cpu.siblings) > 1 for node in self.nodes for cpu in node.cpus)


def read(sysfs: pathlib.Path = SYSFS, proc: pathlib.Path = pathlib.Path('/proc')) -> Topology:
    """Read it anew; the host is one node 0 when its kernel knows no NUMA."""
    online = cpu_list((sysfs / _CPUS / 'online').read_text())
    found = []
    for folder in (sysfs / _NODES).glob('node[0-9]*'):
        cpus = cpu_list((folder / 'cpulist').read_text()) & online
        if cpus:
            found.append(_node(sysfs, int(folder.name.removeprefix('node')), cpus,
                               folder / 'meminfo', folder / 'hugepages'))
    if not found:
        found = [_node(sysfs, 0, online, proc / 'meminfo', sysfs / _HUGE_PAGES)]
    return Topology(tuple(sorted(found, key=lambda node: node.id)))


def cpu_list(text: str) -> frozenset[int]:
    """The kernel's "List format" of cpuset(7): ``0-2,7``."""
    ids: set[int] = set()
    for part in filter(None, text.strip().split(',')):
        first, _, last = part.partition('-')
        ids.update(range(int(first), int(last or first) + 1))
    return frozenset(ids)


def _node(sysfs: pathlib.Path, number: int, cpus: frozenset[int], meminfo: pathlib.Path,
          huge_pages: pathlib.Path) -> Node:
    memory = _MEM_TOTAL.search(meminfo.read_text())
    return Node(
        id=number,
        cpus=tuple(_cpu(sysfs, cpu, cpus) for cpu in sorted(cpus)),
        memory_kb=int(memory.group(1)) if memory else 0,
        huge_pages=tuple(sorted(_pages(huge_pages), key=lambda pages: pages.size_kb)),
    )


def _cpu(sysfs: pathlib.Path, number: int, online: frozenset[int]) -> Cpu:
    topology = sysfs / _CPUS / f'cpu{number}' / 'topology'
    try:
        siblings = cpu_list((topology / 'thread_siblings_list').read_text())
        socket = int((topology / 'physical_package_id').read_text())
    except FileNotFoundError:   # kernels of some machines have no such files
        return Cpu(number, None, frozenset({number}))
    return Cpu(number, socket if socket >= 0 else None, (siblings & online) | {number})


def _pages(folder: pathlib.Path) -> Iterator[Pages]:
    for entry in folder.glob('hugepages-*kB'):
        size = entry.name.removeprefix('hugepages-').removesuffix('kB')
        yield Pages(int(size), int((entry / 'nr_hugepages').read_text()))
