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

"""Migrations whose message was lost are gone on with."""

from __future__ import annotations

import types
from typing import Any

from nova import exception
from nova import objects
from nova.compute import task_states
from nova.compute import vm_states
from oslo_utils import timeutils
from oslotest import base

from zun_nova.tests.unit.virt import test_migration
from zun_nova.virt import driver
from zun_nova.virt import identity
from zun_nova.virt import moved
from zun_nova.virt import received
from zun_nova.virt import unfinished

MIGRATED, REVERTING = task_states.RESIZE_MIGRATED, task_states.RESIZE_REVERTING
FINISH, REVERT = unfinished.Step.FINISH, unfinished.Step.REVERT


class NextStepTest(base.BaseTestCase):

    def test_table(self) -> None:
        for task, source, expected in (
                (MIGRATED, 'there', FINISH), (MIGRATED, 'here', FINISH),
                (REVERTING, 'there', REVERT), (REVERTING, 'here', None),
                (None, 'there', None), (task_states.RESIZE_FINISH, 'there', None),
                (task_states.RESIZE_MIGRATING, 'here', None)):
            migration = types.SimpleNamespace(source_compute=source)
            self.assertEqual(expected, unfinished.next_step(task, migration, 'here'))


class UnfinishedTest(test_migration.TwoHostsCase):

    def setUp(self) -> None:
        super().setUp()
        self.sent: list[tuple[Any, ...]] = []
        self.confirming: list[Any] = []
        self.faults: list[str] = []
        self.up = True
        self.migration.cross_cell_move = False
        self.migration.updated_at = timeutils.utcnow()
        api = types.SimpleNamespace(**{
            step.value: lambda *args, name=step.value: self.sent.append((name, *args))
            for step in unfinished.Step})
        spec = objects.RequestSpec()
        for name, result in (
                ('nova.compute.rpcapi.ComputeAPI', lambda: api),
                ('nova.objects.RequestSpec.get_by_instance_uuid', lambda *_: spec),
                ('nova.objects.Service.get_by_compute_host', lambda *_: object()),
                ('nova.servicegroup.API',
                 lambda: types.SimpleNamespace(service_is_up=lambda service: self.up)),
                ('nova.objects.MigrationList.get_by_filters',
                 lambda *_: self.confirming),
                ('nova.objects.Instance.save', lambda instance, **_: None),
                ('nova.compute.utils.add_instance_fault_from_exc',
                 lambda context, instance, ex: self.faults.append(str(ex)))):
            self.stub_out(name, result)

    def unfinished(self, place: driver.ContainerDriver, host: str) -> unfinished.Unfinished:
        self.now = 0.0
        return unfinished.Unfinished(place._migrations, host, 60, lambda: self.now)

    def look(self, looks: unfinished.Unfinished, *instances: objects.Instance) -> None:
        """Often, for as long as nothing may be done, and once more."""
        sent = len(self.sent)
        for _ in range(3):
            looks.look(self.context, instances)
            self.assertEqual(sent, len(self.sent))   # it may still come
            self.now += 20
        looks.look(self.context, instances)

    def known(self, instance: objects.Instance, task_state: str) -> None:
        """What Nova's database has."""
        instance.task_state = task_state
        instance.updated_at = timeutils.utcnow()
        self.migration.instance_uuid = instance.uuid
        self.stub_out('nova.objects.Instance.get_by_uuid', lambda *_, **__: instance)

    def test_lost_between_two_hosts(self) -> None:
        instance = self.server()
        disk_info = self.go(instance, self.flavor())
        self.known(instance, MIGRATED)
        looks = self.unfinished(self.dest, 'compute2')
        self.look(looks, instance)
        [(name, _, sent, migration, image, left, host, _)] = self.sent
        self.assertEqual(('finish_resize', instance, self.migration, disk_info, 'compute2'),
                         (name, sent, migration, left, host))
        self.assertIn('properties', image)
        self.at(self.dest)
        self.arrive(instance, self.flavor(), left)
        self.assertEqual(b'1\n', self.written(instance))

    def test_what_changes_is_at_work(self) -> None:
        instance = self.server()
        self.go(instance, self.flavor())
        looks = self.unfinished(self.dest, 'compute2')
        for task_state in (MIGRATED, task_states.RESIZE_FINISH, MIGRATED, None):
            self.known(instance, task_state)
            looks.look(self.context, [instance])
            self.now += 100
        self.assertEqual([], self.sent)

    def test_lost_on_one_host(self) -> None:
        self.migration.dest_compute = 'compute1'
        for live in (False, True):
            driver.CONF.set_override('live_resize', live, group='zun_nova')
            self.addCleanup(driver.CONF.clear_override, 'live_resize', group='zun_nova')
            instance = self.server()
            flavor = self.flavor(memory_mb=128)
            disk_info = self.leave(instance, flavor)
            self.known(instance, MIGRATED)
            looks = self.unfinished(self.driver, 'compute1')
            self.look(looks, instance)
            left = self.sent.pop()[5]
            self.assertEqual((disk_info, live), (left, moved.from_json(left).stays))
            self.arrive(instance, flavor, left)
            self.assertEqual(128 * 1024 ** 2, self.container(instance).host_config['Memory'])

    def test_nothing_has_come(self) -> None:
        """Or only what is of another server, or of another image."""
        instance = self.server()
        self.go(instance, self.flavor())
        name = received.name_of(instance.uuid, test_migration.NUMBER)
        carrier = self.dest._migrations._carrier()
        right = carrier.noted(name)
        carrier.forget(instance.uuid)
        looks = self.unfinished(self.dest, 'compute2')
        for wrong in (None, moved.Moved(f'{right.layer}1', right.base, 'x'),
                      moved.Moved(right.layer, right.base.replace(instance.image_ref, 'x'), 'x')):
            if wrong:
                carrier.note(wrong, name)
            self.known(instance, MIGRATED)
            self.look(looks, instance)
            self.assertEqual([], self.sent)
            self.assertEqual((vm_states.ERROR, None), (instance.vm_state, instance.task_state))
            self.assertIn('it is on compute1 still', self.faults.pop())

    def test_the_way_back(self) -> None:
        instance = self.server()
        disk_info = self.go(instance, self.flavor())
        self.at(self.dest)
        self.arrive(instance, self.flavor(), disk_info)
        self.known(instance, REVERTING)
        looks = self.unfinished(self.dest, 'compute2')
        self.up = False   # the message may wait there
        self.look(looks, instance)
        self.assertEqual([], self.sent)
        self.up = True
        self.look(looks, instance)
        [(name, _, sent, _, host, _)] = self.sent
        self.assertEqual(('revert_resize', instance, 'compute2'), (name, sent, host))

    def test_confirming(self) -> None:
        instance = self.server()
        self.known(instance, REVERTING)
        self.confirming = [self.migration]
        looks = self.unfinished(self.source, 'compute1')
        self.look(looks)
        self.assertEqual([('confirm_resize', self.context, instance, self.migration, 'compute1')],
                         self.sent)
        self.migration.cross_cell_move = True   # others do that
        self.look(looks)
        self.assertEqual(1, len(self.sent))

    def test_one_that_cannot_be_gone_on_with_holds_up_no_other(self) -> None:
        instance = self.server()
        self.known(instance, None)
        gone = types.SimpleNamespace(**vars(self.migration) | {'id': 1, 'instance_uuid': 'gone'})
        self.confirming = [gone, self.migration]

        def get(cls: Any, context: Any, uuid: str, **_: Any) -> objects.Instance:
            if uuid == 'gone':
                raise exception.InstanceNotFound(instance_id=uuid)
            return instance

        self.stub_out('nova.objects.Instance.get_by_uuid', get)
        looks = self.unfinished(self.source, 'compute1')
        self.look(looks)
        self.assertEqual(1, len(self.sent))

    def test_a_host_that_starts_meanwhile_starts_no_container(self) -> None:
        instance = self.server()
        self.go(instance, self.flavor())
        instance.task_state = MIGRATED
        calls = len(self.dest_engine.requests)
        self.dest.resume_state_on_host_boot(self.context, instance, self.network_info, None)
        self.assertEqual(calls, len(self.dest_engine.requests))

    def test_reboot_of_one_that_was_given_up(self) -> None:
        """By an administrator, before its message was sent again."""
        instance = self.server()
        self.go(instance, self.flavor())
        self.at(self.dest)
        self.driver.reboot(self.context, instance, self.network_info, 'HARD')
        self.assertEqual(b'1\n', self.written(instance))
        self.assertIn(identity.container_name(instance), self.engine.containers)
        self.assertEqual([], self.files())
