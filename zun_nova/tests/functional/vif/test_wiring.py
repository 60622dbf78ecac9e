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

"""Servers' ports wired to a real Open vSwitch."""

from __future__ import annotations

import json
import subprocess
import sys

from zun_nova.tests.functional.vif import base
from zun_nova.tests.functional.vif import hosts
from zun_nova.tests.unit.vif import fakes
from zun_nova.vif import announce
from zun_nova.vif import model
from zun_nova.vif import plug

#: Pings its argument without a raw socket.
_PING = """
import socket, sys
ping = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
ping.settimeout(2)
ping.sendto(bytes([8, 0, 0, 0, 0, 0, 0, 1]), (sys.argv[1], 0))
ping.recv(100)
"""

#: Prints, in hex, the first two ARP requests or advertisements it receives.
_CAPTURE = """
import socket
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
raw.bind(('eth0', 3))
raw.settimeout(5)
print(flush=True)
found = 0
while found < 2:
    frame = raw.recv(2048)
    if frame[12:14] == b'\\x08\\x06' or frame[12:14] == b'\\x86\\xdd' and frame[54] == 136:
        print(frame.hex())
        found += 1
"""


class TestWiring(base.WiringCase):

    def test_two_servers_reach_each_other(self) -> None:
        one, _two = self.two_servers()
        self.assert_talk(one)
        # A full frame passes, a larger one does not.
        self.assertTrue(one.netns.ping('10.7.0.12', '-s', '1414', '-M', 'do'))
        self.assertFalse(one.netns.ping('10.7.0.12', '-s', '1415', '-M', 'do'))

    def test_jumbo_frames(self) -> None:
        one, two = self.server(11, mtu=9000), self.server(12, mtu=9000)
        one.plug()
        two.plug()
        self.assertTrue(one.netns.ping('10.7.0.12', '-s', '8972', '-M', 'do'))
        self.assertFalse(one.netns.ping('10.7.0.12', '-s', '8973', '-M', 'do'))

    def test_address_is_usable_at_once(self) -> None:
        one, _two = self.two_servers()
        for address in ('fd07::11', '10.7.0.11', '::1', '127.0.0.1'):
            self.assertTrue(one.netns.ping(address), address)
        self.assertNotIn('tentative', one.netns.output('ip', 'addr'))

    def test_unprivileged_ping(self) -> None:
        one, _two = self.two_servers()
        ping = one.netns.run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                             '--bounding-set=-all', '--no-new-privs',
                             sys.executable, '-c', _PING, '10.7.0.12')
        self.assertEqual(0, ping.returncode, ping.stderr)

    def test_link_is_what_the_port_says(self) -> None:
        one = self.server(11)
        one.plug()
        eth0 = one.links()['eth0']
        self.assertEqual(['lo', 'eth0'], list(one.links()))
        self.assertEqual(('fa:16:3e:00:00:0b', 1442), (eth0['address'], eth0['mtu']))
        self.assertIn('UP', eth0['flags'])
        self.assertEqual(['10.7.0.11/24', 'fd07::11/64'], one.addresses())
        self.assertEqual({('default', '10.7.0.1', 'eth0', 100)}, one.routes('-4'))
        self.assertEqual({('default', 'fd07::1', 'eth0', 100)}, one.routes('-6'))

    def test_host_end(self) -> None:
        one = self.server(11)
        one.plug()
        port_id = one.network_info[0]['id']
        device = f'tap{port_id}'[:14]
        self.assertIn(device, self.host.links())
        self.assertEqual([device], self.host.ports())
        ids = self.host.vsctl('get', 'Interface', device, 'external_ids')
        self.assertIn(f'iface-id="{port_id}"', ids)
        shown = json.loads(subprocess.check_output(['ip', '-j', 'link', 'show', device]))[0]
        self.assertEqual((1442, f'zun-nova port {port_id}'), (shown['mtu'], shown['ifalias']))
        self.assertEqual('netdev', self.host.vsctl(
            'get', 'Bridge', hosts.BRIDGE, 'datapath_type').strip())

    def test_nothing_of_the_tenant_on_the_host(self) -> None:
        before = subprocess.check_output(['ip', 'route'])
        self.two_servers()
        self.assertEqual(before, subprocess.check_output(['ip', 'route']))
        self.assertNotIn(b'10.7.0.', subprocess.check_output(['ip', 'addr']))

    def test_ports_in_order(self) -> None:
        ports = [fakes.vif(fakes.subnet(f'10.{n}.0.0/24', f'10.{n}.0.5', gateway=f'10.{n}.0.1'),
                           port_id=hosts.new_id(), mac=f'fa:16:3e:00:01:{n:02x}')
                 for n in range(1, 4)]
        server = base.Server(self.use(hosts.Namespace()), *ports)
        server.plug()
        self.assertEqual(['lo', 'eth0', 'eth1', 'eth2'], list(server.links()))
        for n in range(1, 4):
            self.assertEqual([f'10.{n}.0.5/24'], server.addresses(f'eth{n - 1}'))
        self.assertEqual(
            {('default', f'10.{n}.0.1', f'eth{n - 1}', 99 + n) for n in range(1, 4)},
            server.routes())
        # One is taken away: the others keep their names, also when plugged again.
        plug.unplug_all(server.instance, ports[:1])
        server.network_info = ports[1:]
        server.plug()
        self.assertEqual(['lo', 'eth1', 'eth2'], list(server.links()))
        self.assertEqual(['10.2.0.5/24'], server.addresses('eth1'))

    def test_port_without_ipv6(self) -> None:
        port = fakes.vif(fakes.subnet('10.7.0.0/24', '10.7.0.9'), port_id=hosts.new_id(), mtu=None)
        server = base.Server(self.use(hosts.Namespace()), port)
        server.plug()
        eth0 = server.netns.output('ip', 'addr', 'show', 'eth0')
        self.assertNotIn('inet6', eth0)
        self.assertIn('mtu 1500', eth0)

    def test_special_routes(self) -> None:
        port = fakes.vif(
            fakes.subnet('10.7.0.0/24', '10.7.0.9', '10.7.0.10', gateway='172.16.0.1',
                         routes=(('192.0.2.0/24', '10.7.0.254'), ('198.51.100.0/24', '0.0.0.0'))),
            fakes.subnet('fd07::/64', 'fd07::9', gateway='fe80::1'), port_id=hosts.new_id())
        server = base.Server(self.use(hosts.Namespace()), port)
        server.plug()
        self.assertEqual(['10.7.0.9/24', '10.7.0.10/24', 'fd07::9/64'], server.addresses())
        self.assertEqual({('default', '172.16.0.1', 'eth0', 100),
                          ('192.0.2.0/24', '10.7.0.254', 'eth0', 100),
                          ('198.51.100.0/24', None, 'eth0', 100)}, server.routes())
        self.assertEqual({('default', 'fe80::1', 'eth0', 100)}, server.routes('-6'))

    def test_changed_port(self) -> None:
        server = self.server(11)
        server.plug()
        server.netns.output('ip', 'addr', 'add', '10.7.0.77/24', 'dev', 'eth0')
        server.netns.output('ip', 'route', 'add', '203.0.113.0/24', 'dev', 'eth0')
        subnets = server.network_info[0]['network']['subnets']
        subnets[0] = fakes.subnet('10.7.0.0/24', '10.7.0.21', gateway='10.7.0.2')
        subnets[1:] = []
        server.plug()
        # What a privileged server added itself is still there.
        self.assertEqual({'10.7.0.21/24', '10.7.0.77/24'}, set(server.addresses()))
        self.assertEqual({('default', '10.7.0.2', 'eth0', 100)}, server.routes())
        self.assertIn('203.0.113.0/24', server.netns.output('ip', 'route'))

    def test_announcement(self) -> None:
        one, two = self.two_servers()
        dump = subprocess.Popen(
            ['nsenter', f'--net={two.netns.path}', sys.executable, '-c', _CAPTURE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        dump.stdout.readline()
        plug.announce_all(one.network_info, one.netns.path)
        seen = dump.communicate(timeout=10)[0].split()
        nic = model.nic(one.network_info[0])
        self.assertEqual({frame.hex() for frame in announce.frames(nic)}, set(seen))
