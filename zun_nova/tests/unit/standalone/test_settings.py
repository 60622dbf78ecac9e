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

import pathlib
from typing import Any

import fixtures
from oslotest import base
from zun_cloud import errors
from zun_cloud import settings


class LoadTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.state = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.file = self.state / 'settings.toml'

    def load(self, environ: dict[str, str] | None = None, **overrides: Any) -> settings.Settings:
        return settings.load(str(self.state), overrides, environ or {})

    def test_defaults(self) -> None:
        found = self.load()
        self.assertEqual(self.state, found.state)
        self.assertEqual(15000, found.port('keystone'))
        self.assertEqual('172.31.250.1', found.external_address)

    def test_later_sources_win(self) -> None:
        self.file.write_text('port_base = 1000\nprefix = "a"\nregion = "file"\n')
        settings.remember(self.load(), {'port_base': 2000, 'computes': None})
        self.assertEqual(2000, self.load().port_base)
        environ = {'ZUN_CLOUD_PORT_BASE': '3000', 'ZUN_CLOUD_PREFIX': 'b'}
        found = self.load(environ, port_base=4000, computes=None)
        self.assertEqual((4000, 'b', 'file', 1),
                         (found.port_base, found.prefix, found.region, found.computes))

    def test_single_ports(self) -> None:
        self.file.write_text('[ports]\nkeystone = 5000\n')
        self.assertEqual(5000, self.load().port('keystone'))
        self.assertEqual(15004, self.load().port('nova-api'))

    def test_refused(self) -> None:
        for text in ('bogus = 1', 'port_base = "x"', '[ports]\nbogus = 1', 'computes = 0',
                     'computes = 100', 'network = "bridge"', 'prefix = "much-too-long"',
                     'extras = ["bogus"]', 'firewall = "nftables"',
                     'firewall = "iptables_hybrid"', '= syntax'):
            self.file.write_text(text)
            self.assertRaises(errors.CloudError, self.load)

    def test_firewall(self) -> None:
        self.file.write_text('firewall = "iptables_hybrid"\n')
        self.assertEqual('iptables_hybrid', self.load(network='ovs').firewall)

    def test_extras(self) -> None:
        self.assertEqual((), self.load().extras)
        self.assertEqual(('cinder',), self.load({'ZUN_CLOUD_WITH': 'cinder,cinder'}).extras)
        settings.remember(self.load(), {'extras': ('cinder',)})
        self.assertEqual(('cinder',), self.load().extras)
        # A suite's tests must see the suite's cloud, whatever was chosen before.
        self.assertEqual((), self.load({'ZUN_CLOUD_WITH': ''}).extras)

    def test_names_in_lists(self) -> None:
        self.assertEqual(('a', 'b', 'c'), settings.names_in(['a,b', 'c,a', '']))

    def test_state_directory_too_long_for_sockets(self) -> None:
        self.assertRaises(errors.CloudError, settings.load, '/' + 'x' * 80, {}, {})

    def test_state_from_environment(self) -> None:
        found = settings.load(None, {}, {'ZUN_CLOUD_STATE': '/somewhere'})
        self.assertEqual(pathlib.Path('/somewhere'), found.state)


class ListenTest(base.BaseTestCase):

    def test_every_host_reaches_the_internal_url(self) -> None:
        found = settings.Settings()
        self.assertEqual(('127.0.0.1', '172.31.239.1'), found.listen)
        self.assertEqual('http://172.31.239.1:15004/v2.1',
                         found.url('nova-api', '/v2.1', internal=True))
        self.assertEqual('http://127.0.0.1:15004/v2.1', found.url('nova-api', '/v2.1'))
