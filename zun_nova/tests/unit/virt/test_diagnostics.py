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

"""The two forms of diagnostics, from figures."""

from __future__ import annotations

import types
from typing import Any

from nova import test
from nova.compute import power_state

from zun_nova.tests.unit.vif import fakes as vif_fakes
from zun_nova.tests.unit.virt import fakes
from zun_nova.virt import cgroup
from zun_nova.virt import diagnostics
from zun_nova.virt import procfs
from zun_nova.virt.runtime import base

MIB = 1024 ** 2
USAGE = cgroup.Usage(
    cpu_ns=101, memory_bytes=5 * MIB + 1, memory_limit_bytes=64 * MIB, pids=3,
    read_bytes=10, read_requests=1, write_bytes=20, write_requests=2)
TRAFFIC = procfs.Traffic(1, 2, 3, 4, 5, 6, 7, 8)


def figures(**changes: Any) -> diagnostics.Figures:
    values = {'power_state': power_state.RUNNING, 'vcpus': 2, 'memory_mb': 128, 'usage': USAGE,
              'uptime': 9, 'nics': (diagnostics.Nic('fa:16:3e:00:00:01', 'tap1', TRAFFIC),)}
    return diagnostics.Figures(**(values | changes))


class FormsTest(test.NoDBTestCase):

    def standard(self, made: diagnostics.Figures) -> Any:
        instance = fakes.instance(config_drive='True')
        instance.image_meta = types.SimpleNamespace(properties={})
        return diagnostics.standard_form(instance, made, 'docker')

    def test_free_form(self) -> None:
        self.assertEqual({
            'cpu0_time': 51, 'cpu1_time': 50, 'memory': 64 * 1024, 'memory-used': 5 * 1024,
            'root_read_req': 1, 'root_read': 10, 'root_write_req': 2, 'root_write': 20,
            # What the host has sent, the server has received.
            'tap1_rx': 5, 'tap1_rx_packets': 6, 'tap1_rx_errors': 7, 'tap1_rx_drop': 8,
            'tap1_tx': 1, 'tap1_tx_packets': 2, 'tap1_tx_errors': 3, 'tap1_tx_drop': 4,
        }, diagnostics.free_form(figures()))

    def test_standard_form(self) -> None:
        made = self.standard(figures())
        self.assertEqual(('running', 'libvirt', 'docker', 'linux', 9, True),
                         (made.state, made.driver, made.hypervisor, made.hypervisor_os,
                          made.uptime, made.config_drive))
        self.assertEqual((2, 1, 1), (made.num_cpus, made.num_nics, made.num_disks))
        self.assertEqual([(0, 51), (1, 50)], [(cpu.id, cpu.time) for cpu in made.cpu_details])
        self.assertEqual((64, 5), (made.memory_details.maximum, made.memory_details.used))
        [nic] = made.nic_details
        self.assertEqual(('fa:16:3e:00:00:01', 5, 8, 1, 4), (
            nic.mac_address, nic.rx_octets, nic.rx_drop, nic.tx_octets, nic.tx_drop))
        [disk] = made.disk_details
        self.assertEqual((10, 1, 20, 2), (disk.read_bytes, disk.read_requests, disk.write_bytes,
                                          disk.write_requests))

    def test_what_is_not_known(self) -> None:
        bare = figures(power_state=power_state.SHUTDOWN, usage=cgroup.Usage(), uptime=None,
                       nics=(diagnostics.Nic('fa:16:3e:00:00:01', 'tap1', None),))
        self.assertEqual({'memory': 128 * 1024}, diagnostics.free_form(bare))
        made = self.standard(bare)
        self.assertEqual(('shutdown', None, 2, 128), (
            made.state, made.uptime, made.num_cpus, made.memory_details.maximum))
        self.assertEqual([None, None], [cpu.time for cpu in made.cpu_details])
        self.assertIsNone(made.nic_details[0].rx_octets)


class MeasureTest(test.NoDBTestCase):

    def test_a_server_that_does_not_run(self) -> None:
        instance = fakes.instance(get_network_info=lambda: [vif_fakes.vif()])
        container = base.ContainerInfo(
            id='a' * 64, name='x', state=base.State.EXITED, labels={}, image_id='', pid=None,
            exit_code=0, oom_killed=False, error='')
        found = diagnostics.measure(instance, container)
        self.assertEqual((power_state.SHUTDOWN, cgroup.Usage(), None),
                         (found.power_state, found.usage, found.uptime))
        [nic] = found.nics
        self.assertEqual(f'tap{vif_fakes.PORT_ID[:11]}', nic.device)
