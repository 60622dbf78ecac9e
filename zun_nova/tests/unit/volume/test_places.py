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

import os
import pathlib
import types

import fixtures
from oslotest import base

from zun_nova.volume import places


class PlacesTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.base = self.useFixture(fixtures.TempDir()).path
        self.places = places.Places(types.SimpleNamespace(instances_path=self.base), 'a/b')

    def note(self, volume_id: str, path: str = '/shares/1/volume-1') -> places.Record:
        record = places.Record(volume_id, path, 'nfs')
        self.places.note('uuid', record)
        return record

    def test_life_of_a_volume(self) -> None:
        self.assertFalse(self.places.exist('uuid'))
        inside = self.places.make('uuid')
        self.assertEqual(inside, self.places.make('uuid'))
        self.assertTrue(self.places.exist('uuid'))
        self.assertEqual(0o755, os.stat(inside).st_mode & 0o777)
        record = self.note('1')
        self.assertEqual(record, self.places.record('uuid', '1'))
        self.assertEqual([record], self.places.records('uuid'))
        self.assertEqual(os.path.join(inside, '1'), self.places.target('uuid', '1'))
        self.assertTrue(os.path.isdir(self.places.target('uuid', '1')))
        self.places.leave('uuid', '1')
        self.places.leave('uuid', '1')
        self.places.remove('uuid')   # there is a record
        self.assertEqual({'uuid'}, self.places.uuids())
        self.places.forget('uuid', '1')
        self.places.forget('uuid', '1')
        self.assertIsNone(self.places.record('uuid', '1'))
        self.places.remove('uuid')
        self.places.remove('uuid')
        self.assertEqual(set(), self.places.uuids())

    def test_what_was_interrupted_is_removed(self) -> None:
        inside = pathlib.Path(self.places.make('uuid'))
        inside.with_name('1.new').touch()
        inside.rmdir()
        self.places.remove('uuid')
        self.assertEqual(set(), self.places.uuids())

    def test_nothing_with_content_is_removed(self) -> None:
        self.note('1')
        data = pathlib.Path(self.places.target('uuid', '1'), 'data')
        data.write_text('of a tenant')
        self.assertRaises(OSError, self.places.leave, 'uuid', '1')
        self.places.forget('uuid', '1')
        self.places.remove('uuid')
        self.assertEqual('of a tenant', data.read_text())

    def test_shares_with_volumes(self) -> None:
        self.assertFalse(self.places.is_shared('/shares/1'))
        self.note('1')
        self.assertTrue(self.places.is_shared('/shares/1'))
        self.assertFalse(self.places.is_shared('/shares'))

    def test_nobody_else_looks_in(self) -> None:
        self.places.make('uuid')
        base_directory, = pathlib.Path(self.base, 'zun_nova', 'volumes').iterdir()
        self.assertEqual(('a%2Fb', 0o700), (
            base_directory.name, base_directory.stat().st_mode & 0o777))
