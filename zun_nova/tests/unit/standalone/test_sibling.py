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

import fixtures
from oslotest import base
from zun_cloud import settings
from zun_cloud import sibling


class SiblingTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.state = pathlib.Path(self.useFixture(fixtures.TempDir()).path) / 'zc'
        self.state.mkdir()
        (self.state / 'settings.toml').write_text('prefix = "a"\n')
        self.first = self.load(self.state, port_base=17000)

    def load(self, state: pathlib.Path, **chosen: object) -> settings.Settings:
        return settings.load(str(state), chosen, {})

    def test_own_back_end_needs_no_other_cloud(self) -> None:
        for network in (None, 'ovn'):
            self.assertEqual(self.first, sibling.of(self.first, network))

    def test_another_directory_and_nothing_else(self) -> None:
        second = sibling.of(self.first, 'ovs')
        self.assertEqual(self.state.with_name('zc-ovs'), second.state)
        self.assertEqual(('ovs', 'a', 17000, 'br-int'), (
            second.network, second.prefix, second.port_base, second.integration_bridge))

    def test_commands_on_it_find_software_and_settings(self) -> None:
        second = sibling.of(self.first, 'ovs')
        (self.state / 'venv').mkdir()
        for _ in range(2):
            sibling.share(self.first, second)
        self.assertEqual(self.state / 'venv', second.venv.resolve())
        self.assertEqual(self.state / 'cache', (second.state / 'cache').readlink())
        self.assertEqual(second, self.load(second.state))

    def test_what_is_there_stays(self) -> None:
        second = sibling.of(self.first, 'ovs')
        own = second.directory('venv')
        sibling.share(self.first, second)
        self.assertFalse(own.is_symlink())
