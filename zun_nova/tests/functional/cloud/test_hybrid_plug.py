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

"""Ports that iptables filter, on a Linux bridge between the server and the switch."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from testtools import testcase

from zun_nova.tests.functional.cloud import networks
from zun_nova.vif import model


class HybridPlugTest(networks.NetworkCase):

    def setUp(self) -> None:
        super().setUp()
        if self.settings.firewall != 'iptables_hybrid':
            self.skipTest('the agents do not filter with iptables:'
                          ' cloud up --network ovs --firewall iptables_hybrid')

    @testcase.attr('hybrid')
    def test_bridge_is_there_as_long_as_the_server(self) -> None:
        before = self.traces()
        group = self.security_group({'protocol': 'icmp'})
        server = self.boot(security_groups=[{'name': group.name}])
        neighbour = self.boot()
        device = model.host_device(self.ports(server)[0].id)
        self.assertTrue(self.filtered(server, device))
        indices = self.check(server)
        self.ping(neighbour, self.address(server))

        # Starting nova-compute plugs what is plugged already.
        self.restart_compute(self.host_of(server).name)
        self.assertEqual(indices, self.check(server))
        self.ping(neighbour, self.address(server))

        self.demo.compute.stop_server(server.id)
        self.wait_status(server, 'SHUTOFF')
        self.demo.compute.start_server(server.id)
        self.wait_status(server, 'ACTIVE')
        self.check(server)
        self.ping(neighbour, self.address(server))

        # What somebody took away is made again.
        self.host_of(server).run('ip', 'link', 'delete', f'qbr{device[3:]}')
        self.demo.compute.reboot_server(server.id, 'HARD')
        self.wait_status(server, 'ACTIVE')
        self.check(server)
        self.eventually(lambda: self.reaches(neighbour, server), 'the server answers again')

        host = self.host_of(server)
        self.assertNotEqual(set(), self.traces() - before)
        for each in (server, neighbour):
            self.delete(each)
        self.assertEqual(set(), self.traces() - before)
        self.eventually(lambda: device not in host.run('iptables-save'), 'its rules are gone')

    def check(self, server: Any) -> set[int]:
        """That a server's links are connected; their indices, which change when they are made."""
        port = self.ports(server)[0].id
        device, end = model.host_device(port), model.switch_device(port)
        bridge, uplink = (kind + device.removeprefix('tap') for kind in ('qbr', 'qvb'))
        host = self.host_of(server)
        links = {row['ifname']: row for row in json.loads(host.run('ip', '-json', 'link'))}
        self.assertEqual({device: bridge, uplink: bridge, end: None},
                         {name: links[name].get('master') for name in (device, uplink, end)})
        self.assertLessEqual({f'port {end} on {host.name}'}, self.traces())
        self.assertNotIn(f'port {device} on {host.name}', self.traces())
        return {links[name]['ifindex'] for name in (device, bridge, uplink, end)}

    def filtered(self, server: Any, device: str) -> bool:
        """Whether iptables look at what goes through a server's link."""
        return f'--physdev-out {device} ' in self.host_of(server).run('iptables-save')

    def reaches(self, sender: Any, receiver: Any) -> bool:
        try:
            self.ping(sender, self.address(receiver))
        except subprocess.CalledProcessError:
            return False
        return True
