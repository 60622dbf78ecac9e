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

"""The driver whole, on an engine that speaks Docker's protocol and does nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator
import concurrent.futures
import contextlib
import errno
import socket
from typing import Any
from unittest import mock
import uuid

import fixtures
from nova import context as nova_context
from nova import exception
from nova import objects
from nova import test
from nova.compute import power_state
from nova.compute import provider_tree
from nova.compute import task_states
from nova.network import model as network_model
from nova.tests.unit import fake_instance
from nova.tests.unit import utils
from nova.virt import fake
import oslo_messaging

from zun_nova.tests import fake_engine
from zun_nova.tests import images
from zun_nova.tests.unit.vif import fakes as vif_fakes
from zun_nova.tests.unit.vif import fixtures as vif_fixtures
from zun_nova.tests.unit.virt import metadata_fakes
from zun_nova.virt import driver
from zun_nova.virt import faults
from zun_nova.virt import identity
from zun_nova.virt.runtime import base

CONTAINER = '/containers/nova-[0-9a-f-]{36}'
IMAGE_ID = 'cedef40a-ed67-4d10-800e-17455edce175'


class Glance:
    """Delivers one archive for whatever image, and counts."""

    def __init__(self, archive: bytes) -> None:
        self.archive = archive
        self.downloads = 0
        self.corrupt = False

    def download(self, context: Any, image_id: str) -> Iterator[bytes]:
        self.downloads += 1
        yield self.archive
        if self.corrupt:
            # glanceclient's way, after the last byte
            raise OSError(errno.EPIPE, 'Corrupt image download')


@contextlib.contextmanager
def no_event(*_: Any, **__: Any) -> Iterator[None]:
    """Nova's waiting for events that do not come."""
    yield
    raise exception.InstanceEventTimeout


