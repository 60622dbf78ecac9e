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

"""What is removed of servers that are no longer here, and above all what is not."""

from __future__ import annotations

import threading
import types
from typing import Any
from unittest import mock
import uuid

import fixtures
from nova import context as nova_context
from nova import exception
from nova import objects
from nova.compute import task_states
from nova.compute import vm_states
from oslo_concurrency import lockutils
from oslotest import base

from zun_nova import errors
from zun_nova.tests.unit.virt import test_driver
from zun_nova.vif import switch
from zun_nova.virt import driver
from zun_nova.virt import identity
from zun_nova.virt import received
from zun_nova.virt import reconcile
from zun_nova.virt import transport

PORT = switch.Port(port_id='p', device='tapp', instance_uuid='u')
CONTAINER = reconcile.Remains('u', container=True, holder=True, ports=(PORT,))
HOLDER = reconcile.Remains('u', holder=True, ports=(PORT,))
PORTS = reconcile.Remains('u', ports=(PORT,))
DRIVE = reconcile.Remains('u', drive=True)

HERE = reconcile.Record('here')
DELETED_HERE = reconcile.Record('here', deleted=True)
DELETED_ELSEWHERE = reconcile.Record('there', deleted=True)
DELETED_NOWHERE = reconcile.Record(None, deleted=True)
ELSEWHERE = reconcile.Record('there')
NOWHERE = reconcile.Record(None)
MIGRATED = reconcile.Record('there', migrates=True)

KEEP, ASK = reconcile.Verdict.KEEP, reconcile.Verdict.ASK
REMOVE, LATER = reconcile.Verdict.REMOVE, reconcile.Verdict.REMOVE_LATER


class TestDecide(base.BaseTestCase):

    def test_table(self) -> None:
        for record, container, holder, ports in (
                (None, ASK, REMOVE, KEEP),
                (HERE, KEEP, KEEP, KEEP),
                (DELETED_HERE, KEEP, REMOVE, REMOVE),
                (DELETED_ELSEWHERE, KEEP, REMOVE, KEEP),
                (DELETED_NOWHERE, KEEP, REMOVE, KEEP),
                (ELSEWHERE, LATER, LATER, KEEP),
                (NOWHERE, LATER, LATER, KEEP),
                (MIGRATED, KEEP, KEEP, KEEP)):
            for remains, expected in (
                    (CONTAINER, container), (HOLDER, holder), (DRIVE, holder), (PORTS, ports)):
                self.assertEqual(
                    expected, reconcile.decide(remains, record, 'here')[0], (record, remains))


