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

import errno
import pathlib
from typing import Any
from unittest import mock
import uuid

import fixtures
from nova import exception
from nova import objects
from nova.compute import power_state
from nova.compute import task_states
from nova.compute import vm_states
from oslo_privsep import daemon
from oslotest import base

from zun_nova import errors
from zun_nova.tests.unit.virt import fixtures as virt_fixtures
from zun_nova.tests.unit.virt import test_driver
from zun_nova.virt import identity
from zun_nova.virt import rescue

OTHER_IMAGE = str(uuid.uuid4())


class ProcessTest(base.BaseTestCase):

    def test_what_a_rescue_image_runs(self) -> None:
        for properties, command, args in (
                ({}, None, None),
                ({'os_command_line': 'sshd -D', 'os_distro': 'debian'}, None,
                 ('sshd', '-D')),
                ({'container:command': '["/bin/ash"]'}, ('/bin/ash',), None)):
            with self.subTest(properties=properties):
                made = rescue.process_of(properties)
                self.assertEqual((command, args, True), (made.command, made.args, made.tty))

    def test_what_makes_no_process(self) -> None:
        self.assertRaises(errors.InvalidSpec, rescue.process_of, {'container:comand': 'x'})


class RescueCase(test_driver.DriverCase):

    def setUp(self) -> None:
        super().setUp()
        self.flags(instances_path=self.useFixture(fixtures.TempDir()).path)
        self.mounts = self.useFixture(virt_fixtures.RecordedMounts())
        self.driver = self.new_driver('compute1')
        self.glance.properties = {}   # type: ignore[attr-defined]
        self.glance.get = lambda _context, image_id: {   # type: ignore[attr-defined]
            'id': image_id, 'checksum': 'c0ffee', 'container_format': 'docker',
            'disk_format': 'raw', 'properties': self.glance.properties}   # type: ignore[attr-defined]
        self.server = self.instance(vm_state=vm_states.ACTIVE)
        self.stub_out('nova.objects.Instance.save', lambda *_, **__: None)
        self.spawn(self.server)
        self.own = self.container()
        self.network = self.engine.containers[f'{self.own.name}-net'].id

    def container(self) -> Any:
        return self.engine.containers[identity.name_of(self.server.uuid)]

    def rescue(self, image_id: str = OTHER_IMAGE) -> None:
        # Nova does, before.
        self.driver.power_off(self.server)
        self.driver.rescue(self.context, self.server, self.network_info,
                           objects.ImageMeta(id=image_id), 'secret', None, None)
        self.server.vm_state = vm_states.RESCUED

    def unrescue(self) -> None:
        with mock.patch.object(objects.Instance, 'get_network_info',
                               return_value=self.network_info):
            self.driver.unrescue(self.context, self.server)
        self.server.vm_state = vm_states.ACTIVE

    def recover(self, vm_state: str, task_state: str) -> None:
        """A new nova-compute starts."""
        self.server.vm_state, self.server.task_state = vm_state, task_state
        driver = self.new_driver('compute1')
        self.addCleanup(driver.cleanup_host, 'compute1')
        self.stub_out('zun_nova.virt.reconcile.Reconciler.start', lambda _: None)
        self.stub_out('zun_nova.virt.availability.HostStatus.engine_found', lambda _: None)
        with mock.patch.object(objects.Instance, 'get_network_info',
                               return_value=self.network_info):
            driver.process_instances_at_startup(self.context, [self.server])

    def assert_as_before(self, running: bool = True) -> None:
        """The server's own container, and nothing besides."""
        self.assertIs(self.own, self.container())
        self.assertEqual(running, self.own.running)
        self.assertEqual(2, len(self.engine.containers))
        self.assertEqual(self.network, self.engine.containers[f'{self.own.name}-net'].id)
        self.assert_no_traces()

    def assert_no_traces(self) -> None:
        self.assertEqual({}, self.mounts.mounted)
        self.assertEqual([], self.notes())

    def notes(self) -> list[pathlib.Path]:
        base = pathlib.Path(test_driver.driver.CONF.instances_path, 'zun_nova', 'rescue')
        return list(base.glob('compute1/*'))


