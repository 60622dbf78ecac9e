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

"""Resize and migration, through the driver, on an engine that speaks Docker's protocol."""

from __future__ import annotations

import pathlib
import types
from typing import Any

import fixtures
from nova import exception
from nova import objects
from nova.compute import power_state
from nova.compute import task_states

from zun_nova import errors
from zun_nova.tests import fake_engine
from zun_nova.tests import images
from zun_nova.tests.unit.virt import test_driver
from zun_nova.virt import driver
from zun_nova.virt import identity
from zun_nova.virt import migration
from zun_nova.virt import received

HERE = '192.0.2.1'
NUMBER = 7


class MoveCase(test_driver.DriverCase):

    def setUp(self) -> None:
        super().setUp()
        driver.CONF.set_override('my_ip', HERE)
        self.addCleanup(driver.CONF.clear_override, 'my_ip')
        self.migration = types.SimpleNamespace(
            id=NUMBER, source_compute='compute1', dest_compute='compute1')
        self.stub_out('nova.objects.Migration.get_by_id_and_instance',
                      lambda cls, context, number, uuid: self.migration)

    def server(self, **updates: Any) -> objects.Instance:
        """A server that runs and has written a file."""
        instance = self.instance(**updates)
        instance.numa_topology = None
        instance.migration_context = objects.MigrationContext(migration_id=NUMBER)
        instance.flavor = self.flavor()
        instance.metadata = {'container:command': 'sh -c "echo 1 > /written; sleep infinity"'}
        self.spawn(instance)
        return instance

    def flavor(self, **updates: Any) -> objects.Flavor:
        values = {'id': 1, 'name': 'small', 'vcpus': 1, 'memory_mb': 64, 'root_gb': 1,
                  'ephemeral_gb': 0, 'swap': 0, 'extra_specs': {}}
        return objects.Flavor(**(values | updates))

    def leave(self, instance: objects.Instance, flavor: objects.Flavor, dest: str = HERE) -> str:
        return self.driver.migrate_disk_and_power_off(
            self.context, instance, dest, flavor, self.network_info)

    def arrive(self, instance: objects.Instance, flavor: objects.Flavor, disk_info: str,
               power_on: bool = True) -> None:
        instance.flavor = flavor
        self.driver.finish_migration(
            self.context, self.migration, instance, disk_info, self.network_info,
            self.image_meta(), False, {}, power_on=power_on)

    def resize(self, instance: objects.Instance, **updates: Any) -> None:
        flavor = self.flavor(name='other', **updates)
        self.arrive(instance, flavor, self.leave(instance, flavor))

    def confirm(self, instance: objects.Instance) -> None:
        self.driver.confirm_migration(self.context, self.migration, instance, self.network_info)

    def revert(self, instance: objects.Instance, power_on: bool = True) -> None:
        instance.task_state = task_states.RESIZE_REVERTING
        self.driver.destroy(self.context, instance, self.network_info)
        instance.flavor = self.flavor()
        self.driver.finish_revert_migration(
            self.context, instance, self.network_info, self.migration, power_on=power_on)
        instance.task_state = None

    def container(self, instance: objects.Instance) -> Any:
        return self.engine.containers[identity.container_name(instance)]

    def written(self, instance: objects.Instance) -> bytes | None:
        container = self.container(instance)
        return (container.image.files | container.put).get('/written')

    def layers(self) -> list[str]:
        return [tag for image in self.engine.engine.images.by_id.values() for tag in image.tags
                if tag.startswith('zun-nova/layer:')]

    def assert_runs_as_before(self, instance: objects.Instance, before: Any) -> None:
        self.assertIs(before, self.container(instance))
        self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)
        self.assertNotIn(identity.aside_name(instance.uuid), self.engine.containers)
        self.assertEqual([], self.layers())


