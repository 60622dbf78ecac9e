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

"""Who may talk to a server: security groups, port security, allowed address pairs."""

from __future__ import annotations

from testtools import testcase

from zun_nova.tests.functional.cloud import networks

#: Listens on two ports.
WEB = 'httpd -p 80; httpd -p 81; echo listening; sleep 1000'

#: Neutron gives it to no port by itself.
EXTRA = '10.230.0.200'
POOL = {'start': '10.230.0.2', 'end': '10.230.0.199'}


class SecurityTest(networks.NetworkCase):

    @testcase.attr('ovs', 'hybrid')
    def test_groups_pairs_and_no_port_security(self) -> None:
        network = self.network({'cidr': '10.230.0.0/24', 'allocation_pools': [POOL]})
        group = self.security_group(
            {'protocol': 'tcp', 'port_range_min': 80, 'port_range_max': 80})
        port = self.port(network, security_group_ids=[group.id],
                         allowed_address_pairs=[{'ip_address': EXTRA}])
        web = self.boot(self.image(WEB), networks=[{'port': port.id}])
        neighbour = self.boot(networks=[{'uuid': network.id}])
        self.console_with(web, 'listening')
        address = self.address(web)

        self.eventually(lambda: self.connects(neighbour, address, 80), 'the rule holds')
        self.assertFalse(self.connects(neighbour, address, 81))
        self.allow(group, protocol='tcp', port_range_min=81, port_range_max=81)
        self.eventually(lambda: self.connects(neighbour, address, 81), 'the new rule holds')

        # An address that Neutron did not give: let through only for the port with the pair.
        for server in (web, neighbour):
            self.in_server(server, 'ip', 'address', 'add', f'{EXTRA}/24', 'dev', 'eth0')
        self.in_server(neighbour, 'ip', 'address', 'del', f'{EXTRA}/24', 'dev', 'eth0')
        self.eventually(lambda: self.connects(neighbour, EXTRA, 80), 'the pair is let through')
        self.in_server(web, 'ip', 'address', 'del', f'{EXTRA}/24', 'dev', 'eth0')

        # Without port security all is let through, in both directions.
        self.in_server(neighbour, 'ip', 'address', 'add', f'{EXTRA}/24', 'dev', 'eth0')
        self.assertFalse(self.connects(web, EXTRA, 80))
        free = next(iter(self.ports(neighbour)))
        self.demo.network.update_port(free, security_groups=[], port_security_enabled=False)
        self.eventually(lambda: self.connects(web, EXTRA, 80), 'any address is let through')
