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

"""Which processors and which memory servers may use.

Nova decides: the operator says with ``[compute] cpu_shared_set`` and
``cpu_dedicated_set`` which processors are for whom, and Nova's scheduler and
claims pick those of a server with ``hw:cpu_policy``, ``hw:numa_nodes``...
Here the host is described for it in its words, and its choice is read.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from typing import Any

from nova import exception
from nova import objects
from nova.virt import hardware

from zun_nova.virt import host_topology

_SMALL_PAGE_KB = 4


@dataclasses.dataclass(frozen=True)
class Processors:
    """The host's processors, by whom they are for."""

    topology: host_topology.Topology = host_topology.Topology()  # noqa: RUF009  it is frozen
    #: For servers without processors of their own.
    shared: frozenset[int] = frozenset()
    #: For servers with processors of their own (PCPU).
    dedicated: frozenset[int] = frozenset()
    #: The operator keeps servers to these; else all are shared.
    confined: bool = False


#: Of a host on which nothing is known or wanted of processors.
ANY = Processors()


@dataclasses.dataclass(frozen=True)
class HugePages:
    """Memory in huge pages of one size."""

    size_kb: int
    total_bytes: int


@dataclasses.dataclass(frozen=True)
class Choice:
    """Where a server runs; empty is anywhere."""

    cpus: tuple[int, ...] = ()
    #: NUMA nodes of its memory.
    mems: tuple[int, ...] = ()
    #: All processors are its own, and as many as it has vcpus.
    dedicated: bool = False
    huge_pages: tuple[HugePages, ...] = ()


def processors(topology: host_topology.Topology, shared: Iterable[int] | None,
               dedicated: Iterable[int] | None) -> Processors:
    """Divide the host as nova.conf says.

    :param shared: of [compute] cpu_shared_set, None when it is unset.
    :param dedicated: of [compute] cpu_dedicated_set, the same.
    :raises nova.exception.InvalidConfiguration: the host has no such
        processors, or some are in both sets.
    """
    online = topology.cpu_ids
    for option, wanted in (('cpu_shared_set', shared), ('cpu_dedicated_set', dedicated)):
        missing = set(wanted or ()) - online
        if missing:
            raise exception.InvalidConfiguration(
                f'[compute] {option}: this host has no processors {sorted(missing)} online, '
                f'only {sorted(online)}')
    both = set(shared or ()) & set(dedicated or ())
    if both:
        raise exception.InvalidConfiguration(
            f'[compute] cpu_shared_set and cpu_dedicated_set both name processors {sorted(both)}')
    confined = shared is not None or dedicated is not None
    return Processors(
        topology, frozenset(shared or ()) if confined else online, frozenset(dedicated or ()),
        confined)


def of_host() -> Processors:
    """Those of this host, read anew, with the options of Nova's global configuration.

    :raises nova.exception.InvalidConfiguration: see :func:`processors`.
    """
    return processors(
        host_topology.read(), hardware.get_cpu_shared_set(), hardware.get_cpu_dedicated_set())


def choice(numa_topology: Any, host: Processors) -> Choice:
    """What Nova picked for a server.

    :param numa_topology: its InstanceNUMATopology after the claim, or None.
    """
    if numa_topology is None:
        return Choice(tuple(sorted(host.shared)) if host.confined else ())
    pinned = {cpu for cell in numa_topology.cells for cpu in (cell.cpu_pinning or {}).values()}
    # Cells with vcpus that float over the shared processors of their node.
    floating = {cell.id for cell in numa_topology.cells if cell.cpuset}
    shared = {cpu for node in host.topology.nodes if node.id in floating
              for cpu in node.cpu_ids & host.shared}
    return Choice(
        cpus=tuple(sorted(pinned | shared)),
        mems=tuple(sorted(cell.id for cell in numa_topology.cells)),
        dedicated=not floating,
        huge_pages=tuple(_huge_pages(numa_topology.cells)))


def _huge_pages(cells: Iterable[Any]) -> Iterator[HugePages]:
    memory_mb: dict[int, int] = collections.Counter()
    for cell in cells:
        if cell.pagesize and cell.pagesize > _SMALL_PAGE_KB:
            memory_mb[cell.pagesize] += cell.memory
    for size, megabytes in sorted(memory_mb.items()):
        yield HugePages(size, megabytes * 1024 ** 2)


def nova_topology(host: Processors, reserved_pages: Mapping[int, Mapping[int, int]],
                  neutron: Any) -> objects.NUMATopology:
    """The host as Nova's scheduler sees it, without any usage.

    :param reserved_pages: number by node and size in KiB.
    :param neutron: ConfigOpts with the groups ``neutron*``.
    """
    return objects.NUMATopology(cells=[
        _cell(node, host, reserved_pages.get(node.id, {}), _networks(node.id, neutron))
        for node in host.topology.nodes])


def _cell(node: host_topology.Node, host: Processors, reserved: Mapping[int, int],
          networks: objects.NetworkMetadata) -> objects.NUMACell:
    usable = node.cpu_ids & (host.shared | host.dedicated)
    siblings = {cpu.siblings & usable for cpu in node.cpus} - {frozenset()}
    sockets = {cpu.socket for cpu in node.cpus}
    return objects.NUMACell(
        id=node.id,
        # Nova does not guess which of several sockets a device is near to.
        socket=sockets.pop() if len(sockets) == 1 else None,
        cpuset=set(node.cpu_ids & host.shared),
        pcpuset=set(node.cpu_ids & host.dedicated),
        pinned_cpus=set(),
        siblings=[set(core) for core in sorted(siblings, key=min)],
        memory=node.memory_kb // 1024,
        cpu_usage=0,
        memory_usage=0,
        mempages=[
            objects.NUMAPagesTopology(
                size_kb=pages.size_kb, total=pages.total, used=0,
                reserved=reserved.get(pages.size_kb, 0))
            for pages in (_small_pages(node), *node.huge_pages)],
        network_metadata=networks,
    )


def _small_pages(node: host_topology.Node) -> host_topology.Pages:
    huge = sum(pages.size_kb * pages.total for pages in node.huge_pages)
    return host_topology.Pages(_SMALL_PAGE_KB, (node.memory_kb - huge) // _SMALL_PAGE_KB)


def _networks(node: int, neutron: Any) -> objects.NetworkMetadata:
    """Which networks are near to this node, as the operator says."""
    return objects.NetworkMetadata(
        physnets={name for name in neutron.neutron.physnets
                  if node in neutron[f'neutron_physnet_{name}'].numa_nodes},
        tunneled=node in neutron.neutron_tunnel.numa_nodes)