class SameHostTest(MoveCase):

    def test_resize_and_confirm(self) -> None:
        instance = self.server()
        before = self.container(instance)
        calls = len(self.wiring.calls)
        self.resize(instance, memory_mb=128, root_gb=2)
        after = self.container(instance)
        self.assertEqual(128 * 1024 ** 2, after.host_config['Memory'])
        self.assertEqual(b'1\n', self.written(instance))
        self.assertTrue(after.running)
        self.assertFalse(before.running)
        # In the same namespace, with the same ports.
        self.assertEqual(before.host_config['NetworkMode'], after.host_config['NetworkMode'])
        self.assertNotIn('unplug', [call for call, _ in self.wiring.calls[calls:]])
        self.assertEqual([instance.name], self.driver.list_instances())
        for _ in range(2):
            self.confirm(instance)
            self.assertNotIn(before.name, self.engine.containers)
            self.assertEqual([f'zun-nova/layer:{instance.uuid}-{NUMBER}'], self.layers())
        self.driver.destroy(self.context, instance, self.network_info)
        self.assert_nothing_left()
        self.assertEqual([], self.layers())

    def test_resize_and_revert(self) -> None:
        for power_on in (True, False):
            instance = self.server()
            before = self.container(instance)
            self.resize(instance, memory_mb=128)
            for _ in range(2):
                self.revert(instance, power_on)
                self.assertIs(before, self.container(instance))
                self.assertEqual(power_on, before.running)
                self.assertEqual([], self.layers())
            self.driver.destroy(self.context, instance, self.network_info)
            self.assert_nothing_left()

    def test_every_resize_adds_a_layer_and_leaves_one_name(self) -> None:
        instance = self.server()
        for number in range(NUMBER, NUMBER + 3):
            instance.migration_context.migration_id = number
            self.resize(instance, root_gb=number)
            self.confirm(instance)
            self.assertEqual([f'zun-nova/layer:{instance.uuid}-{number}'], self.layers())
        self.assertEqual(b'1\n', self.written(instance))
        self.driver.destroy(self.context, instance, self.network_info)
        self.assertEqual([], self.layers())

    def test_a_stopped_server_stays_stopped(self) -> None:
        instance = self.server()
        self.driver.power_off(instance)
        flavor = self.flavor(memory_mb=128)
        self.arrive(instance, flavor, self.leave(instance, flavor), power_on=False)
        self.assertEqual(power_state.SHUTDOWN, self.driver.get_info(instance).state)

    def test_finishing_twice(self) -> None:
        instance = self.server()
        flavor = self.flavor(memory_mb=128)
        disk_info = self.leave(instance, flavor)
        for _ in range(2):
            self.arrive(instance, flavor, disk_info)
        self.assertEqual(b'1\n', self.written(instance))
        self.revert(instance)
        self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)

    def test_a_server_that_is_deleted_while_it_waits(self) -> None:
        instance = self.server()
        self.resize(instance, memory_mb=128)
        self.driver.destroy(self.context, instance, self.network_info)
        self.assert_nothing_left()
        self.assertEqual([], self.layers())

    def test_a_smaller_disk_than_it_has_written(self) -> None:
        instance = self.server()
        before = self.container(instance)
        self.stub_out('zun_nova.virt.layers._GIB', 1)
        ex = self.assertRaises(exception.InstanceFaultRollback, self.leave, instance,
                               self.flavor(root_gb=5))
        self.assertIsInstance(ex.inner_exception, exception.ResizeError)
        self.assertIn('delete files in it', str(ex))
        self.assert_runs_as_before(instance, before)

    def test_too_many_layers(self) -> None:
        instance = self.server()
        before = self.container(instance)
        self.stub_out('zun_nova.virt.layers.MAX_LAYERS', 1)
        ex = self.assertRaises(exception.InstanceFaultRollback, self.leave, instance,
                               self.flavor(memory_mb=128))
        self.assertIn('at most 1', str(ex))
        self.assert_runs_as_before(instance, before)

    def test_the_engine_fails_at_a_step_of_leaving(self) -> None:
        for method, path in (('POST', '/containers/nova-[^/]*/kill'), ('POST', '/commit'),
                             ('POST', '/containers/.*/rename')):
            instance = self.server()
            before = self.container(instance)
            self.engine.fail_next(method, path, status=500, message='no space left on device')
            ex = self.assertRaises(exception.InstanceFaultRollback, self.leave, instance,
                                   self.flavor(memory_mb=128))
            self.assertIn('no space left on device', str(ex))
            self.assert_runs_as_before(instance, before)

    def test_the_engine_fails_at_a_step_of_arriving(self) -> None:
        for method, path in (('POST', '/containers/create'),
                             ('POST', '/containers/nova-[^/]*/start')):
            instance = self.server()
            before = self.container(instance)
            flavor = self.flavor(memory_mb=128)
            disk_info = self.leave(instance, flavor)
            self.engine.fail_next(method, path, status=500, message='broken')
            self.assertRaises(exception.InstanceFaultRollback, self.arrive, instance, flavor,
                              disk_info)
            self.assert_runs_as_before(instance, before)

    def test_died_after_leaving(self) -> None:
        instance = self.server()
        before = self.container(instance)
        self.leave(instance, self.flavor(memory_mb=128))
        started = self.new_driver('compute1')
        started.plug_vifs(instance, self.network_info)
        started.finish_revert_migration(
            self.context, instance, self.network_info, self.migration)
        self.assert_runs_as_before(instance, before)


