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

from oslo_config import cfg
from oslo_config import fixture
from oslotest import base

from zun_nova import conf


class OptionsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.conf = self.useFixture(fixture.Config(cfg.ConfigOpts())).conf
        conf.register_opts(self.conf)
        self.conf([])

    def test_defaults_can_be_read(self) -> None:
        for option in conf.OPTS:
            with self.subTest(option.name):
                self.conf.zun_nova[option.dest]

    def test_registering_twice(self) -> None:
        conf.register_opts(self.conf)

    def test_every_option_is_listed_and_documented(self) -> None:
        [(group, options)] = conf.list_opts()
        self.assertEqual('zun_nova', group.name)
        for option in options:
            self.assertTrue(option.help.strip(), option.name)

    def test_engine_over_tcp_is_refused(self) -> None:
        self.assertRaises(
            ValueError, self.conf.set_override, 'docker_url', 'tcp://127.0.0.1:2375',
            group='zun_nova')
