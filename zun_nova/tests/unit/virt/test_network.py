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

import types
import unittest
import uuid

from zun_nova.tests.unit.vif import fakes
from zun_nova.virt import network
from zun_nova.virt import spec


def made(hostname: str | None, *network_info: object) -> spec.NetworkSpec:
    instance = types.SimpleNamespace(
        uuid=str(uuid.uuid4()), name='instance-1', hostname=hostname, project_id='p', user_id='u',
        image_ref='i', flavor=types.SimpleNamespace(name='f', extra_specs={}))
    return network.network_spec(instance, network_info, 'compute1')


class NetworkSpecTest(unittest.TestCase):

    def test_names(self) -> None:
        label = 'a' * 60
        table = (
            ('web', ('web', (), ())),
            ('web.a.test', ('web.a.test', ('web.a.test', 'web'), ('a.test',))),
            (f'{label}.a.test', (label, (f'{label}.a.test', label), ('a.test',))),
        )
        for name, expected in table:
            with self.subTest(name):
                found = made(name)
                self.assertEqual(expected, (found.hostname, found.aliases, found.dns_search))

    def test_server_without_name(self) -> None:
        self.assertRegex(made(None).hostname, '^Server-[-0-9a-f]{36}$')

    def test_name_servers_of_all_ports_and_addresses_of_the_first(self) -> None:
        found = made(
            'web',
            fakes.vif(fakes.subnet('10.0.0.0/24', '10.0.0.5', dns=('192.0.2.1', '192.0.2.2')),
                      fakes.subnet('fd00::/64', 'fd00::5')),
            fakes.vif(fakes.subnet('10.1.0.0/24', '10.1.0.5', dns=('192.0.2.2', '192.0.2.3'))))
        self.assertEqual(('192.0.2.1', '192.0.2.2', '192.0.2.3'), found.dns_servers)
        self.assertEqual(('10.0.0.5', 'fd00::5'), found.addresses)