class OtherEngineTest(MoveCase):
    """One that makes no images of containers."""

    def setUp(self) -> None:
        super().setUp()
        self.stub_out('zun_nova.virt.layers.LayerStore.__init__', self.refuse)

    def refuse(self, *_: Any) -> None:
        raise errors.Unsupported('move servers', 'not here')

    def test_servers_stay_and_all_else_works(self) -> None:
        instance = self.server()
        pid = self.container(instance).pid
        ex = self.assertRaises(exception.InstanceFaultRollback, self.leave, instance,
                               self.flavor(memory_mb=128))
        self.assertIn('not here', str(ex))
        self.assertEqual(pid, self.container(instance).pid)
        self.assertEqual(set(), self.driver._migrations.left())
        self.driver.reboot(self.context, instance, self.network_info, 'HARD')
        self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)
        self.driver.destroy(self.context, instance, self.network_info)
        self.assert_nothing_left()


class LiveTest(MoveCase):

    def setUp(self) -> None:
        super().setUp()
        driver.CONF.set_override('live_resize', True, group='zun_nova')
        self.addCleanup(driver.CONF.clear_override, 'live_resize', group='zun_nova')

    def assert_live(self, instance: objects.Instance, pid: int, memory_mb: int) -> None:
        container = self.container(instance)
        self.assertEqual(pid, container.pid)
        self.assertEqual(memory_mb * 1024 ** 2, container.host_config['Memory'])

    def test_it_runs_on(self) -> None:
        instance = self.server()
        pid = self.container(instance).pid
        self.resize(instance, memory_mb=128, vcpus=2)
        self.assert_live(instance, pid, 128)
        self.assertEqual(200_000, self.container(instance).host_config['CpuQuota'])
        self.revert(instance)
        self.assert_live(instance, pid, 64)
        self.resize(instance, memory_mb=256)
        self.confirm(instance)
        self.assert_live(instance, pid, 256)

    def test_what_the_engine_refuses_needs_a_restart(self) -> None:
        instance = self.server()
        pid = self.container(instance).pid
        self.engine.fail_next('POST', '/containers/.*/update', status=500, message='busy')
        self.resize(instance, memory_mb=128)
        self.assertNotEqual(pid, self.container(instance).pid)
        self.assertEqual(128 * 1024 ** 2, self.container(instance).host_config['Memory'])

    def test_what_needs_a_restart(self) -> None:
        server = types.SimpleNamespace(flavor=self.flavor(), numa_topology=None)
        for updates, live in (({'vcpus': 2, 'memory_mb': 1}, True), ({'root_gb': 2}, False),
                              ({'swap': 1}, False), ({'ephemeral_gb': 1}, False),
                              ({'extra_specs': {'container:runtime': 'runsc'}}, False)):
            self.assertEqual(
                live, migration.only_limits_differ(server, self.flavor(**updates)), updates)
        server.numa_topology = objects.InstanceNUMATopology()
        self.assertFalse(migration.only_limits_differ(server, self.flavor(vcpus=2)))


class Glance(test_driver.Glance):
    """Tells of its one image."""

    def __init__(self, archive: bytes) -> None:
        super().__init__(archive)
        self.image: dict[str, Any] | None = {
            'id': test_driver.IMAGE_ID, 'checksum': 'c0ffee', 'container_format': 'docker',
            'disk_format': 'raw', 'properties': {}}

    def get(self, context: Any, image_id: str) -> dict[str, Any]:
        if self.image is None:
            raise exception.ImageNotFound(image_id=image_id)
        return self.image