class DriverCase(test.NoDBTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.engine = self.useFixture(fake_engine.FakeEngine())
        self.wiring = self.useFixture(vif_fixtures.RecordedWiring())
        driver.CONF.set_override('docker_url', self.engine.url, group='zun_nova')
        self.addCleanup(driver.CONF.clear_override, 'docker_url', group='zun_nova')
        self.glance = Glance(images.busybox('theirs:latest', Cmd=['sleep', 'infinity']))
        self.stub_out('nova.image.glance.API', lambda: self.glance)
        #: What Nova's database holds of the servers' ports.
        self.vifs: list[objects.VirtualInterface] = []
        self.stub_out('nova.objects.VirtualInterfaceList.get_by_instance_uuid',
                      lambda cls, context, instance_uuid: self.vifs)
        #: What was added to the actions of servers.
        self.actions: list[tuple[str, ...]] = []
        self.stub_out('zun_nova.virt.exits.record', lambda *values: self.actions.append(values))
        self.flags(instances_path=self.useFixture(fixtures.TempDir()).path)
        #: In the place of Nova's InstanceMetadata, which asks database and Neutron.
        self.told = metadata_fakes.Told
        self.stub_out('nova.api.metadata.base.InstanceMetadata',
                      lambda *values, **more: self.told(*values, **more))
        self.driver = self.new_driver('compute1')
        self.context = nova_context.get_admin_context()
        self.network_info = utils.get_test_network_info()

    def new_driver(self, host: str) -> driver.ContainerDriver:
        made = driver.ContainerDriver(fake.FakeVirtAPI())
        made.init_host(host)
        return made

    def instance(self, **updates: Any) -> objects.Instance:
        values = {'uuid': str(uuid.uuid4()), 'image_ref': IMAGE_ID, 'project_id': 'project',
                  'user_id': 'user', 'hostname': 'web', 'config_drive': '', 'metadata': {},
                  'system_metadata': {}, 'key_data': None}
        made = fake_instance.fake_instance_obj(
            self.context, expected_attrs=['metadata', 'system_metadata'], **(values | updates))
        made.flavor.ephemeral_gb, made.numa_topology, made.trusted_certs = 0, None, None
        return made

    def image_meta(self, **updates: Any) -> objects.ImageMeta:
        return objects.ImageMeta.from_dict({
            'id': IMAGE_ID, 'checksum': 'c0ffee', 'container_format': 'docker',
            'disk_format': 'raw', 'properties': {}, **updates})

    def spawn(self, instance: objects.Instance, **more: Any) -> None:
        image_meta = more.pop('image_meta', self.image_meta())
        self.driver.spawn(self.context, instance, image_meta, more.pop('injected_files', []),
                          'password', {}, network_info=self.network_info, **more)

    def assert_nothing_left(self) -> None:
        self.assertEqual({}, dict(self.engine.containers))
        self.assertEqual({}, self.wiring.wired)
        self.assertEqual({}, self.wiring.switch)
        self.assertEqual(set(), self.driver._drives.uuids())


class TenantsTest(DriverCase):

    def setUp(self) -> None:
        super().setUp()
        self.alone = self.instance()
        self.alone.flavor.extra_specs = {'container:same_tenant': 'true'}
        self.other = self.instance()
        self.other.project_id = 'other'

    def test_build_goes_on_to_another_host(self) -> None:
        """Also when the server that has this one is only being built yet."""
        self.driver.prepare_for_spawn(self.alone)
        self.assertRaises(exception.ComputeResourcesUnavailable,
                          self.driver.prepare_for_spawn, self.other)
        self.assertEqual([(self.other.uuid, 'other', faults.BUILD_FAILED)],
                         [(uuid, project, action) for uuid, project, _, action in self.actions])
        self.driver.failed_spawn_cleanup(self.alone)
        self.driver.prepare_for_spawn(self.other)

    def test_who_moves_here_is_checked_as_well(self) -> None:
        self.spawn(self.other)
        refused = self.assertRaises(exception.BuildAbortException, self.spawn, self.alone)
        self.assertIn('container:same_tenant', str(refused))
        self.driver.destroy(self.context, self.other, self.network_info)
        self.spawn(self.alone)

    def test_host_tells_the_scheduler(self) -> None:
        def tenant() -> str:
            return str(self.driver.get_available_resource('compute1')['stats']['container_tenant'])
        self.stub_out('nova.virt.node.get_local_node_uuid', lambda: str(uuid.uuid4()))
        self.assertEqual('', tenant())
        self.spawn(self.alone)
        self.assertEqual('project', tenant())
        self.driver.destroy(self.context, self.alone, self.network_info)
        self.assertEqual('', tenant())


class RebuildTest(DriverCase):
    """What Nova does when the driver leaves rebuilding to it."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.instance(host='compute1')
        self.spawn(self.server)
        self.name = identity.container_name(self.server)
        self.before = dict(self.engine.containers)

    def rebuild(self, **more: Any) -> None:
        self.server.task_state = task_states.REBUILDING
        self.driver.power_off(self.server)
        self.driver.destroy(self.context, self.server, self.network_info)
        self.assertNotIn(self.name, self.engine.containers)
        self.server.task_state = task_states.REBUILD_SPAWNING
        self.spawn(self.server, **more)

    def kept(self) -> list[bool]:
        """Whether container and holder are still the same."""
        return [self.before[name] is self.engine.containers[name]
                for name in (self.name, f'{self.name}-net')]

    def test_network_stays(self) -> None:
        wired, calls = dict(self.wiring.wired), len(self.wiring.calls)
        self.rebuild()
        self.assertEqual([False, True], self.kept())
        self.assertEqual(wired, self.wiring.wired)
        self.assertNotIn('unplug', [call for call, _ in self.wiring.calls[calls:]])

    def test_ports_that_stay_wired_are_not_waited_for(self) -> None:
        self.network_info[0]['active'] = False   # as Nova remembers them from the first boot
        awaited = []

        @contextlib.contextmanager
        def wait(instance: Any, event_names: Any, **_: Any) -> Iterator[None]:
            awaited.extend(event_names)
            yield

        self.driver.virtapi.wait_for_instance_event = wait
        self.rebuild()
        self.assertEqual([], awaited)
        self.server.hostname = 'renamed'
        self.rebuild()
        self.assertEqual([('network-vif-plugged', self.network_info[0]['id'])], awaited)

    def test_network_of_another_host_name(self) -> None:
        self.server.hostname = 'renamed'
        self.rebuild()
        self.assertEqual([False, False], self.kept())
        self.assertEqual('renamed', self.engine.containers[f'{self.name}-net'].config['Hostname'])

    def test_again_after_a_failure(self) -> None:
        bad = self.image_meta(container_format='bare')
        self.assertRaises(exception.ImageUnacceptable, self.rebuild, image_meta=bad)
        self.assertEqual([f'{self.name}-net'], list(self.engine.containers))
        self.rebuild()
        self.assertEqual([False, True], self.kept())

    def test_deleted_after_a_failure(self) -> None:
        bad = self.image_meta(container_format='bare')
        self.assertRaises(exception.ImageUnacceptable, self.rebuild, image_meta=bad)
        self.server.task_state = task_states.DELETING
        self.driver.destroy(self.context, self.server, self.network_info)
        self.assert_nothing_left()

    def test_evacuation_that_fails_leaves_nothing(self) -> None:
        server = self.instance(host='dead')
        server.task_state = task_states.REBUILD_SPAWNING
        before = set(self.engine.containers)
        self.stub_out('zun_nova.virt.servers.devices.record', mock.Mock(
            side_effect=exception.InstanceNotFound(instance_id=server.uuid)))
        self.assertRaises(exception.InstanceNotFound, self.spawn, server)
        self.assertEqual(before, set(self.engine.containers))
class ConsoleTest(DriverCase):

    def setUp(self) -> None:
        super().setUp()
        self.flags(enabled=True, group='serial_console')
        driver.CONF.set_override('console_port', 0, group='zun_nova')
        self.addCleanup(driver.CONF.clear_override, 'console_port', group='zun_nova')

    def test_asked_for_again_it_is_at_the_same_port(self) -> None:
        made = self.new_driver('compute1')
        self.addCleanup(made.cleanup_host, 'compute1')
        instance = self.instance()
        self.assertRaises(
            exception.InstanceNotFound, made.get_serial_console, self.context, instance)
        self.spawn(instance)
        first, second = (made.get_serial_console(self.context, instance) for _ in range(2))
        self.assertEqual((first.host, first.port), (second.host, second.port))
        self.assertTrue(second.internal_access_path.startswith(f'/console/{instance.uuid}/'))

    def test_a_port_that_is_taken_ends_the_service(self) -> None:
        with contextlib.closing(socket.create_server(('127.0.0.1', 0))) as taken:
            driver.CONF.set_override(
                'console_port', taken.getsockname()[1], group='zun_nova')
            failure = self.assertRaises(
                exception.NovaException, self.new_driver, 'compute1')
        self.assertIn('Cannot offer serial consoles at 127.0.0.1', str(failure))


class SpawnTest(DriverCase):

    def test_spawn_and_destroy(self) -> None:
        instance = self.instance()
        self.spawn(instance)
        self.assertEqual([instance.name], self.driver.list_instances())
        self.assertEqual([instance.uuid], self.driver.list_instance_uuids())
        self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)
        self.assertEqual(1, len(self.wiring.switch))
        for _ in range(2):
            self.driver.destroy(self.context, instance, self.network_info)
            self.assert_nothing_left()

    def test_spawn_without_power(self) -> None:
        instance = self.instance()
        self.spawn(instance, power_on=False)
        self.assertEqual(power_state.SHUTDOWN, self.driver.get_info(instance).state)
        self.driver.power_on(self.context, instance, self.network_info)
        self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)

    def test_what_it_is_given(self) -> None:
        instance = self.instance(config_drive='True')
        files = ('/etc/given', '/config-2/of/password', '/config-2/of/content')
        script = ';'.join(f'cat {path}' for path in files)
        instance.metadata = {'container:args': f'["sh", "-c", "{script}"]'}
        self.spawn(instance, injected_files=[('etc/given', b'a file\n')])
        output = self.driver.get_console_output(self.context, instance)
        self.assertEqual('a file\npassword\n/etc/given: a file\n', output)
        self.assertEqual({instance.uuid}, self.driver._drives.uuids())
        # What it is started with again is what it was built with.
        before = self.engine.requests.count(('POST', '/containers/create'))
        self.driver.reboot(self.context, instance, self.network_info, 'HARD')
        self.assertEqual(output * 2, self.driver.get_console_output(self.context, instance))
        self.assertEqual(before, self.engine.requests.count(('POST', '/containers/create')))
        self.driver.destroy(self.context, instance, self.network_info)
        self.assert_nothing_left()

    def test_states_of_all_servers_cost_one_call(self) -> None:
        servers = [self.instance(power_state=power_state.RUNNING) for _ in range(3)]
        for each in servers:
            self.spawn(each)
        stopped = self.instance(power_state=power_state.RUNNING)
        self.spawn(stopped)
        self.driver.power_off(stopped)
        before = len(self.engine.requests)
        self.assertEqual(4, self.driver.get_num_instances())
        self.assertEqual({power_state.RUNNING},
                         {self.driver.get_info(each).state for each in servers})
        self.assertEqual(1, len(self.engine.requests) - before)
        self.assertEqual(power_state.SHUTDOWN, self.driver.get_info(stopped).state)
        self.driver.get_info(servers[0], use_cache=False)
        self.assertEqual(3, len(self.engine.requests) - before)

    def test_servers_of_another_service_are_not_ours(self) -> None:
        other = self.new_driver('compute2')
        self.spawn(self.instance())
        self.assertEqual([], other.list_instances())
        self.assertEqual(0, other.get_num_instances())

    def test_a_server_that_exists_is_not_touched(self) -> None:
        instance = self.instance()
        self.spawn(instance)
        before = self.engine.containers[identity.container_name(instance)]
        self.assertRaises(exception.InstanceExists, self.spawn, instance)
        self.assertIs(before, self.engine.containers[identity.container_name(instance)])
        self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)

    def test_image_is_loaded_once(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(self.spawn, [self.instance() for _ in range(4)]))
        self.assertEqual(1, self.glance.downloads)

    def test_tags_of_the_archive_are_ignored(self) -> None:
        self.spawn(self.instance())
        store = base.load(driver.CONF)
        self.assertIsNone(store.image_id('theirs:latest'))
        self.assertIsNotNone(store.image_id(f'zun-nova/glance:{IMAGE_ID}-c0ffee'))


class SpawnFailureTest(DriverCase):
    """Nothing is left, and Nova learns whether another host is worth a try."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.assert_nothing_left)

    def test_engine_refuses_the_container(self) -> None:
        self.engine.fail_next('POST', '/containers/create', status=400, message='no')
        # The first one made is what holds the network.
        self.assertRaises(exception.BuildAbortException, self.spawn, self.instance())

    def test_engine_is_cut_off_while_the_container_starts(self) -> None:
        self.engine.fail_next('POST', CONTAINER + '/start', close=True)
        instance = self.instance()
        ex = self.assertRaises(exception.InstanceDeployFailure, self.spawn, instance)
        [(uuid, project, message, action)] = self.actions
        self.assertEqual((instance.uuid, 'project', faults.BUILD_FAILED), (uuid, project, action))
        self.assertIn(message, str(ex))

    def test_why_the_host_failed_cannot_be_noted(self) -> None:
        self.stub_out('zun_nova.virt.exits.record', mock.Mock(
            side_effect=oslo_messaging.MessagingTimeout))
        self.engine.fail_next('POST', CONTAINER + '/start', close=True)
        self.assertRaises(exception.InstanceDeployFailure, self.spawn, self.instance())

    def test_engine_answers_nothing_but_did_it(self) -> None:
        self.engine.fail_next('POST', CONTAINER + '/start', lose_answer=True)
        self.assertRaises(exception.InstanceDeployFailure, self.spawn, self.instance())

    def test_no_such_program(self) -> None:
        instance = self.instance()
        instance.metadata = {'container:command': '/no/such'}
        ex = self.assertRaises(exception.BuildAbortException, self.spawn, instance)
        self.assertIn('/no/such', str(ex))

    def test_port_cannot_be_wired(self) -> None:
        self.network_info[0]['type'] = 'binding_failed'
        ex = self.assertRaises(exception.BuildAbortException, self.spawn, self.instance())
        self.assertIn(f'Port {self.network_info[0]["id"]}: Neutron could not bind', str(ex))

    def test_second_port_cannot_be_wired(self) -> None:
        self.network_info.append(vif_fakes.vif())
        self.wiring.refused.add(vif_fakes.PORT_ID)
        ex = self.assertRaises(exception.BuildAbortException, self.spawn, self.instance())
        self.assertIn(f'Port {vif_fakes.PORT_ID}: ', str(ex))
        self.assertIn('plug', [call for call, _ in self.wiring.calls])

    def test_port_cannot_be_bound(self) -> None:
        def allocate() -> None:
            raise exception.PortBindingFailed(port_id=vif_fakes.PORT_ID)

        self.network_info = network_model.NetworkInfoAsyncWrapper(allocate)
        ex = self.assertRaises(exception.BuildAbortException, self.spawn, self.instance())
        self.assertIn(f'Port {vif_fakes.PORT_ID}: Neutron could not bind', str(ex))

    def test_neutron_does_not_confirm(self) -> None:
        self.network_info[0]['active'] = False
        self.driver.virtapi.wait_for_instance_event = no_event
        ex = self.assertRaises(exception.BuildAbortException, self.spawn, self.instance())
        self.assertIn(f'Port {self.network_info[0]["id"]}: ', str(ex))
        self.assertIn('vif_plugging_timeout', str(ex))

    def test_bad_metadata(self) -> None:
        instance = self.instance()
        instance.metadata = {'container:nothing': 'x'}
        ex = self.assertRaises(exception.InvalidInput, self.spawn, instance)
        self.assertIn('container:nothing', str(ex))
        self.assertEqual(0, self.glance.downloads)

    def test_image_of_another_kind(self) -> None:
        ex = self.assertRaises(exception.ImageUnacceptable, self.spawn, self.instance(),
                               image_meta=self.image_meta(container_format='bare'))
        self.assertIn('docker save', str(ex))

    def test_image_that_is_cut_short(self) -> None:
        self.glance.archive = self.glance.archive[:100_000]
        self.assertRaises(exception.ImageUnacceptable, self.spawn, self.instance())

    def test_image_of_another_checksum_is_not_loaded(self) -> None:
        self.glance.corrupt = True
        for _ in range(2):
            self.assertRaisesRegex(
                exception.ImageUnacceptable, 'Corrupt', self.spawn, self.instance())
        self.assertEqual(2, self.glance.downloads)

    def test_personality_that_may_be_nowhere(self) -> None:
        for path in ('/etc/../../x', '/proc/x', '//x', '/'):
            ex = self.assertRaises(exception.InvalidInput, self.spawn, self.instance(),
                                   injected_files=[('/fine', b''), (path, b'secret')])
            self.assertIn('personality[1].path: must be absolute, without', str(ex))
        self.assertEqual(0, self.glance.downloads)

    def test_config_drive_that_cannot_be_made(self) -> None:
        self.told = mock.Mock(side_effect=exception.NovaException('no conductor'))
        self.assertRaises(exception.NovaException, self.spawn, self.instance(config_drive='True'))

    def test_engine_refuses_a_container_with_config_drive(self) -> None:
        instance = self.instance(config_drive='True')
        self.spawn(instance)
        self.driver.destroy(self.context, instance, self.network_info)
        name = identity.container_name(instance)
        self.engine.fail_next('POST', '/containers/create', status=400, message='no')
        self.assertRaises(exception.BuildAbortException, self.spawn, instance)
        self.assertNotIn(name, self.engine.containers)

    def test_unknown_runtime(self) -> None:
        instance = self.instance()
        instance.flavor.extra_specs = {'container:runtime': 'kata'}
        ex = self.assertRaises(
            exception.InstanceUnacceptable, self.driver.prepare_for_spawn, instance)
        self.assertIn("no OCI runtime 'kata', only runc", str(ex))
        self.assertIn('trait:CUSTOM_CONTAINER_RUNTIME_KATA=required', str(ex))

    def test_too_few_processes_for_a_sandbox(self) -> None:
        self.engine.engine.info['Runtimes']['runsc'] = {'path': '/usr/bin/runsc'}
        instance = self.instance()
        for pids, refused in ((20, True), (128, False)):
            instance.flavor.extra_specs = {
                'container:runtime': 'runsc', 'container:pids_limit': str(pids)}
            if refused:
                ex = self.assertRaises(
                    exception.InstanceUnacceptable, self.driver.prepare_for_spawn, instance)
                self.assertIn('container:pids_limit', str(ex))
                self.assertIn('needs 128', str(ex))
            else:
                self.driver.prepare_for_spawn(instance)

    def test_unknown_runtime_that_another_host_must_have(self) -> None:
        instance = self.instance()
        instance.flavor.extra_specs = {
            'container:runtime': 'kata', 'trait:CUSTOM_CONTAINER_RUNTIME_KATA': 'required'}
        ex = self.assertRaises(
            exception.ComputeResourcesUnavailable, self.driver.prepare_for_spawn, instance)
        self.assertIn("'kata'", str(ex))

    def test_privileged_where_users_are_mapped(self) -> None:
        """Another host may be without."""
        instance = self.instance()
        instance.flavor.extra_specs = {'container:privileged': 'true'}
        self.driver.prepare_for_spawn(instance)
        self.engine.engine.info['SecurityOptions'] = ['name=userns']
        ex = self.assertRaises(
            exception.ComputeResourcesUnavailable, self.driver.prepare_for_spawn, instance)
        self.assertIn('container:privileged: the engine maps users', str(ex))

    def test_what_the_flavor_says_wrong(self) -> None:
        for key, value, words in (
            ('container:runtim', 'runc', 'no such key'),
            ('container:devices', '/dev/null,/dev/no-such', 'the host has no /dev/no-such'),
        ):
            instance = self.instance()
            instance.flavor.extra_specs = {key: value}
            ex = self.assertRaises(
                exception.InstanceUnacceptable, self.driver.prepare_for_spawn, instance)
            self.assertIn(f'flavor extra spec {key}: ', str(ex))
            self.assertIn(words, str(ex))

    def test_engine_that_is_gone_is_for_another_host(self) -> None:
        instance = self.instance()
        instance.flavor.extra_specs = {'container:runtime': 'kata'}
        self.engine.stop()
        self.assertRaises(
            exception.ComputeResourcesUnavailable, self.driver.prepare_for_spawn, instance)

    def test_bad_document(self) -> None:
        instance = self.instance()
        instance.user_data = base64.b64encode(b'#container-config\ntty: perhaps\n').decode()
        ex = self.assertRaises(exception.InvalidInput, self.spawn, instance)
        self.assertIn('user_data line 2 column 1 (tty): must be true or false', str(ex))
        self.assertEqual(0, self.glance.downloads)

    def test_flavor_with_less_memory_than_any_container_needs(self) -> None:
        instance = self.instance()
        instance.flavor.memory_mb = 4
        ex = self.assertRaises(exception.BuildAbortException, self.spawn, instance)
        self.assertIn('less memory than a container needs (6MB); choose one with more', str(ex))


class OperationTest(DriverCase):

    def test_a_server_without_container(self) -> None:
        instance = self.instance()
        for call in (
            lambda: self.driver.get_info(instance),
            lambda: self.driver.power_on(self.context, instance, self.network_info),
            lambda: self.driver.power_off(instance),
            lambda: self.driver.pause(instance),
            lambda: self.driver.unpause(instance),
            lambda: self.driver.get_console_output(self.context, instance),
        ):
            self.assertRaises(exception.InstanceNotFound, call)
        self.assertFalse(self.driver.instance_exists(instance))

    def test_nothing_is_wired_for_a_server_without_container(self) -> None:
        self.driver.plug_vifs(self.instance(), self.network_info)
        self.assert_nothing_left()

    def test_engine_is_down(self) -> None:
        instance = self.instance()
        self.spawn(instance)
        self.engine.stop()
        self.assertRaises(exception.HypervisorUnavailable, self.driver.get_info, instance)
        self.assertRaises(exception.HypervisorUnavailable, self.driver.list_instances)
        self.engine.start()
        self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)

    def test_what_is_aside_is_no_server_and_goes_with_it(self) -> None:
        instance = self.instance(task_state=None)
        self.spawn(instance)
        self.set_aside(instance)
        self.assertEqual([], self.driver.list_instances())
        self.assertEqual(0, self.driver.get_num_instances())
        self.assertRaises(exception.InstanceNotFound, self.driver.get_info, instance)
        for _ in range(2):
            self.driver.destroy(self.context, instance, self.network_info)
            self.assert_nothing_left()

    def test_what_a_revert_goes_back_to_stays(self) -> None:
        instance = self.instance(task_state=task_states.RESIZE_REVERTING)
        self.spawn(instance)
        self.set_aside(instance)
        self.driver.destroy(self.context, instance, self.network_info)
        self.assertEqual([identity.aside_name(instance.uuid)], list(self.engine.containers))

    def set_aside(self, instance: objects.Instance) -> None:
        self.driver._runtime.rename(
            identity.container_name(instance), identity.aside_name(instance.uuid))

    def test_destroy_that_keeps_the_disk(self) -> None:
        instance = self.instance()
        self.spawn(instance)
        container = self.engine.containers[identity.container_name(instance)]
        for _ in range(2):
            self.driver.destroy(self.context, instance, self.network_info, destroy_disks=False)
            self.assertFalse(container.running)
            self.assertEqual([], self.driver.list_instance_uuids())
            self.assertEqual({}, self.wiring.switch)
        # It comes back from another cell, or is confirmed to be there.
        self.driver.finish_revert_migration(self.context, instance, self.network_info, None)
        self.assertIs(container, self.engine.containers[identity.container_name(instance)])
        self.assertTrue(container.running)
        self.driver.destroy(self.context, instance, self.network_info, destroy_disks=False)
        self.driver.cleanup(self.context, instance, self.network_info)
        self.assert_nothing_left()

    def test_grace_time_of_its_own(self) -> None:
        instance = self.instance()
        instance.metadata = {'container:stop_timeout': '1',
                             'container:args': '["sleep", "infinity"]'}
        self.spawn(instance)
        self.driver.power_off(instance, timeout=600)   # it heeds no signal
        self.assertEqual(power_state.SHUTDOWN, self.driver.get_info(instance).state)

    def test_pause_and_reboot_states(self) -> None:
        instance = self.instance()
        self.spawn(instance)
        self.driver.pause(instance)
        self.assertEqual(power_state.PAUSED, self.driver.get_info(instance).state)
        self.driver.power_on(self.context, instance, self.network_info)
        self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)
        for kind in ('HARD', 'SOFT'):
            self.flags(shutdown_timeout=1)
            self.driver.reboot(self.context, instance, self.network_info, kind)
            self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)

    def test_start_whose_port_cannot_be_wired(self) -> None:
        """The container is not lost, and starts when the port can be wired again."""
        instance = self.instance()
        self.spawn(instance)
        before = self.engine.containers[identity.container_name(instance)]
        self.network_info.append(vif_fakes.vif())
        self.wiring.refused.add(vif_fakes.PORT_ID)
        for start in (
            lambda: self.driver.power_on(self.context, instance, self.network_info),
            lambda: self.driver.reboot(self.context, instance, self.network_info, 'HARD'),
            lambda: self.driver.resume_state_on_host_boot(
                self.context, instance, self.network_info, []),
        ):
            self.driver.power_off(instance)
            ex = self.assertRaises(exception.VirtualInterfacePlugException, start)
            self.assertIn(vif_fakes.PORT_ID, str(ex))
            self.assertEqual(power_state.SHUTDOWN, self.driver.get_info(instance).state)
        self.wiring.refused.clear()
        self.driver.power_on(self.context, instance, self.network_info)
        self.assertEqual(power_state.RUNNING, self.driver.get_info(instance).state)
        self.assertIs(before, self.engine.containers[identity.container_name(instance)])
        self.assertEqual(2, len(self.wiring.switch))

    def test_server_that_cannot_start_again(self) -> None:
        instance = self.instance()
        self.spawn(instance)
        self.driver.power_off(instance)
        self.engine.fail_next('POST', CONTAINER + '/start', status=500, message='OCI runtime')
        self.assertRaises(exception.NovaException, self.driver.power_on, self.context, instance,
                          self.network_info)
        self.assertEqual(power_state.SHUTDOWN, self.driver.get_info(instance).state)