class TestReconcile(test_driver.DriverCase):

    def setUp(self) -> None:
        super().setUp()
        #: What Nova's database holds.
        self.servers: list[objects.Instance] = []
        self.migrations: list[Any] = []
        self.stub_out('nova.objects.InstanceList.get_by_host',
                      lambda cls, *args, **kwargs: self.get_by_host(*args, **kwargs))
        self.stub_out('nova.objects.InstanceList.get_by_filters',
                      lambda cls, *args, **kwargs: self.get_by_filters(*args, **kwargs))
        self.stub_out('nova.objects.MigrationList.get_by_filters',
                      lambda cls, context, filters: (
                          self.migrations if 'instance_uuid' in filters else []))
        self.reconciler = reconcile.Reconciler(
            self.driver._runtime, self.driver._networks, self.driver._drives,
            self.driver._volumes, self.driver._migrations, 'compute1', 0)

    def get_by_host(self, context: Any, host: str, expected_attrs: Any) -> list[Any]:
        return [each for each in self.servers if each.host == host and not each.deleted]

    def get_by_filters(self, context: Any, filters: Any, expected_attrs: Any) -> list[Any]:
        self.assertEqual('yes', context.read_deleted)
        return [each for each in self.servers if each.uuid in filters['uuid']]

    def reconcile(self) -> None:
        self.reconciler.reconcile(nova_context.get_admin_context())

    def left(self, *, container: bool = False, **fields: Any) -> objects.Instance:
        """A server of which its network, its port and perhaps its container are here."""
        instance = self.instance(**({'host': 'compute1'} | fields))
        self.spawn(instance)
        if not container:
            self.driver._runtime.remove(identity.container_name(instance))
        self.servers.append(instance)
        return instance

    def test_what_is_aside_goes_with_the_rest(self) -> None:
        instance = self.left(container=True, host='there')
        self.driver._runtime.rename(
            identity.container_name(instance), identity.aside_name(instance.uuid))
        for _ in range(2):
            self.reconcile()
        self.assertEqual({}, dict(self.engine.containers))

    def assert_untouched(self) -> None:
        """Nothing is removed, however often one looks."""
        before = self.state()
        for _ in range(3):
            self.reconcile()
        self.assertEqual(before, self.state())

    def state(self) -> tuple[set[str], dict[str, switch.Port]]:
        return set(self.engine.containers), dict(self.wiring.switch)

    def test_servers_that_are_here(self) -> None:
        self.left(container=True)
        self.left()
        self.assert_untouched()

    def test_two_engine_calls_and_one_of_the_database(self) -> None:
        for _ in range(3):
            self.left(container=True)
        self.engine.requests.clear()
        self.stub_out('nova.objects.InstanceList.get_by_filters', None)   # not called
        self.reconcile()
        self.assertEqual(2, len(self.engine.requests))

    def test_network_of_a_deleted_server(self) -> None:
        self.left(deleted=True)
        self.reconcile()
        self.assert_nothing_left()

    def test_config_drive_of_a_deleted_server(self) -> None:
        """As after a crash between its removal and the container's."""
        instance = self.left(container=True, config_drive='True', deleted=True)
        self.driver.destroy(self.context, instance, self.network_info)
        self.spawned_drive(instance)
        kept = self.left(container=True, config_drive='True')
        self.spawned_drive(kept)
        self.reconcile()
        self.assertEqual({kept.uuid}, self.driver._drives.uuids())

    def spawned_drive(self, instance: objects.Instance) -> None:
        self.driver._drives.mounts(instance, self.network_info, None)

    def test_network_of_an_unknown_server(self) -> None:
        self.left()
        self.servers.clear()
        self.reconcile()
        self.assert_nothing_left()

    def test_container_of_a_deleted_server_is_left_to_nova(self) -> None:
        instance = self.left(container=True, deleted=True)
        self.reconcile()
        self.assertEqual([instance.uuid], self.driver.list_instance_uuids())
        # Nova's periodic task finds it so, and no longer knows its ports.
        self.driver.destroy(self.context, instance, [])
        self.assertEqual(({}, {}), (dict(self.engine.containers), self.wiring.switch))

    def test_container_of_an_unknown_server_is_told_once(self) -> None:
        self.left(container=True)
        self.servers.clear()
        self.assert_untouched()
        self.assertEqual(1, self.stdlog.logger.output.count('Remove it by hand'))

    def test_failed_build_of_a_server_elsewhere_goes_at_the_second_look(self) -> None:
        self.left(container=True, host='compute7')
        before = self.state()
        self.reconcile()
        self.assertEqual(before, self.state())
        self.reconcile()
        self.assert_nothing_left()

    def test_one_that_came_back_stays(self) -> None:
        instance = self.left(container=True, host=None)
        self.reconcile()
        instance.host = 'compute1'
        before = self.state()
        self.reconcile()
        self.reconcile()
        self.assertEqual(before, self.state())

    def test_what_a_migration_is_about_stays(self) -> None:
        self.left(container=True, host='compute7', vm_state=vm_states.RESIZED)
        self.migrations.append(types.SimpleNamespace(status='finished'))
        self.assert_untouched()

    def test_which_migrations_need_what_is_left(self) -> None:
        for vm_state, task_state, status, needed in (
                (vm_states.RESIZED, None, 'finished', True),
                (vm_states.ACTIVE, task_states.RESIZE_MIGRATING, 'migrating', True),
                (vm_states.ERROR, None, 'post-migrating', True),
                (vm_states.ACTIVE, None, 'error', True),
                (vm_states.ACTIVE, None, 'confirming', False),
                (vm_states.STOPPED, None, 'confirmed', False)):
            server = types.SimpleNamespace(vm_state=vm_state, task_state=task_state)
            self.assertEqual(needed, reconcile.is_needed(server, [status]), (vm_state, status))

    def test_what_a_migration_that_is_over_has_left(self) -> None:
        instance = self.left(container=True, host='compute7', vm_state=vm_states.ACTIVE,
                             task_state=None)
        self.migrations.append(types.SimpleNamespace(status='confirmed'))
        self.driver._runtime.rename(
            identity.container_name(instance), identity.aside_name(instance.uuid))
        for _ in range(2):
            self.reconcile()
        self.assert_nothing_left()

    def test_layers_on_their_way(self) -> None:
        driver.CONF.set_override('instances_path', self.useFixture(fixtures.TempDir()).path)
        self.addCleanup(driver.CONF.clear_override, 'instances_path')
        store = received.Store(transport.directory(driver.CONF))
        gone, comes, here = (self.instance(host=host, deleted=deleted, task_state=task)
                             for host, deleted, task in (
                                 ('compute7', True, None), ('compute7', False, 'resize_migrating'),
                                 ('compute1', False, None)))
        self.servers += [gone, comes, here]
        self.migrations.append(types.SimpleNamespace(status='migrating'))
        for instance in self.servers:
            store.put(received.name_of(instance.uuid, 1), [b''], 1)
        for _ in range(2):
            self.reconcile()
        self.assertEqual({comes.uuid, here.uuid}, set(store.servers()))

    def test_what_nova_is_working_on_stays(self) -> None:
        instance = self.left(deleted=True)
        before = self.state()
        with lockutils.lock(instance.uuid):
            self.reconcile()
        self.assertEqual(before, self.state())

    def test_another_service_of_the_engine(self) -> None:
        self.left(container=True)
        self.servers.clear()
        other = self.new_driver('compute2')
        reconcile.Reconciler(
            other._runtime, other._networks, other._drives, other._volumes,
            other._migrations, 'compute2', 0).reconcile(
                nova_context.get_admin_context())
        self.assertEqual(2, len(self.engine.containers))

    def test_port_of_a_deleted_server_of_this_host(self) -> None:
        instance = self.instance(host='compute1', deleted=True)
        self.servers.append(instance)
        self.wiring.switch['tap1'] = switch.Port('1', 'tap1', instance.uuid)
        foreign = switch.Port('2', 'tap2', str(uuid.uuid4()))
        self.wiring.switch['tap2'] = foreign
        self.reconcile()
        self.assertEqual({'tap2': foreign}, self.wiring.switch)

    def test_nothing_is_done_without_the_switch(self) -> None:
        self.left(deleted=True)
        before = self.state()
        self.wiring.switch_error = errors.SwitchUnavailable('refused')
        self.assertRaises(errors.SwitchUnavailable, self.reconcile)
        self.assertEqual(before, self.state())

    def test_nothing_is_done_without_the_engine(self) -> None:
        self.left(deleted=True)
        self.engine.fail_next('GET', '/containers/json', status=500)
        self.assertRaises(errors.EngineError, self.reconcile)
        self.assertEqual(1, len(self.wiring.switch))

    def test_nothing_is_done_without_the_database(self) -> None:
        self.left(deleted=True)
        before = self.state()

        def timeout(*_args: Any, **_kwargs: Any) -> None:
            raise TimeoutError

        self.stub_out('nova.objects.InstanceList.get_by_filters', timeout)
        self.assertRaises(TimeoutError, self.reconcile)
        self.assertEqual(before, self.state())


class TestThread(test_driver.DriverCase):

    def test_nova_starts_though_the_database_is_away(self) -> None:
        asked = threading.Semaphore(0)

        def timeout(*_args: Any, **_kwargs: Any) -> None:
            asked.release()
            raise TimeoutError('no conductor')

        self.stub_out('nova.objects.InstanceList.get_by_host', timeout)
        self.stub_out('nova.objects.Service.get_by_compute_host', mock.Mock(
            side_effect=exception.ComputeHostNotFound(host='compute1')))
        driver.CONF.set_override('reconcile_interval', 1, group='zun_nova')
        self.addCleanup(driver.CONF.clear_override, 'reconcile_interval', group='zun_nova')
        self.addCleanup(self.driver.cleanup_host, 'compute1')
        instances = objects.InstanceList()
        self.assertIs(instances, self.driver.process_instances_at_startup(
            self.context, instances))
        for _ in range(3):   # it tries again
            self.assertTrue(asked.acquire(timeout=60))
        self.assertEqual(1, self.stdlog.logger.output.count('no conductor'))
