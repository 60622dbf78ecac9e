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
"""A container's life as a server, through the API."""

from __future__ import annotations

import re
import signal
from typing import Any

from nova.compute import power_state
from testtools import testcase

from zun_nova.tests.functional.cloud import base
from zun_nova.tests.functional.cloud import networks

#: Counts its own starts in the writable layer, and says when it is asked to end.
COUNTER = """
echo start >> /starts
echo "started $(wc -l < /starts) times"
trap 'echo "asked to end"; exit 0' TERM
while :; do sleep 0.1; done
"""

STUBBORN = """
trap 'echo "I stay"' TERM
echo ready
while :; do sleep 0.1; done
"""


class LifeCycleTest(base.CloudTest):

    @testcase.attr('ovs')
    def test_stop_and_start_keep_disk_port_and_address(self) -> None:
        server = self.boot(self.image(COUNTER))
        port = next(iter(self.demo.network.ports(device_id=server.id)))
        self.console_with(server, 'started 1 times')
        self.demo.compute.stop_server(server.id)
        server = self.wait_status(server, 'SHUTOFF')
        self.assertEqual(power_state.SHUTDOWN, server.power_state)
        self.assertIn('asked to end', self.console(server))
        self.assertEqual(0, self.container(server)['State']['ExitCode'])
        self.demo.compute.start_server(server.id)
        server = self.wait_status(server, 'ACTIVE')
        self.assertEqual(power_state.RUNNING, server.power_state)
        self.console_with(server, 'started 2 times')
        again = next(iter(self.demo.network.ports(device_id=server.id)))
        self.assertEqual((port.id, port.mac_address, port.fixed_ips),
                         (again.id, again.mac_address, again.fixed_ips))

    def test_soft_reboot_asks_and_hard_reboot_does_not(self) -> None:
        server = self.boot(self.image(COUNTER))
        self.console_with(server, 'started 1 times')
        self.demo.compute.reboot_server(server.id, 'SOFT')
        self.wait_status(server, 'ACTIVE')
        self.assertEqual(1, self.console_with(server, 'started 2 times').count('asked to end'))
        self.demo.compute.reboot_server(server.id, 'HARD')
        self.wait_status(server, 'ACTIVE')
        self.assertEqual(1, self.console_with(server, 'started 3 times').count('asked to end'))

    def test_stop_kills_what_does_not_end(self) -> None:
        server = self.boot(self.image(STUBBORN, properties={'os_shutdown_timeout': '1'}))
        self.console_with(server, 'ready')
        self.demo.compute.stop_server(server.id)
        server = self.wait_status(server, 'SHUTOFF')
        self.assertIn('I stay', self.console(server))
        self.assertEqual(137, self.container(server)['State']['ExitCode'])

    def test_pause_and_unpause(self) -> None:
        server = self.boot(self.image(COUNTER))
        self.demo.compute.pause_server(server.id)
        server = self.wait_status(server, 'PAUSED')
        self.assertEqual(power_state.PAUSED, server.power_state)
        self.assertTrue(self.container(server)['State']['Paused'])
        self.demo.compute.unpause_server(server.id)
        server = self.wait_status(server, 'ACTIVE')
        self.assertEqual(power_state.RUNNING, server.power_state)
        self.assertIn('started 1 times', self.console(server))

    def test_delete_a_paused_server(self) -> None:
        server = self.boot()
        self.demo.compute.pause_server(server.id)
        self.wait_status(server, 'PAUSED')
        self.delete(server)

    def test_reboot_repairs_a_network_that_was_lost(self) -> None:
        server = self.boot(self.image('ip address show eth0; exec sleep 1000'))
        address = next(iter(self.demo.network.ports(device_id=server.id))).fixed_ips[0][
            'ip_address']
        self.host_of(server).engine.kill(f'nova-{server.id}-net')
        self.demo.compute.reboot_server(server.id, 'HARD')
        self.wait_status(server, 'ACTIVE')
        self.eventually(
            lambda: self.console(server).count(f' {address}/') == 2, 'the address is back')
        self.assertIn('default via', self.in_server(server, 'ip', 'route'))

    @testcase.attr('ovs')
    def test_nothing_is_left_after_delete(self) -> None:
        before = self.traces()
        servers = [self.boot() for _ in range(2)]
        self.demo.compute.stop_server(servers[0].id)
        self.wait_status(servers[0], 'SHUTOFF')
        made = [trace.split()[0] for trace in self.traces() - before]
        self.assertEqual(2, made.count('link'))
        self.assertEqual(2, made.count('port'))
        self.assertEqual(4, made.count('container'))
        for server in servers:
            self.delete(server)
        self.assertEqual(set(), self.traces() - before)

    def test_a_server_nobody_can_start_tells_why_and_leaves_nothing(self) -> None:
        before = self.traces()
        metadata = {'container:command': '/no/such/program'}
        self.assertIn('/no/such/program', self.fault_of(metadata=metadata))
        self.assertEqual(set(), self.traces() - before)


