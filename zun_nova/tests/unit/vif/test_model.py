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

import json
import subprocess
import sys
import unittest

from zun_nova.tests.unit.vif import fakes
from zun_nova.vif import model

Route = model.Route
V4 = '0.0.0.0/0'
V6 = '::/0'


class TestNic(unittest.TestCase):

    def test_names_are_kuryrs(self) -> None:
        nic = model.nic(fakes.vif())
        self.assertEqual(('tap3f2b1c9a-1d', 't_c3f2b1c9a-1d'), (nic.host_device, nic.peer_device))
        self.assertEqual(nic.host_device, model.host_device(fakes.PORT_ID))

    def test_bridge(self) -> None:
        self.assertIsNone(model.nic(fakes.vif()).bridge)
        nic = model.nic(fakes.vif(details=fakes.HYBRID))
        self.assertEqual(('qbr3f2b1c9a-1d', 'qvb3f2b1c9a-1d'), (nic.bridge, nic.uplink))
        self.assertEqual(nic, model.Nic.from_wire(nic.to_wire()))
        self.assertEqual((nic.host_device, 'qvo3f2b1c9a-1d', nic.bridge),
                         model.host_devices(fakes.PORT_ID))

    def test_link(self) -> None:
        nic = model.nic(fakes.vif(mac='FA:16:3E:12:34:56'))
        self.assertEqual((fakes.PORT_ID, 'fa:16:3e:12:34:56', 1442),
                         (nic.port_id, nic.mac, nic.mtu))
        self.assertEqual(1500, model.nic(fakes.vif(mtu=None)).mtu)

    def test_no_fixed_ip(self) -> None:
        for vif in (fakes.vif(), fakes.vif(fakes.subnet('10.0.0.0/24', gateway='10.0.0.1'))):
            nic = model.nic(vif)
            self.assertEqual(((), ()), (nic.addresses, nic.routes))
            self.assertFalse(nic.has_ipv6)

    def test_addresses(self) -> None:
        nic = model.nic(fakes.vif(
            fakes.subnet('10.0.0.0/24', '10.0.0.5', '10.0.0.6'),
            fakes.subnet('fd00::/64', 'fd00:0::5'),
            fakes.subnet('192.0.2.7/32', '192.0.2.7'),
            fakes.subnet('198.51.100.1/24', '198.51.100.7')))
        self.assertEqual(
            ('10.0.0.5/24', '10.0.0.6/24', 'fd00::5/64', '192.0.2.7/32', '198.51.100.7/24'),
            nic.addresses)
        self.assertTrue(nic.has_ipv6)

    def test_dns(self) -> None:
        nic = model.nic(fakes.vif(
            fakes.subnet('10.0.0.0/24', '10.0.0.5', dns=('10.0.0.2', '192.0.2.53')),
            fakes.subnet('fd00::/64', 'fd00::5', dns=('192.0.2.53', 'fd00::2'))))
        self.assertEqual(('10.0.0.2', '192.0.2.53', 'fd00::2'), nic.dns)

    def test_wire(self) -> None:
        nic = model.nic(fakes.vif(
            fakes.subnet('10.0.0.0/24', '10.0.0.5', gateway='10.0.0.1', dns=('10.0.0.2',))))
        # JSON turns tuples into lists, and so may msgpack.
        self.assertEqual(nic, model.Nic.from_wire(json.loads(json.dumps(nic.to_wire()))))


