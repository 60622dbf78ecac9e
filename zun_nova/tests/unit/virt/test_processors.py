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

"""Nova's own arithmetic on the topology that hosts of containers report."""

from __future__ import annotations

from collections.abc import Sequence
import pathlib
from typing import Any

import fixtures
from nova import conf
from nova import exception
from nova import objects
from nova import test
from nova.virt import hardware

from zun_nova.tests.unit.virt import fake_sysfs
from zun_nova.virt import host_topology
from zun_nova.virt import processors

CONF = conf.CONF
GIB_IN_MIB = 1024


class ProcessorsTest(test.NoDBTestCase):

    def host(self, shared: set[int] | None = None, dedicated: set[int] | None = None,
             huge_pages: Any = None,
             cores: Sequence[str] = ('0,4', '1,5', '2,6', '3,7')) -> processors.Processors:
        """Two nodes of a GiB with two cores of two threads each, unless cores says else."""
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        fake_sysfs.host(root, {0: '0-1,4-5', 1: '2-3,6-7'}, cores, huge_pages)
        return processors.processors(host_topology.read(root), shared, dedicated)

    def claim(self, host: processors.Processors, vcpus: int = 2, memory_mb: int = 512,
              reserved: Any = None, **hw: str) -> processors.Choice | None:
        """Where Nova puts a server with these ``hw:`` extra specs; None: nowhere."""
        flavor = objects.Flavor(
            vcpus=vcpus, memory_mb=memory_mb,
            extra_specs={f'hw:{key}': value for key, value in hw.items()})
        wanted = hardware.numa_get_constraints(
            flavor, objects.ImageMeta.from_dict({'properties': {}}))
        # As it comes back to the scheduler from the database.
        reported = objects.NUMATopology.obj_from_db_obj(
            processors.nova_topology(host, reserved or {}, CONF)._to_json())
        fitted = hardware.numa_fit_instance_to_host(reported, wanted, {})
        return fitted and processors.choice(fitted, host)

    def test_dedicated(self) -> None:
        host = self.host(shared={0, 4}, dedicated={1, 5, 2, 6, 3, 7})
        picked = self.claim(host, 4, cpu_policy='dedicated')
        self.assertEqual(processors.Choice((2, 3, 6, 7), (1,), dedicated=True), picked)
        self.assertIsNone(self.claim(host, 5, cpu_policy='dedicated'))

    def test_nothing_is_dedicated_unless_the_operator_says_so(self) -> None:
        self.assertIsNone(self.claim(self.host(), cpu_policy='dedicated'))

    def test_thread_policies(self) -> None:
        host = self.host(dedicated={0, 1, 4, 5})
        for policy, wanted in (('require', 1), ('prefer', 1)):
            picked = self.claim(host, 2, cpu_policy='dedicated', cpu_thread_policy=policy)
            assert picked is not None
            self.assertEqual(wanted, len({cpu % 4 for cpu in picked.cpus}), policy)
        # Since Placement knows HW_CPU_HYPERTHREADING this is for hosts without threads.
        self.assertIsNone(
            self.claim(host, 2, cpu_policy='dedicated', cpu_thread_policy='isolate'))
        picked = self.claim(
            self.host(dedicated={0, 1}, cores=tuple('01234567')), 2, cpu_policy='dedicated',
            cpu_thread_policy='isolate')
        self.assertEqual(processors.Choice((0, 1), (0,), dedicated=True), picked)

    def test_mixed(self) -> None:
        host = self.host(shared={0, 4, 3, 7}, dedicated={1, 5})
        picked = self.claim(host, 3, cpu_policy='mixed', cpu_dedicated_mask='1')
        assert picked is not None
        # One of its own, and all that are shared on that node.
        self.assertIn(picked.cpus, ((0, 1, 4), (0, 4, 5)))
        self.assertEqual((0,), picked.mems)
        self.assertFalse(picked.dedicated)

    def test_nodes(self) -> None:
        self.assertEqual(
            processors.Choice((0, 1, 2, 3, 4, 5, 6, 7), (0, 1)),
            self.claim(self.host(), 4, numa_nodes='2'))
        self.assertEqual(
            processors.Choice((2, 6), (1,)),
            self.claim(self.host(shared={2, 6}), 2, numa_nodes='1'))
        self.assertIsNone(self.claim(self.host(), 2, memory_mb=1025, numa_nodes='1'))

    def test_huge_pages(self) -> None:
        host = self.host(huge_pages={0: {2048: 10}, 1: {2048: 300}})
        picked = self.claim(host, 2, 512, mem_page_size='2MB')
        self.assertEqual(processors.Choice((2, 3, 6, 7), (1,), huge_pages=(
            processors.HugePages(2048, 512 * 1024 ** 2),)), picked)
        self.assertEqual((), self.claim(host, 2, 512, mem_page_size='small').huge_pages)
        self.assertIsNone(self.claim(host, 2, 512, {1: {2048: 50}}, mem_page_size='2MB'))
        self.assertIsNone(self.claim(host, 2, 512, mem_page_size='1GB'))

    def test_a_server_that_asks_for_nothing(self) -> None:
        for shared, dedicated, cpus in (
            (None, None, ()), ({1, 2}, None, (1, 2)), ({1, 2}, {3}, (1, 2)), (None, {3}, ()),
        ):
            self.assertEqual(
                processors.Choice(cpus), processors.choice(None, self.host(shared, dedicated)))

    def test_options_that_do_not_fit_the_host(self) -> None:
        for shared, dedicated, wanted in (
            ({0, 8}, None, 'cpu_shared_set: this host has no processors [8] online'),
            (None, {9}, 'cpu_dedicated_set: this host has no processors [9] online'),
            ({0, 1}, {1, 2}, 'both name processors [1]'),
        ):
            ex = self.assertRaises(
                exception.InvalidConfiguration, self.host, shared, dedicated)
            self.assertIn(wanted, str(ex))

    def test_what_is_reported(self) -> None:
        topology = processors.nova_topology(
            self.host(shared={0, 4}, dedicated={1, 2}, huge_pages={0: {2048: 10}}),
            {0: {2048: 4}}, CONF)
        near, far = topology.cells
        self.assertEqual(({0, 4}, {1}), (near.cpuset, near.pcpuset))
        self.assertEqual((set(), {2}), (far.cpuset, far.pcpuset))
        self.assertEqual(([{0, 4}, {1}], [{2}]), (near.siblings, far.siblings))
        self.assertEqual(
            [(4, 1024 * GIB_IN_MIB // 4 - 10 * 512, 0), (2048, 10, 4)],
            [(pages.size_kb, pages.total, pages.reserved) for pages in near.mempages])
        self.assertEqual((GIB_IN_MIB, GIB_IN_MIB), (near.memory, far.memory))

    def test_networks_near_to_nodes(self) -> None:
        self.flags(physnets=['fast'], group='neutron')
        conf.neutron.register_dynamic_opts(CONF)
        self.flags(numa_nodes=[1], group='neutron_physnet_fast')
        self.flags(numa_nodes=[0], group='neutron_tunnel')
        topology = processors.nova_topology(self.host(), {}, CONF)
        self.assertEqual(
            [(set(), True), ({'fast'}, False)],
            [(cell.network_metadata.physnets, cell.network_metadata.tunneled)
             for cell in topology.cells])
