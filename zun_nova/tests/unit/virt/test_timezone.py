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

"""Where the time zone of a server comes from."""

from __future__ import annotations

import pathlib

import fixtures
import testtools

from zun_nova import errors
from zun_nova.tests.unit.virt import test_guest
from zun_nova.virt import process
from zun_nova.virt import timezone


class TimezoneTest(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.zones = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (self.zones / 'Europe').mkdir()
        (self.zones / 'Europe' / 'Vienna').write_bytes(b'TZif')
        (self.zones / 'leapseconds').write_bytes(b'# words')
        self.where = ('/no/such', str(self.zones))

    def test_one_that_the_host_knows(self) -> None:
        made = timezone.with_timezone(
            test_guest.container(timezone='Europe/Vienna'), self.where)
        self.assertEqual((process.File('/etc/localtime', b'TZif'),), made.files)

    def test_none_is_asked_for(self) -> None:
        self.assertEqual((), timezone.with_timezone(test_guest.container(), self.where).files)

    def test_the_owners_own_file_stays(self) -> None:
        own = process.File('/etc/localtime', b'mine')
        made = timezone.with_timezone(
            test_guest.container(timezone='Europe/Vienna', files=(own,)), self.where)
        self.assertEqual((own,), made.files)

    def test_one_that_the_host_does_not_know(self) -> None:
        for name in ('Europe/Wien', 'Europe', 'leapseconds'):
            failure = self.assertRaises(
                errors.InvalidSpec, timezone.with_timezone,
                test_guest.container(timezone=name), self.where)
            self.assertIn('timezone: the host knows no such time zone', str(failure))
