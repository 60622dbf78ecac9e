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

"""A sysfs of a host that this machine is not, as a tree of files."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib


def write(root: pathlib.Path, files: Mapping[str, object]) -> None:
    """Make files by their paths below root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{text}\n')


def host(root: pathlib.Path, nodes: Mapping[int, str], cores: Sequence[str],
         huge_pages: Mapping[int, Mapping[int, int]] | None = None,
         online: str | None = None) -> None:
    """Processors, NUMA nodes and huge pages; as Linux 6.1 shows them.

    :param nodes: the processors of each node, in the kernel's format; none at
        all: a kernel without NUMA.
    :param cores: the threads of each core, in the kernel's format.
    :param huge_pages: number of pages by node and size in KiB.
    """
    write(root, {'devices/system/cpu/online': online or ','.join(cores)})
    for node, cpus in nodes.items():
        write(root, {
            f'devices/system/node/node{node}/cpulist': cpus,
            f'devices/system/node/node{node}/meminfo':
                f'Node {node} MemTotal:       1048576 kB\nNode {node} MemFree:        1024 kB'})
        for size, number in (huge_pages or {}).get(node, {}).items():
            folder = f'devices/system/node/node{node}/hugepages/hugepages-{size}kB'
            write(root, {f'{folder}/nr_hugepages': number})
    for socket, core in enumerate(cores):
        for cpu in core.replace('-', ',').split(','):
            folder = f'devices/system/cpu/cpu{cpu}/topology'
            write(root, {
                f'{folder}/thread_siblings_list': core,
                f'{folder}/physical_package_id': socket % max(len(nodes), 1)})