class TestRoutes(unittest.TestCase):

    TABLE = (
        ('no gateway', [fakes.subnet('10.0.0.0/24', '10.0.0.5')], []),
        ('gateway', [fakes.subnet('10.0.0.0/24', '10.0.0.5', gateway='10.0.0.1')],
         [Route(V4, '10.0.0.1')]),
        ('gateway none, as an address',
         [fakes.subnet('10.0.0.0/24', '10.0.0.5', gateway='0.0.0.0')], []),
        ('both versions',
         [fakes.subnet('10.0.0.0/24', '10.0.0.5', gateway='10.0.0.1'),
          fakes.subnet('fd00::/64', 'fd00::5', gateway='fd00::1')],
         [Route(V4, '10.0.0.1'), Route(V6, 'fd00::1')]),
        ('link-local gateway',
         [fakes.subnet('fd00::/64', 'fd00::5', gateway='fe80::1')], [Route(V6, 'fe80::1')]),
        ('gateway outside the subnet',
         [fakes.subnet('192.0.2.7/32', '192.0.2.7', gateway='198.51.100.1')],
         [Route(V4, '198.51.100.1', onlink=True)]),
        ('host routes before the default',
         [fakes.subnet('10.0.0.0/24', '10.0.0.5', gateway='10.0.0.1',
                       routes=(('192.0.2.0/24', '10.0.0.9'), ('198.51.100.0/24', '0.0.0.0')))],
         [Route('198.51.100.0/24'), Route('192.0.2.0/24', '10.0.0.9'), Route(V4, '10.0.0.1')]),
        ('default among the host routes',
         [fakes.subnet('10.0.0.0/24', '10.0.0.5', gateway='10.0.0.1',
                       routes=((V4, '10.0.0.9'),))],
         [Route(V4, '10.0.0.9')]),
        ('two subnets with gateways',
         [fakes.subnet('10.0.0.0/24', '10.0.0.5', gateway='10.0.0.1'),
          fakes.subnet('10.1.0.0/24', '10.1.0.5', gateway='10.1.0.1')],
         [Route(V4, '10.0.0.1')]),
        ('subnet without an address of the port',
         [fakes.subnet('10.0.0.0/24', gateway='10.0.0.1'),
          fakes.subnet('10.1.0.0/24', '10.1.0.5', gateway='10.1.0.1')],
         [Route(V4, '10.1.0.1')]),
        ('destination with host bits',
         [fakes.subnet('10.0.0.0/24', '10.0.0.5', routes=(('192.0.2.1/24', '10.0.0.9'),))],
         [Route('192.0.2.0/24', '10.0.0.9')]),
        ('gateway in the other subnet of the port',
         [fakes.subnet('10.0.0.0/24', '10.0.0.5', routes=(('192.0.2.0/24', '10.1.0.9'),)),
          fakes.subnet('10.1.0.0/24', '10.1.0.5')],
         [Route('192.0.2.0/24', '10.1.0.9')]),
    )

    def test_table(self) -> None:
        for what, subnets, routes in self.TABLE:
            with self.subTest(what):
                self.assertEqual(tuple(routes), model.nic(fakes.vif(*subnets)).routes)


class TestMetadataRoute(unittest.TestCase):

    OVN = {'bound_drivers': {'0': 'ovn'}}
    OVS = {'bound_drivers': {'0': 'openvswitch'}}
    TABLE = (
        ('OVN', OVN, [fakes.subnet('10.0.0.0/24', '10.0.0.5', enable_dhcp=True)],
         Route(model.METADATA_SERVICE, source='10.0.0.5')),
        ('OVN replies to subnets with DHCP only', OVN,
         [fakes.subnet('10.0.0.0/24', '10.0.0.5'),
          fakes.subnet('10.1.0.0/24', '10.1.0.5', enable_dhcp=True)],
         Route(model.METADATA_SERVICE, source='10.1.0.5')),
        ('OVN, no DHCP at all', OVN, [fakes.subnet('10.0.0.0/24', '10.0.0.5')], None),
        ('IPv6 needs none', OVN, [fakes.subnet('fd00::/64', 'fd00::5', enable_dhcp=True)], None),
        ('DHCP agent, no gateway', OVS,
         [fakes.subnet('10.0.0.0/24', '10.0.0.5', enable_dhcp=True, dhcp_server='10.0.0.2')],
         Route(model.METADATA_SERVICE, '10.0.0.2')),
        ('DHCP agent, the router serves', OVS,
         [fakes.subnet('10.0.0.0/24', '10.0.0.5', gateway='10.0.0.1', enable_dhcp=True,
                       dhcp_server='10.0.0.2')], None),
        ('the subnet has a route of its own', OVN,
         [fakes.subnet('10.0.0.0/24', '10.0.0.5', enable_dhcp=True,
                       routes=((model.METADATA_SERVICE, '10.0.0.9'),))],
         Route(model.METADATA_SERVICE, '10.0.0.9')),
    )

    def test_table(self) -> None:
        for what, details, subnets, expected in self.TABLE:
            with self.subTest(what):
                routes = model.nic(fakes.vif(*subnets, details=details)).routes
                self.assertEqual(
                    [expected] if expected else [],
                    [r for r in routes if r.destination == model.METADATA_SERVICE])


class TestImports(unittest.TestCase):

    def test_daemon_does_not_load_nova(self) -> None:
        code = ('import sys, zun_nova.vif.privileged; '
                'sys.exit(any(m.partition(".")[0] == "nova" for m in sys.modules))')
        subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)