class TwoHostsCase(MoveCase):
    """Two drivers, each with an engine of its own; files are sent through a directory."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name, value in (('migration_transport', 'shared'),):
            driver.CONF.set_override(name, value, group='zun_nova')
            self.addCleanup(driver.CONF.clear_override, name, group='zun_nova')
        driver.CONF.set_override('instances_path', str(self.directory))
        self.addCleanup(driver.CONF.clear_override, 'instances_path')
        self.glance = Glance(self.glance.archive)
        self.source, self.source_engine = self.driver, self.engine
        self.source._migrations._images._glance = self.glance
        self.dest_engine = self.useFixture(fake_engine.FakeEngine())
        driver.CONF.set_override('docker_url', self.dest_engine.url, group='zun_nova')
        self.dest = self.new_driver('compute2')
        self.migration.dest_compute = 'compute2'

    def at(self, place: driver.ContainerDriver) -> None:
        """Let the helpers talk to this one."""
        self.driver = place
        self.engine = self.source_engine if place is self.source else self.dest_engine

    def go(self, instance: objects.Instance, flavor: objects.Flavor) -> str:
        self.at(self.source)
        return self.leave(instance, flavor, '192.0.2.2')

    def files(self) -> list[pathlib.Path]:
        """What has come, without notes."""
        return [path for path in self.directory.rglob('*-7') if path.is_file()]


class TwoHostsTest(TwoHostsCase):

    def test_there_and_confirmed(self) -> None:
        instance = self.server()
        disk_info = self.go(instance, self.flavor())
        [file] = self.files()
        self.assertLess(file.stat().st_size, 100_000)   # without busybox
        self.at(self.dest)
        self.arrive(instance, self.flavor(), disk_info)
        self.assertEqual(b'1\n', self.written(instance))
        self.assertTrue(self.container(instance).running)
        self.assertEqual([], self.files())
        self.at(self.source)
        for _ in range(2):
            self.confirm(instance)
            self.assertEqual({}, dict(self.engine.containers))
            self.assertEqual([], self.layers())
        self.at(self.dest)
        self.driver.destroy(self.context, instance, self.network_info)
        self.assert_nothing_left()
        self.assertEqual([], self.layers())

    def test_there_and_back_and_there(self) -> None:
        instance = self.server()
        before = self.container(instance)
        for _ in range(2):
            disk_info = self.go(instance, self.flavor())
            self.at(self.dest)
            self.arrive(instance, self.flavor(), disk_info)
            instance.task_state = task_states.RESIZE_REVERTING
            self.dest.destroy(self.context, instance, self.network_info)
            self.assertEqual({}, dict(self.engine.containers))
            self.assertEqual([], self.layers())
            self.at(self.source)
            self.driver.finish_revert_migration(
                self.context, instance, self.network_info, self.migration)
            instance.task_state = None
            self.assert_runs_as_before(instance, before)
            self.assertEqual(1, len(self.wiring.switch))

    def test_an_image_that_glance_has_no_more(self) -> None:
        instance = self.server()
        self.glance.image = None
        disk_info = self.go(instance, self.flavor())
        self.at(self.dest)
        self.arrive(instance, self.flavor(), disk_info)
        self.assertEqual(b'1\n', self.written(instance))
        self.assertEqual(1, self.glance.downloads)

    def test_an_image_that_has_changed_meanwhile(self) -> None:
        instance = self.server()
        disk_info = self.go(instance, self.flavor())
        self.glance.archive = images.archive('other:1', {'Cmd': ['other']})
        self.at(self.dest)
        ex = self.assertRaises(
            exception.NovaException, self.arrive, instance, self.flavor(), disk_info)
        self.assertIn('lowest layers', str(ex))
        self.assertEqual([], self.layers())

    def test_a_file_that_is_not_what_was_sent(self) -> None:
        instance = self.server()
        disk_info = self.go(instance, self.flavor())
        [file] = self.files()
        data = file.read_bytes()
        self.at(self.dest)
        for wrong in (data[:-10_000], data + b'x', b''):
            file.write_bytes(wrong)
            self.assertRaises(
                exception.NovaException, self.arrive, instance, self.flavor(), disk_info)
            self.assertEqual([], self.layers())
        file.write_bytes(data)
        self.arrive(instance, self.flavor(), disk_info)
        self.assertEqual(b'1\n', self.written(instance))

    def test_what_fails_leaves_the_server_on_its_source(self) -> None:
        instance = self.server()
        before = self.container(instance)
        for method, path in (('POST', '/commit'), ('GET', '/images/.*/get'),
                             ('POST', '/containers/.*/rename')):
            self.source_engine.fail_next(method, path, status=500, message='broken')
            self.assertRaises(
                exception.InstanceFaultRollback, self.go, instance, self.flavor())
            self.assert_runs_as_before(instance, before)
            self.assertEqual([], self.files())
        (self.directory / received.DIRECTORY).rmdir()
        (self.directory / received.DIRECTORY).write_text('in the way')
        pid = before.pid
        ex = self.assertRaises(
            exception.InstanceFaultRollback, self.go, instance, self.flavor())
        self.assertIsInstance(ex.inner_exception, exception.MigrationError)
        self.assertEqual(pid, before.pid)   # it was not stopped

    def test_arriving_again_after_a_failure(self) -> None:
        instance = self.server()
        disk_info = self.go(instance, self.flavor())
        self.at(self.dest)
        for method, path in (('POST', '/images/load'), ('POST', '/containers/create'),
                             ('POST', '/containers/nova-[^/]*/start')):
            self.engine.fail_next(method, path, status=500, message='broken')
            self.assertRaises(
                exception.NovaException, self.arrive, instance, self.flavor(), disk_info)
        self.arrive(instance, self.flavor(), disk_info)
        self.assertEqual(b'1\n', self.written(instance))
        self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)