class RescueTest(RescueCase):

    def test_rescue_and_back(self) -> None:
        self.rescue()
        new = self.container()
        self.assertIsNot(self.own, new)
        self.assertTrue(new.running)
        self.assertFalse(self.own.running)
        self.assertEqual(self.own.host_config['NetworkMode'], new.host_config['NetworkMode'])
        mount, volumes_of = new.host_config['Mounts']
        self.assertEqual('/mnt/rescue', mount['Target'])
        self.assertEqual('/mnt/volumes', volumes_of['Target'])
        self.assertFalse(mount['ReadOnly'])
        self.assertEqual({mount['Source']: f'/overlay2/{self.own.id}/diff'}, self.mounts.mounted)
        self.assertEqual([self.server.uuid], self.driver.list_instance_uuids())
        self.assertEqual(new.id, self.driver.get_info(self.server).internal_id)
        [given] = self.engine.engine.execs.all
        self.assertEqual((new.id, b'root:secret\n'), (given.owner.id, given.stdin))
        self.unrescue()
        self.assert_as_before()
        self.unrescue()
        self.assert_as_before()

    def test_an_image_that_can_have_no_password(self) -> None:
        self.engine.engine.execs.exit_codes['chpasswd'] = 1
        self.rescue()
        self.assertTrue(self.container().running)

    def test_image_that_must_be_signed(self) -> None:
        self.server.trusted_certs = objects.TrustedCerts(ids=['root'])
        trusted = []

        def download(_context: Any, _image_id: str, data: Any, trusted_certs: Any) -> None:
            trusted.append(trusted_certs.ids)
            data.write(self.glance.archive)
        self.glance.download = download   # type: ignore[method-assign]
        self.rescue()
        self.assertEqual([['root']], trusted)
        self.assertIn('-signed-', self.container().config['Image'])

    def test_own_image_gives_a_shell(self) -> None:
        """Whatever the owner told the server to run, for that may be what is broken."""
        self.server.metadata = {'container:command': '["broken"]'}
        self.rescue(test_driver.IMAGE_ID)
        config = self.container().config
        self.assertEqual((['/bin/sh'], [], '0', True, True), tuple(
            config[key] for key in ('Entrypoint', 'Cmd', 'User', 'Tty', 'OpenStdin')))

    def test_other_image_says_what_it_runs(self) -> None:
        self.glance.properties['os_command_line'] = 'sleep 1'   # type: ignore[attr-defined]
        self.rescue()
        config = self.container().config
        self.assertEqual((['sleep', '1'], True), (config['Cmd'], config['Tty']))
        self.assertNotIn('User', config)

    def test_delete_while_rescued(self) -> None:
        self.rescue()
        for _ in range(2):
            self.driver.destroy(self.context, self.server, self.network_info)
            self.assert_nothing_left()
            self.assert_no_traces()

    def test_rescue_again(self) -> None:
        """After one that Nova took for failed."""
        self.rescue()
        self.rescue()
        self.assertEqual(3, len(self.engine.containers))
        self.unrescue()
        self.assert_as_before()


class FailureTest(RescueCase):
    """The server is as it was."""

    def fails(self, text: str) -> None:
        refused = self.assertRaises(exception.NovaException, self.rescue)
        self.assertIn(text, str(refused))
        self.assert_as_before()

    def test_engine_that_keeps_roots_elsewhere(self) -> None:
        describe = type(self.own).describe

        def described(container: Any) -> Any:
            return describe(container) | {'GraphDriver': {'Name': 'btrfs', 'Data': None}}
        with mock.patch.object(type(self.own), 'describe', described):
            self.fails('storage driver btrfs')

    def test_image(self) -> None:
        self.glance.corrupt = True
        self.fails('Image')

    def test_image_that_says_nonsense(self) -> None:
        self.glance.properties['container:comand'] = 'sh'   # type: ignore[attr-defined]
        self.fails('container:comand')

    def test_mount(self) -> None:
        self.mounts.error = OSError(errno.EINVAL, 'Invalid argument')
        self.fails('mount the root of the server: [Errno 22]')

    def test_privileged_daemon(self) -> None:
        """One that does not start is not needed for what was not mounted."""
        with mock.patch('zun_nova.virt.privileged.mount_overlay',
                        side_effect=daemon.FailedToDropPrivileges('it failed to start')):
            self.fails('is helper_command in [zun_nova_mounts_privileged] right?')

    def test_start(self) -> None:
        self.stub_out('zun_nova.virt.servers.Servers.make', mock.Mock(
            side_effect=errors.StartFailed('start', "its command '/bin/sh' is not in the image")))
        self.fails('/bin/sh')

    def test_stopped_server_stays_stopped(self) -> None:
        self.server.vm_state = vm_states.STOPPED
        self.mounts.error = OSError(errno.EINVAL, 'Invalid argument')
        self.assertRaises(exception.NovaException, self.rescue)
        self.assert_as_before(running=False)

    def test_root_in_use_when_it_is_to_be_put_back(self) -> None:
        """It is not started below a mount; a hard reboot tries again."""
        self.rescue()
        target, = self.mounts.mounted
        self.mounts.busy.add(target)
        refused = self.assertRaises(exception.NovaException, self.unrescue)
        self.assertIn('a program on the host uses it', str(refused))
        self.assertFalse(self.own.running)
        self.server.vm_state = vm_states.ERROR   # as Nova says then
        self.mounts.busy.clear()
        self.driver.reboot(self.context, self.server, self.network_info, 'HARD')
        self.assert_as_before()


