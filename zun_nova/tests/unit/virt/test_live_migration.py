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
from zun_nova.virt import live_migration


class RefuseTest(test_driver.DriverCase):

    def test_the_conductor_knows_the_error(self):
        """For others it makes the server ERROR."""
        instance = self.instance()
        self.spawn(instance)
        ex = self.assertRaises(
            exception.MigrationPreCheckError, self.driver.check_can_live_migrate_destination,
            self.context, instance, {}, {}, None, None)
        self.assertIn(live_migration.REASON, ex.format_message())
        self.assertTrue(self.driver.instance_exists(instance))
