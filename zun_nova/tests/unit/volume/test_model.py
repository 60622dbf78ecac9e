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

from oslotest import base

from zun_nova import errors
from zun_nova.volume import model


class ModelTest(base.BaseTestCase):

    def refused(self, **data: object) -> str:
        connection = model.of_nova({'serial': 'v', 'driver_volume_type': 'nfs', 'data': data})
        return str(self.assertRaises(errors.VolumeError, model.check, connection))

    def test_of_nova(self) -> None:
        made = model.of_nova({'serial': 'abc-1', 'driver_volume_type': 'nfs',
                              'data': {'access_mode': 'ro', 'auth_password': 'secret'}})
        self.assertEqual(('abc-1', 'nfs', True), (made.volume_id, made.protocol, made.read_only))
        self.assertNotIn('secret', repr(made))
        self.assertFalse(model.of_nova({'serial': 'a', 'data': {'access_mode': 'rw'}}).read_only)
        model.check(made)

    def test_names_of_directories(self) -> None:
        self.assertEqual('known', model.of_nova({'data': {}}, 'known').volume_id)
        self.assertEqual('data', model.of_nova({'data': {'volume_id': 'data'}}).volume_id)
        for bad in ('', '..', '.', 'a/b', 'a\n', 'a' * 129, '/'):
            self.assertRaises(errors.VolumeError, model.of_nova, {'serial': bad})

    def test_what_no_server_can_have(self) -> None:
        self.assertIn('encrypted', self.refused(encrypted=True))
        self.assertIn('qcow2', self.refused(format='qcow2'))
        model.check(model.of_nova({'serial': 'v', 'data': {'format': 'raw'}}))
