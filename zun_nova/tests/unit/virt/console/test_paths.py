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

import uuid

import testtools

from zun_nova.virt.console import paths


class PathsTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.paths = paths.Paths(lambda: self.now)
        self.server = str(uuid.uuid4())
        self.path = self.paths.make(self.server, 60)

    def test_good_as_often_as_wanted_until_its_time(self):
        self.assertLess(len(self.path), 255)   # the column of Nova's database
        self.assertTrue(self.path.startswith(f'/console/{self.server}/'))
        for self.now in (1000, 1060):
            self.assertEqual(self.server, self.paths.server_of(self.path))
        self.now = 1062
        self.assertIsNone(self.paths.server_of(self.path))

    def test_only_for_its_server_and_time_and_service(self):
        other = self.path.replace(self.server, str(uuid.uuid4()))
        expiry = self.path.rpartition('/')[2].partition('-')[0]
        later = self.path.replace(f'/{expiry}-', f'/{int(expiry) + 1}-')
        for path in (other, later, self.path[:-1], self.path + '0', self.path[:-1] + 'é',
                     f'/console/{self.server}/', '', '/', self.path.upper()):
            self.assertIsNone(self.paths.server_of(path), path)
        self.assertIsNone(paths.Paths(lambda: self.now).server_of(self.path))
