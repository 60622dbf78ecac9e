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

from __future__ import annotations

import pathlib

import fixtures
from oslotest import base

from zun_nova.tests.unit.virt import fake_sysfs
from zun_nova.virt import host_topology

MEMORY_KB = 1_048_576


class HostTopologyTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def read(self) -> host_topology.Topology:
        return host_topology.read(self.root, self.root)

    def test_one_node(self) -> None:
        fake_sysfs.host(self.root, {0: '0-1'}, ['0', '1'], {0: {2048: 3, 1048576: 0}})
        topology = self.read()
        self.assertEqual(
            (host_topology.Node(
                0, (host_topology.Cpu(0, 0, frozenset({0})),
                    host_topology.Cpu(1, 0, frozenset({1}))), MEMORY_KB,
                (host_topology.Pages(2048, 3), host_topology.Pages(1048576, 0))),),
            topology.nodes)
        self.assertFalse(topology.has_threads)

    def test_two_nodes_with_threads(self) -> None:
        fake_sysfs.host(self.root, {1: '1,3', 0: '0,2'}, ['0,2', '1,3'])
        topology = self.read()
        self.assertEqual([(0, {0, 2}), (1, {1, 3})],
                         [(node.id, node.cpu_ids) for node in topology.nodes])
        self.assertEqual([0, 1], [node.cpus[0].socket for node in topology.nodes])
        self.assertEqual({1, 3}, topology.nodes[1].cpus[0].siblings)
        self.assertTrue(topology.has_threads)

    def test_what_is_offline_or_has_no_processors_is_left_out(self) -> None:
        fake_sysfs.host(self.root, {0: '0-1', 1: '', 2: '2'}, ['0,1', '2'], online='0')
        topology = self.read()
        self.assertEqual([0], [node.id for node in topology.nodes])
        self.assertEqual({0}, topology.cpu_ids)
        self.assertFalse(topology.has_threads)

    def test_a_kernel_without_numa_and_topology(self) -> None:
        fake_sysfs.write(self.root, {
            'devices/system/cpu/online': '0-1', 'meminfo': 'MemTotal:        2048 kB',
            'kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': 1})
        self.assertEqual(
            (host_topology.Node(
                0, (host_topology.Cpu(0, None, frozenset({0})),
                    host_topology.Cpu(1, None, frozenset({1}))), 2048,
                (host_topology.Pages(2048, 1),)),),
            self.read().nodes)

    def test_this_machine(self) -> None:
        topology = host_topology.read()
        self.assertTrue(topology.cpu_ids)
        self.assertGreater(min(node.memory_kb for node in topology.nodes), 0)

    def test_cpu_list(self) -> None:
        for text, wanted in (('', set()), ('0\n', {0}), ('0-2,7', {0, 1, 2, 7})):
            self.assertEqual(wanted, host_topology.cpu_list(text))
