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

"""Ports with a Linux bridge before the switch, where iptables filter them."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from zun_nova.tests.functional.vif import base
from zun_nova.tests.functional.vif import hosts
from zun_nova.tests.unit.vif import fakes
from zun_nova.vif import model
from zun_nova.vif import plug


class TestHybrid(base.WiringCase):

    def setUp(self) -> None:
        super().setUp()
        self.before = (self.host.links(), self.host.ports())

    def server(self, number: int, *more: Any, **fields: Any) -> base.Server:
        return super().server(number, *more, **{'details': fakes.HYBRID, **fields})

    def nic(self, server: base.Server) -> model.Nic:
        return model.nic(server.network_info[0])

    def links(self) -> dict[str, Any]:
        rows = json.loads(subprocess.check_output(['ip', '-json', '-details', 'link'], text=True))
        return {row['ifname']: row for row in rows}

    def assert_plumbed(self, server: base.Server) -> None:
        nic, links = self.nic(server), self.links()
        bridge, end = nic.bridge or '', model.switch_device(nic.port_id)
        masters = {name: links[name].get('master') for name in (nic.host_device, nic.uplink, end)}
        self.assertEqual({nic.host_device: bridge, nic.uplink: bridge, end: None}, masters)
        for name in (*masters, bridge):
            self.assertIn('UP', links[name]['flags'], name)
        self.assertEqual({nic.mtu}, {links[name]['mtu'] for name in masters})
        self.assertIn(end, self.host.ports())
        self.assertNotIn(nic.host_device, self.host.ports())
        self.assertIn(f'iface-id="{nic.port_id}"', self.host.vsctl(
            'get', 'Interface', end, 'external_ids'))

    def assert_nothing_left(self) -> None:
        self.assertEqual(self.before, (self.host.links(), self.host.ports()))

    def test_plug_and_unplug(self) -> None:
        one, two = self.two_servers()
        self.assert_plumbed(one)
        self.assert_talk(one)
        for server in (one, two):
            server.plug()
            self.assert_plumbed(server)
        self.assert_talk(one)
        # A full frame passes, a larger one does not.
        self.assertTrue(one.netns.ping('10.7.0.12', '-s', '1414', '-M', 'do'))
        self.assertFalse(one.netns.ping('10.7.0.12', '-s', '1415', '-M', 'do'))
        for server in (one, two, one):
            server.unplug()
        self.assert_nothing_left()
        self.assertEqual(['lo'], list(one.links()))

    def test_a_plain_neighbour(self) -> None:
        one = self.server(11)
        two = super().server(12)
        one.plug()
        two.plug()
        self.assert_talk(one)

    def test_what_was_lost_comes_back(self) -> None:
        one, _two = self.two_servers()
        nic = self.nic(one)
        end = model.switch_device(nic.port_id)
        for loss in (
            ('ip', 'link', 'del', nic.bridge),
            ('ip', 'link', 'del', nic.uplink),
            ('ip', 'link', 'del', nic.host_device),
            ('ip', 'link', 'set', nic.host_device, 'nomaster'),
            ('ip', 'link', 'set', nic.uplink, 'nomaster'),
            ('ip', 'link', 'set', nic.host_device, 'down'),
        ):
            with self.subTest(' '.join(map(str, loss))):
                subprocess.run([str(word) for word in loss], check=True)
                one.plug()
                self.assert_plumbed(one)
                self.assert_talk(one)
        with self.subTest('the port on the switch'):
            self.host.vsctl('del-port', hosts.BRIDGE, end)
            one.plug()
            self.assert_plumbed(one)
            self.assert_talk(one)

    def test_killed_after_any_step(self) -> None:
        two = self.server(12)
        two.plug()
        for steps in range(1, 9):
            with self.subTest(steps=steps):
                one = self.server(20 + steps)
                with base.KilledAfter(steps), self.assertRaises(base.Killed):
                    one.plug()
                    raise base.Killed   # plugging may have fewer steps
                one.plug()
                self.assert_plumbed(one)
                self.assert_talk(one)
                with base.KilledAfter(steps), self.assertRaises(base.Killed):
                    one.unplug()
                    raise base.Killed
                one.unplug()
        two.unplug()
        self.assert_nothing_left()

    def test_prepared_before_the_namespace(self) -> None:
        two = self.server(12)
        two.plug()
        for steps in range(6):
            with self.subTest(steps=steps):
                one = self.server(20 + steps)
                with base.KilledAfter(steps), self.assertRaises(base.Killed):
                    plug.prepare_all(one.instance, one.network_info)
                    raise base.Killed
                one.plug()
                self.assert_plumbed(one)
                self.assert_talk(one)
                one.unplug()
        one = self.server(31)
        plug.prepare_all(one.instance, one.network_info)
        # Neutron's agent sees the port once: it is not made again.
        seen = self.port_uuid(one)
        one.plug()
        self.assertEqual(seen, self.port_uuid(one))
        self.assert_talk(one)

    def port_uuid(self, server: base.Server) -> str:
        end = model.switch_device(self.nic(server).port_id)
        return self.host.vsctl('get', 'Port', end, '_uuid')

    def test_binding_was_lost(self) -> None:
        one = self.server(11)
        one.plug()
        one.network_info[0].update(type='binding_failed', details={})
        one.unplug()
        self.assert_nothing_left()