class RestartTest(RescueCase):
    """nova-compute was killed, or the host."""

    def test_rescued_server_stays_so(self) -> None:
        self.rescue()
        self.recover(vm_states.RESCUED, None)   # type: ignore[arg-type]
        self.assertEqual(3, len(self.engine.containers))
        self.assertTrue(self.container().running)

    def test_root_is_mounted_again_before_a_start(self) -> None:
        self.rescue()
        mounted = dict(self.mounts.mounted)
        self.mounts.mounted.clear()
        self.driver.power_off(self.server)
        self.driver.resume_state_on_host_boot(self.context, self.server, self.network_info, None)
        self.assertEqual(mounted, self.mounts.mounted)
        self.assertTrue(self.container().running)

    def test_interrupted_rescue_is_undone(self) -> None:
        for name in ('stop', 'note', 'rename', 'mount', 'make'):
            with self.subTest(before=name):
                self.interrupt(name)
                self.recover(vm_states.ACTIVE, task_states.RESCUING)
                self.assert_as_before()
                self.assertIsNone(self.server.task_state)
                self.assertEqual(vm_states.ACTIVE, self.server.vm_state)
                self.assertEqual(rescue.UNDONE, self.actions[-1][3])

    def interrupt(self, name: str) -> None:
        """Kill it in the middle of a rescue, so that nothing is put back."""
        places = {'stop': 'zun_nova.virt.runtime.docker.DockerRuntime',
                  'rename': 'zun_nova.virt.runtime.docker.DockerRuntime',
                  'note': 'zun_nova.virt.rescue_root.RescueRoots',
                  'mount': 'zun_nova.virt.rescue_root.RescueRoots',
                  'make': 'zun_nova.virt.servers.Servers'}
        self.driver.power_off(self.server)
        self.server.vm_state = vm_states.ACTIVE
        with mock.patch(f'{places[name]}.{name}', side_effect=KeyboardInterrupt), \
                mock.patch('zun_nova.virt.rescue.Rescues._undo'):
            self.assertRaises(KeyboardInterrupt, self.driver.rescue, self.context, self.server,
                              self.network_info, objects.ImageMeta(id=OTHER_IMAGE), 's', None,
                              None)

    def test_engine_was_still_making_the_rescue_container(self) -> None:
        """It appears after it was looked for, and has the name that is to be given back."""
        self.rescue()
        late, remove = self.container(), self.driver._runtime.remove
        # The first time there is nothing to remove yet.
        removals = iter((lambda _name: None, remove))
        with mock.patch.object(self.driver._runtime, 'remove',
                               side_effect=lambda name: next(removals)(name)):
            self.unrescue()
        self.assertNotIn(late, self.engine.containers.values())
        self.assert_as_before()

    def test_rescue_that_nova_did_not_record_is_undone(self) -> None:
        self.rescue()
        self.recover(vm_states.STOPPED, task_states.RESCUING)
        self.assert_as_before(running=False)
        self.assertEqual(vm_states.STOPPED, self.server.vm_state)

    def test_end_of_rescue_is_finished(self) -> None:
        for place in ('runtime.docker.DockerRuntime.remove', 'rescue_root.RescueRoots.unmount',
                      'runtime.docker.DockerRuntime.rename', 'rescue_root.RescueRoots.release',
                      'power.Power.on'):
            with self.subTest(before=place):
                self.rescue()
                with mock.patch(f'zun_nova.virt.{place}', side_effect=KeyboardInterrupt):
                    self.assertRaises(KeyboardInterrupt, self.unrescue)
                self.recover(vm_states.RESCUED, task_states.UNRESCUING)
                self.assert_as_before()
                self.assertEqual((vm_states.ACTIVE, None),
                                 (self.server.vm_state, self.server.task_state))

    def test_server_that_cannot_be_put_back(self) -> None:
        """Its owner can do something: delete it, or reboot it hard."""
        self.rescue()
        self.mounts.busy.update(self.mounts.mounted)
        self.recover(vm_states.RESCUED, task_states.UNRESCUING)
        self.assertEqual((vm_states.ERROR, None), (self.server.vm_state, self.server.task_state))

    def test_state_was_reset_by_an_administrator(self) -> None:
        self.rescue()
        self.server.vm_state = vm_states.ACTIVE
        self.driver.power_on(self.context, self.server, self.network_info)
        self.assert_as_before()

    def test_others_are_left_alone(self) -> None:
        self.recover(vm_states.ACTIVE, task_states.POWERING_OFF)
        self.assertEqual(task_states.POWERING_OFF, self.server.task_state)
        self.assertEqual(power_state.RUNNING, self.driver.get_info(self.server).state)
