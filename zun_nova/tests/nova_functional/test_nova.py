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

"""The classes of Nova's functional tests that run on containers.

Not here are what is about another driver, what tests no driver (API samples, notification samples,
the database), and what needs volumes: see doc/source/nova-functional.csv.
"""

from __future__ import annotations

import importlib

from nova import test
from nova.tests.functional import test_aggregates
from nova.tests.functional import test_cold_migrate
from nova.tests.functional import test_cross_cell_migrate
from nova.tests.functional import test_images
from nova.tests.functional import test_instance_actions
from nova.tests.functional import test_server_faults
from nova.tests.functional import test_servers
from nova.tests.functional.compute import test_init_host

from zun_nova.tests.nova_functional import base
from zun_nova.tests.nova_functional import excluded

CLASSES = {
    test_servers: (
        'ServersTest', 'ServersTestV219', 'ServerTestV220', 'ServerTestV269', 'ServersTestV280',
        'ServerRebuildTestCase', 'ServerMovingTests', 'PollUnconfirmedResizesTest',
        'ServerSoftDeleteTests', 'TraitsBasedSchedulingTest',
        'ConsumerGenerationConflictTest', 'CreateServerConstraintsTest',
    ),
    test_instance_actions: (
        'InstanceActionsTest', 'InstanceActionsTestV221', 'InstanceActionEventFaultsTestCase',
    ),
    test_images: ('ImagesTest',),
    test_cold_migrate: ('ColdMigrationAllowSameHost', 'ColdMigrationDisallowSameHost'),
    test_cross_cell_migrate: ('TestMultiCellMigrate',),
    test_init_host: (
        'ComputeManagerInitHostTestCase', 'TestComputeRestartInstanceStuckInBuild',
    ),
    test_aggregates: ('AggregatesTest', 'AggregateHostMoveTestCase'),
    test_server_faults: ('ServerFaultTestCase',),
}

for _module, _names in CLASSES.items():
    globals().update(base.on_containers(_module, *_names, into=__name__))


class ExcludedTest(test.NoDBTestCase):

    def test_the_table_names_what_is_left_out(self) -> None:
        run = {name for names in CLASSES.values() for name in names}
        for row in excluded.rows():
            with self.subTest(row['Class'], test=row['Test']):
                module = importlib.import_module(f'nova.tests.functional.{row["Module"]}')
                theirs = getattr(module, row['Class'])
                self.assertEqual(row['Test'] != 'all', row['Class'] in run)
                self.assertTrue(row['Test'] == 'all' or callable(getattr(theirs, row['Test'])))
                self.assertIn(row['Status'], ('planned', 'never'))
                self.assertTrue(row['Why'])

    def test_each_class_has_a_name_of_its_own(self) -> None:
        names = [name for names in CLASSES.values() for name in names]
        self.assertEqual(sorted(set(names)), sorted(names))
