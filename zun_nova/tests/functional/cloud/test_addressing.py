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

"""Addresses, routes and names of servers, on networks of many kinds."""

from __future__ import annotations

import subprocess
from typing import Any

from zun_nova.tests.functional.cloud import networks

#: Pings ARGV[1] as nobody, over a socket that needs no privilege, as most ping programs do.
PING = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as ping:
    ping.settimeout(3)
    ping.sendto(bytes([8, 0, 0, 0, 0, 0, 0, 1]), (sys.argv[1], 0))
    ping.recv(100)
"""


class AddressingTest(networks.NetworkCase):

    def test_two_ports_with_everything(self) -> None:
        """The first port's network has no gateway, the second's all that Neutron knows."""
        plain = self.network({'cidr': '10.220.0.0/24', 'gateway_ip': None,
                              'is_dhcp_enabled': False})
        rich = self.network(
            {'cidr': '10.221.0.0/24', 'dns_nameservers': ['192.0.2.53'],
             'host_routes': [{'destination': '198.51.100.0/24', 'nexthop': '10.221.0.9'}]},
            {'cidr': '10.222.0.0/24', 'gateway_ip': None, 'is_dhcp_enabled': False},
            {'cidr': 'fd00:221::/64', 'gateway_ip': 'fd00:221::1',
             'ipv6_address_mode': 'dhcpv6-stateful', 'ipv6_ra_mode': 'dhcpv6-stateful',
             'dns_nameservers': ['2001:db8::53'],
             'host_routes': [{'destination': '2001:db8:5::/48', 'nexthop': 'fd00:221::9'}]},
            mtu=1400)
        wanted = [('10.221.0.0/24', '10.221.0.20'), ('10.221.0.0/24', '10.221.0.21'),
                  ('10.222.0.0/24', '10.222.0.20'), ('fd00:221::/64', 'fd00:221::20')]
        first = self.port(plain)
        second = self.port(rich, fixed_ips=[
            {'subnet_id': self.subnet(rich, cidr).id, 'ip_address': address}
            for cidr, address in wanted])
        server = self.boot(networks=[{'port': first.id}, {'port': second.id}],
                           hostname='web.a.test')
        self.check(server, first, second)
        self.demo.compute.stop_server(server.id)
        self.wait_status(server, 'SHUTOFF')
        self.demo.compute.start_server(server.id)
        self.wait_status(server, 'ACTIVE')
        self.check(server, first, second)

    def check(self, server: Any, first: Any, second: Any) -> None:
        links = self.links(server)
        self.assertEqual({'eth0': (first.mac_address, 1500), 'eth1': (second.mac_address, 1400)},
                         {name: (link['address'], link['mtu']) for name, link in links.items()})
        for name, port in (('eth0', first), ('eth1', second)):
            self.assertEqual({fixed['ip_address'] for fixed in port.fixed_ips},
                             self.addresses(server, name))
        routes = self.routes(server)
        self.assertEqual(('10.221.0.1', 'eth1'), routes['default'])
        self.assertEqual(('10.221.0.9', 'eth1'), routes['198.51.100.0/24'])
        routes = self.routes(server, '-6')
        self.assertEqual(('fd00:221::1', 'eth1'), routes['default'])
        self.assertEqual(('fd00:221::9', 'eth1'), routes['2001:db8:5::/48'])
        resolver = self.file(server, '/etc/resolv.conf')
        self.assertIn('search a.test', resolver)
        self.assertEqual({'nameserver 192.0.2.53', 'nameserver 2001:db8::53'},
                         {line for line in resolver if line.startswith('nameserver')})
        own = first.fixed_ips[0]['ip_address']
        hosts = [line.split() for line in self.file(server, '/etc/hosts')]
        self.assertIn([own, 'web.a.test'], hosts)
        self.assertIn([own, 'web'], hosts)
        self.assertEqual(['web.a.test'], self.file(server, '/etc/hostname'))

    def test_ipv6_only_and_small_frames(self) -> None:
        network = self.network({'cidr': 'fd00:223::/64', 'ipv6_address_mode': 'slaac',
                                'ipv6_ra_mode': 'slaac'}, mtu=1300)
        one, two = (self.boot(networks=[{'uuid': network.id}]) for _ in range(2))
        self.assertEqual({self.address(one, version=6)}, self.addresses(one, 'eth0'))
        self.assertEqual('eth0', self.routes(one, '-6')['default'][1])
        address = self.address(two, version=6)
        self.ping(one, address)
        # Headers take 48 bytes.
        self.ping(one, address, '-M', 'do', '-s', '1252')
        self.assertRaises(subprocess.CalledProcessError, self.ping, one, address,
                          '-M', 'do', '-s', '1253')
        # The metadata service by its link-local address.
        self.assertIn(two.id, self.in_server(
            two, 'curl', '--silent', '--fail', '--globoff', '--retry', '5', '--retry-all-errors',
            'http://[fe80::a9fe:a9fe%eth0]/openstack/latest/meta_data.json'))

    def test_unprivileged_ping(self) -> None:
        server = self.boot()
        gateway = self.routes(server)['default'][0] or ''
        self.in_server(server, 'python3', '-c', PING, gateway)