class HostTest(DriverCase):

    def test_engine_that_is_not_there(self) -> None:
        self.engine.stop()
        self.flags(group='zun_nova', engine_start_timeout=0)
        ex = self.assertRaises(exception.HypervisorUnavailable, self.driver.init_host, 'compute1')
        self.assertIn(self.engine.url, str(ex))
        self.assertIn('docker_url', str(ex))

    def test_engine_that_is_too_old(self) -> None:
        self.engine.engine.version['ApiVersion'] = '1.40'
        self.assertRaises(exception.HypervisorUnavailable, self.new_driver, 'compute1')

    def test_only_our_traits_are_managed(self) -> None:
        tree = provider_tree.ProviderTree()
        tree.new_root('compute1', str(uuid.uuid4()))
        tree.add_traits('compute1', 'HW_CPU_X86_AVX', 'CUSTOM_CONTAINER_RUNTIME_GONE')
        self.driver.update_provider_tree(tree, 'compute1')
        traits = tree.data('compute1').traits
        self.assertIn('HW_CPU_X86_AVX', traits)
        self.assertIn('CUSTOM_CONTAINER_RUNTIME_RUNC', traits)
        self.assertNotIn('CUSTOM_CONTAINER_RUNTIME_GONE', traits)
        self.assertEqual({'VCPU', 'MEMORY_MB', 'DISK_GB'}, set(tree.data('compute1').inventory))

    def test_operator_changes_allocation_ratios(self) -> None:
        tree = provider_tree.ProviderTree()
        tree.new_root('compute1', str(uuid.uuid4()))
        self.driver.update_provider_tree(tree, 'compute1')
        self.assertEqual(4.0, tree.data('compute1').inventory['VCPU']['allocation_ratio'])
        self.flags(cpu_allocation_ratio=2.5, reserved_host_cpus=1)
        self.driver.update_provider_tree(tree, 'compute1')
        inventory = tree.data('compute1').inventory['VCPU']
        self.assertEqual((2.5, 1), (inventory['allocation_ratio'], inventory['reserved']))

    def test_inventory_is_one_engine_call_each(self) -> None:
        for _ in range(3):
            self.spawn(self.instance())
        self.engine.requests.clear()
        self.driver.list_instances()
        self.assertEqual([('GET', '/containers/json')], self.engine.requests)
