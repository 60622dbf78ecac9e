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

"""Servers on different compute hosts."""

from __future__ import annotations

from typing import Any

from zun_nova.tests.functional.cloud import base


class TwoHostsCase(base.CloudTest):
    """A test that needs two compute hosts."""

    def setUp(self) -> None:
        super().setUp()
        if len(self.hosts) < 2:
            self.skipTest('the cloud has one compute host: cloud up --computes 2')

    def boot_on(self, name: str) -> Any:
        """A server on this host; only administrators choose."""
        image = self.demo.image.find_image('busybox', ignore_missing=False)
        network = self.demo.network.find_network('private', ignore_missing=False)
        server = self.admin.compute.create_server(
            name=f'test-on-{name}', image_id=image.id, networks=[{'uuid': network.id}],
            flavor_id=self.demo.compute.find_flavor('container.tiny').id,
            availability_zone=f'nova:{name}')
        self.addCleanup(self.admin.compute.delete_server, server.id, ignore_missing=True)
        return self.wait_status(server, 'ACTIVE')

    def delete_as_admin(self, server: Any) -> None:
        self.admin.compute.delete_server(server.id)
        self.admin.compute.wait_for_delete(server, interval=0.2)


class TwoHostsTest(TwoHostsCase):

    def test_each_host_has_its_own_engine_and_node(self) -> None:
        nodes = {node.name: node for node in self.admin.compute.hypervisors(details=True)}
        self.assertEqual(set(self.hosts), set(nodes))
        self.assertEqual(len(nodes), len({node.id for node in nodes.values()}))
        for name in self.hosts:
            server = self.boot_on(name)
            self.assertEqual(name, self.host_of(server).name)
            self.assertTrue(self.container(server)['State']['Running'])

    def test_servers_ping_across_hosts(self) -> None:
        receiver = self.boot()
        port = next(iter(self.demo.network.ports(device_id=receiver.id)))
        other = next(name for name in self.hosts if name != self.host_of(receiver).name)
        sender = self.boot_on(other)
        for fixed in port.fixed_ips:
            self.in_server(sender, 'ping', '-c', '3', '-W', '2', fixed['ip_address'])

    def test_nothing_is_left_on_any_host(self) -> None:
        before = self.traces()
        for server in [self.boot_on(name) for name in self.hosts]:
            self.delete_as_admin(server)
        self.assertEqual(set(), self.traces() - before)
