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
from unittest import mock

import fixtures
from oslotest import base
from zun_cloud import databases
from zun_cloud import settings


class TablesTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        state = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.cloud = settings.Settings(state=state)
        self.log: list[str] = []
        for name in ('_manage', '_sql', '_dump'):
            self.useFixture(fixtures.MockPatchObject(
                databases.Databases, name, side_effect=self.logged(name)))
        passwords = mock.MagicMock()
        self.databases = databases.Databases(self.cloud, passwords)
        self.nova = next(schema for schema in databases.schemas(self.cloud, passwords)
                         if schema.service == 'nova')

    def logged(self, name):
        def call(*arguments):
            self.log.append(f'{name} {arguments[-1]}')
            return ''
        return call

    def prepare(self, revision: str) -> list[str]:
        """What is done for Nova with these versions of the services."""
        self.log.clear()
        with mock.patch.object(databases.Databases, '_revision', revision):
            self.databases.prepare(self.nova)
        return [line for line in self.log if line != f'_manage {self.nova.setup}']

    def test_tables_are_made_once(self) -> None:
        made = self.prepare('one')
        self.assertEqual(f'_manage {self.nova.sync}', made[0])
        self.assertIn('_sql nova_cell0', made)
        self.assertEqual([], self.prepare('one'))

    def test_an_upgrade_copies_nothing_over_what_is_there(self) -> None:
        self.prepare('one')
        self.assertEqual([f'_manage {self.nova.upgrade}'], self.prepare('two'))

    def test_tables_of_the_cache(self) -> None:
        self.prepare('one')
        (self.cloud.data / 'schema/nova.tables').unlink()
        self.assertEqual([f'_sql {name}' for name in self.nova.databases], self.prepare('one'))