class HostTest(networks.NetworkCase):

    def test_servers_outlive_a_restart_of_nova_compute(self) -> None:
        """Process, interfaces and traffic."""
        server = self.boot(self.image(COUNTER))
        pid = self.container(server)['State']['Pid']
        links = self.in_server(server, 'ip', 'link')
        sent, received = self.ping_while_compute_restarts(server)
        # Some may be late on a busy machine; wiring anew would lose more.
        self.assertGreater(received, sent * 0.8)
        self.demo.compute.pause_server(server.id)
        self.wait_status(server, 'PAUSED')
        self.demo.compute.unpause_server(server.id)
        self.wait_status(server, 'ACTIVE')
        self.assertEqual(pid, self.container(server)['State']['Pid'])
        self.assertEqual(links, self.in_server(server, 'ip', 'link'))

    def ping_while_compute_restarts(self, server: Any) -> tuple[int, int]:
        """How many requests the server sent to its gateway, and how many answers came."""
        host = self.host_of(server)
        with host.start_in_server(server.id, 'ping', '-i', '0.05',
                                  self.routes(server)['default'][0]) as ping:
            try:
                self.restart_compute(host.name)
            finally:
                ping.send_signal(signal.SIGINT)
            output, _ = ping.communicate(timeout=60)
        found = re.search(r'(\d+) packets transmitted, (\d+) received', output)
        self.assertIsNotNone(found, output)
        return int(found[1]), int(found[2])

    def test_hypervisor(self) -> None:
        node = next(iter(self.admin.compute.hypervisors(details=True)))
        self.assertEqual('docker', node.hypervisor_type)
        self.assertEqual('up', node.state)
        self.assertGreaterEqual(node.hypervisor_version, 20010000)
        self.assertIn('load average', node.uptime)

    def test_inventory_and_traits(self) -> None:
        node = next(iter(self.admin.compute.hypervisors(details=True)))
        placement = self.admin.placement
        inventories = placement.get(
            f'/resource_providers/{node.id}/inventories').json()['inventories']
        self.assertEqual({'VCPU', 'MEMORY_MB', 'DISK_GB'}, set(inventories))
        self.assertEqual(16.0, inventories['VCPU']['allocation_ratio'])   # nova.conf's
        self.assertEqual(512, inventories['MEMORY_MB']['reserved'])
        traits = placement.get(
            f'/resource_providers/{node.id}/traits',
            headers={'OpenStack-API-Version': 'placement 1.6'}).json()['traits']
        self.assertLessEqual(
            {'CUSTOM_CONTAINER_HOST', 'CUSTOM_CONTAINER_ENGINE_DOCKER',
             'CUSTOM_CONTAINER_RUNTIME_RUNC', 'COMPUTE_IMAGE_TYPE_RAW'}, set(traits))
