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

from nova import exception

from zun_nova.tests.unit.virt import test_driver
from zun_nova.virt import suspend


class RefuseTest(test_driver.DriverCase):

    def test_nova_resets_the_server_and_its_owner_reads_why(self):
        instance = self.instance()
        self.spawn(instance)
        ex = self.assertRaises(
            NotImplementedError, self.driver.suspend, self.context, instance)
        self.assertIsInstance(ex, exception.NovaException)
        self.assertIn('"pause" freezes', ex.format_message())
        [action] = [each for each in self.actions if each[-1] == suspend.ACTION]
        self.assertEqual(
            (instance.uuid, instance.project_id, suspend.REASON, suspend.ACTION), action)
        self.assertLessEqual(len(suspend.REASON), 255)   # the column of Nova's database

    def test_a_conductor_that_is_away(self):
        def record(*_):
            raise exception.NovaException('no conductor')

        self.stub_out('zun_nova.virt.exits.record', record)
        self.assertRaises(
            suspend.CannotSuspend, self.driver.suspend, self.context, self.instance())
