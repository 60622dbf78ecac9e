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
"""A server's network is there before its process is."""

from __future__ import annotations

from typing import Any

import requests
from testtools import testcase

from zun_nova.tests.functional.cloud import base

#: The very first instruction prints the network; busybox is the process itself.
FIRST = ['/bin/busybox', 'ip', 'address', 'show', 'eth0']


class NetworkTest(base.CloudTest):

    def port_of(self, server: Any) -> Any:
        return next(iter(self.demo.network.ports(device_id=server.id)))

    def boot_once(self, command: list[str]) -> Any:
        """A server whose process was this command and has ended."""
        image = self.image(config={'Cmd': command})
        return self.boot(image, status='SHUTOFF')

    @testcase.attr('ovs')
    def test_first_instruction_sees_address_mac_and_mtu(self) -> None:
        server = self.boot_once(FIRST)
        port = self.port_of(server)
        seen = self.console_with(server, 'link/ether')
        network = self.demo.network.get_network(port.network_id)
        self.assertIn(f'mtu {network.mtu} ', seen)
        self.assertIn(f'link/ether {port.mac_address} ', seen)
        self.assertIn(',UP', seen)
        for fixed in port.fixed_ips:
            self.assertIn(f' {fixed["ip_address"]}/', seen)
        self.assertNotIn('tentative', seen)

    def test_first_instruction_sees_routes(self) -> None:
        subnets = {
            subnet.ip_version: subnet for subnet in self.demo.network.subnets()
            if subnet.name.startswith('private-')}
        for version, flag in ((4, '-4'), (6, '-6')):
            server = self.boot_once(['/bin/busybox', 'ip', flag, 'route', 'show'])
            self.console_with(server, f'default via {subnets[version].gateway_ip} dev eth0')

    def test_host_name_addresses_and_name_servers(self) -> None:
        image = self.image('hostname; cat /etc/hosts /etc/resolv.conf; echo end')
        server = self.boot(image, status='SHUTOFF')
        lines = self.console_with(server, '\nend').splitlines()
        self.assertEqual(server.name, lines[0])
        for fixed in self.port_of(server).fixed_ips:
            self.assertIn([fixed['ip_address'], server.name], [line.split() for line in lines])
        # The subnets have no name servers; the compute host's are none of the owner's business.
        self.assertEqual(['nameserver 127.0.0.1'],
                         [line for line in lines if line.startswith('nameserver')])

    def test_two_servers_ping_each_other(self) -> None:
        servers = [self.boot(), self.boot()]
        for sender, receiver in (servers, reversed(servers)):
            for fixed in self.port_of(receiver).fixed_ips:
                # From outside: most ping programs want NET_RAW, which servers have not.
                self.in_server(sender, 'ping', '-c', '3', '-W', '2', fixed['ip_address'])

    def test_one_server_talks_to_another(self) -> None:
        web = self.boot()
        self.console_with(web, 'httpd listens')
        for fixed in self.port_of(web).fixed_ips:
            address = fixed['ip_address']
            url = f'http://[{address}]/' if ':' in address else f'http://{address}/'
            client = self.boot(self.image(f'wget -q -O - {url}; sleep 1000'))
            self.console_with(client, 'Hello from ' + web.name)

    def test_port_is_active_when_the_server_is(self) -> None:
        server = self.boot()
        port = self.port_of(server)
        self.assertEqual('ACTIVE', port.status)
        self.assertEqual('compute:nova', port.device_owner)
        self.assertEqual(server.id, port.device_id)

    @testcase.attr('ovs')
    def test_floating_ip_answers_the_host(self) -> None:
        server = self.boot()
        port = self.port_of(server)
        public = self.demo.network.find_network('public', ignore_missing=False)
        fixed = next(f['ip_address'] for f in port.fixed_ips if '.' in f['ip_address'])
        floating = self.demo.network.create_ip(
            floating_network_id=public.id, port_id=port.id, fixed_ip_address=fixed)
        self.addCleanup(self.demo.network.delete_ip, floating.id)
        self.eventually(lambda: self.answers(floating.floating_ip_address), 'HTTP answers')

    def answers(self, address: str) -> bool:
        try:
            return 'Hello from' in requests.get(f'http://{address}/', timeout=1).text
        except requests.RequestException:
            return False
