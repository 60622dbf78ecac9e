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

"""What nova-compute makes of migrations that it was killed in."""

from __future__ import annotations

import types

from nova import exception
from nova import objects
from nova.compute import power_state
from nova.compute import task_states
from nova.compute import vm_states

from zun_nova.tests.unit.virt import test_migration
from zun_nova.virt import identity
from zun_nova.virt import interrupted


class InterruptedTest(test_migration.TwoHostsCase):

    def setUp(self) -> None:
        super().setUp()
        self.faults: list[str] = []
        self.released: list[str] = []
        self.migration.uuid = 'consumer'
        self.stub_out('nova.scheduler.client.report.report_client_singleton',
                      lambda: types.SimpleNamespace(
                          delete_allocation_for_instance=lambda context, consumer, **_:
                          self.released.append(consumer)))
        self.stub_out('nova.objects.Instance.save', lambda instance, **_: None)
        self.stub_out('nova.compute.utils.add_instance_fault_from_exc',
                      lambda context, instance, ex: self.faults.append(str(ex)))

    def start(self, instance: objects.Instance, task_state: str | None) -> None:
        """As a new nova-compute does."""
        instance.task_state, instance.vm_state = task_state, vm_states.ACTIVE
        interrupted.settle(self.context, [instance], self.driver._migrations)

    def reboot(self, instance: objects.Instance) -> None:
        self.driver.reboot(self.context, instance, self.network_info, 'HARD')
        self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)
        self.assertEqual(b'1\n', self.written(instance))
        self.assertNotIn(identity.aside_name(instance.uuid), self.engine.containers)
        self.assertEqual([], self.files())

    def test_arriving_on_the_same_host(self) -> None:
        for made in (False, True):
            instance = self.server()
            flavor = self.flavor(memory_mb=128)
            disk_info = self.leave(instance, flavor)
            if made:
                self.arrive(instance, flavor, disk_info)
            instance.flavor = flavor
            self.start(instance, task_states.RESIZE_FINISH)
            self.assertEqual(vm_states.ERROR, instance.vm_state)
            self.assertIsNone(instance.task_state)
            self.assertIn('reboot it hard', self.faults[-1])
            self.assertEqual('consumer', self.released.pop())   # of the old size
            self.reboot(instance)
            self.assertEqual(128 * 1024 ** 2, self.container(instance).host_config['Memory'])

    def test_arriving_on_another_host(self) -> None:
        for made in (False, True):
            instance = self.server()
            disk_info = self.go(instance, self.flavor())
            self.at(self.dest)
            self.engine.fail_next('POST', '/containers/nova-[^/]*/start', status=500, message='x')
            self.assertRaises(
                exception.NovaException, self.arrive, instance, self.flavor(), disk_info)
            if not made:
                self.driver._runtime.remove(identity.container_name(instance))
            self.start(instance, task_states.RESIZE_FINISH)
            self.reboot(instance)
            self.at(self.source)
            self.confirm(instance)

    def test_returning(self) -> None:
        for same_host in (True, False):
            self.migration.dest_compute = 'compute1' if same_host else 'compute2'
            instance = self.server(host='compute1')
            before = self.container(instance)
            if same_host:
                self.resize(instance, memory_mb=128)
            else:
                self.go(instance, self.flavor())
            instance.flavor = self.flavor()
            self.start(instance, task_states.RESIZE_REVERTING)
            self.assertEqual([], self.released)
            self.assertEqual(vm_states.ERROR, instance.vm_state)
            self.reboot(instance)
            self.assert_runs_as_before(instance, before)

    def test_what_is_left_alone(self) -> None:
        instance = self.server(host='compute2')
        self.migration.dest_compute = 'compute2'
        for task in (None, task_states.RESIZE_MIGRATING, task_states.RESIZE_MIGRATED,
                     task_states.RESIZE_REVERTING, task_states.REBOOTING):
            self.start(instance, task)
            self.assertEqual((vm_states.ACTIVE, task), (instance.vm_state, instance.task_state))
