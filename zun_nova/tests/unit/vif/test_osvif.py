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

import unittest

import os_vif
from os_vif import objects
from vif_plug_ovs import ovs

from zun_nova import errors
from zun_nova.tests.unit.vif import fakes
from zun_nova.vif import model
from zun_nova.vif import osvif


class TestFromNova(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        os_vif.initialize()

    def test_port_of_ovn(self) -> None:
        port = osvif.from_nova(fakes.vif(delegate_create=False, devname='tapother'))
        self.assertIsInstance(port, objects.vif.VIFOpenVSwitch)
        self.assertEqual(('ovs', 'tap3f2b1c9a-1d'), (port.plugin, port.vif_name))
        self.assertEqual(('br-int', 1442), (port.network.bridge, port.network.mtu))
        profile = port.port_profile
        self.assertEqual(('netdev', fakes.PORT_ID), (profile.datapath_type, profile.interface_id))
        self.assertTrue(profile.create_port)
        self.assertFalse(profile.create_tap)

    def test_hybrid_port(self) -> None:
        vif = fakes.vif(details=fakes.HYBRID)
        port = osvif.from_nova(vif)
        self.assertIsInstance(port, objects.vif.VIFBridge)
        self.assertEqual(('ovs', 'tap3f2b1c9a-1d'), (port.plugin, port.vif_name))
        self.assertEqual(('br-int', 'netdev'),
                         (port.network.bridge, port.port_profile.datapath_type))
        # Nova, os-vif and we have the same names for its links.
        nic = model.nic(vif)
        self.assertEqual(nic.bridge, port.bridge_name)
        self.assertEqual((nic.uplink, model.switch_device(port.id)),
                         ovs.OvsPlugin.get_veth_pair_names(port))

    def test_switch_port_of_hybrid_port(self) -> None:
        port = osvif.from_nova(fakes.vif(details=fakes.HYBRID))
        part = osvif.switch_port(port)
        self.assertIsInstance(part, objects.vif.VIFOpenVSwitch)
        self.assertEqual(('ovs', 'qvo3f2b1c9a-1d', 'br-int', fakes.MAC),
                         (part.plugin, part.vif_name, part.network.bridge, part.address))
        profile = part.port_profile
        self.assertEqual((fakes.PORT_ID, 'netdev', True, False),
                         (profile.interface_id, profile.datapath_type, profile.create_port,
                          profile.create_tap))

    def test_port_that_lost_its_binding(self) -> None:
        port = osvif.unbound(fakes.vif(type='binding_failed', details={}))
        self.assertEqual(('ovs', 'tap3f2b1c9a-1d', 'br-int'),
                         (port.plugin, port.vif_name, port.network.bridge))

    def test_what_cannot_be_plugged(self) -> None:
        table = (
            ({'type': 'binding_failed'}, 'network agent list'),
            ({'type': 'unbound'}, 'network agent list'),
            ({'type': None}, 'network agent list'),
            ({'type': 'vhostuser'}, "vif type 'vhostuser'"),
            ({'type': 'tap'}, "vif type 'tap'"),
            ({'vnic_type': 'direct'}, "vnic type 'direct'"),
        )
        for fields, reason in table:
            with self.subTest(reason), self.assertRaisesRegex(errors.VifError, reason) as caught:
                osvif.from_nova(fakes.vif(**fields))
            self.assertEqual(fakes.PORT_ID, caught.exception.port_id)
            # What Nova shows of it after 'Build of instance UUID aborted: '.
            self.assertLessEqual(len(str(caught.exception)), 255 - 64)
