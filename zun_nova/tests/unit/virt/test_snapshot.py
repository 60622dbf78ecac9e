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

import copy
from typing import Any

from nova import exception
from nova.compute import task_states
from nova.image import glance

from zun_nova import errors
from zun_nova.tests import fake_glance
from zun_nova.tests.unit.virt import test_driver
from zun_nova.virt import faults
from zun_nova.virt import identity
from zun_nova.virt import snapshot
from zun_nova.virt.runtime import base

ORIGINAL = glance.API
MIB = 1024 ** 2


class SnapshotCase(test_driver.DriverCase):
    """A server, and a Glance that takes images."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.useFixture(fake_glance.FakeGlance())
        self.flags(api_servers=[self.store.url], num_retries=0, group='glance')
        self.context = self.store.context()
        self.server = self.instance()
        self.spawn(self.server)
        self.stub_out('nova.image.glance.API', ORIGINAL)
        self.driver = self.new_driver('compute1')
        self.image = self.store.queued(mine='kept')
        self.states: list[tuple[Any, Any]] = []
        self.before = set(self.engine.engine.images.by_id)

    def update(self, task_state: Any, expected_state: Any = 'first') -> None:
        self.states.append((expected_state, task_state))

    def snapshot(self) -> None:
        self.driver.snapshot(self.context, self.server, self.image.record['id'], self.update)

    def fails(self, kind: type[Exception]) -> str:
        failure = str(self.assertRaises(kind, self.snapshot))
        self.assert_nothing_left_of_it()
        return failure

    def assert_nothing_left_of_it(self) -> None:
        self.assertEqual(self.before, set(self.engine.engine.images.by_id))

    def container(self) -> Any:
        return self.engine.containers[identity.container_name(self.server)]

    def boots(self) -> Any:
        """The container of a server made of the image."""
        other = self.instance()
        self.spawn(other, image_meta=self.image_meta(
            id=self.image.record['id'], checksum=self.image.record['checksum']))
        return self.engine.containers[identity.container_name(other)]


class TakeTest(SnapshotCase):

    def test_image_of_a_running_server(self) -> None:
        self.container().put['/written'] = b'42\n'
        self.snapshot()
        self.assertEqual(
            [('first', task_states.IMAGE_PENDING_UPLOAD),
             (task_states.IMAGE_PENDING_UPLOAD, task_states.IMAGE_UPLOADING)], self.states)
        record = self.image.record
        self.assertEqual(('active', 'docker', 'raw', 'kept'), (
            record['status'], record['container_format'], record['disk_format'], record['mine']))
        self.assert_nothing_left_of_it()
        self.assertNotIn(b'zun-nova', self.image.data)
        self.assertNotIn(b'compute1', self.image.data)
        made = self.boots()
        self.assertEqual((b'42\n', 'running'), (made.image.files['/written'], made.status))

    def test_state_is_left_as_it_is(self) -> None:
        for bring in (lambda _: None, self.driver.pause, self.driver.power_off):
            bring(self.server)
            before = self.container().status
            self.snapshot()
            self.assertEqual(before, self.container().status)

    def test_paused_or_not(self) -> None:
        for option, wanted, paused in ((True, None, True), (False, None, False),
                                       (False, 'yes', True), (False, 'no', False)):
            self.flags(snapshot_pause=option, group='zun_nova')
            self.server.system_metadata = {'image_os_require_quiesce': wanted} if wanted else {}
            del self.engine.engine._events._events[:]
            self.snapshot()
            self.assertEqual(paused, 'pause' in [
                event['Action'] for event in self.engine.engine._events._events])

    def test_no_container(self) -> None:
        self.server = self.instance()
        self.fails(exception.InstanceNotRunning)
        self.assertEqual([('first', None)], self.states)

    def test_server_is_deleted_meanwhile(self) -> None:
        def update(task_state: Any, expected_state: Any = None) -> None:
            if task_state == task_states.IMAGE_UPLOADING:
                raise exception.UnexpectedDeletingTaskStateError(
                    instance_uuid=self.server.uuid, expected={}, actual={})

        self.stub_out(f'{__name__}.SnapshotCase.update', lambda self, **states: update(**states))
        self.fails(exception.UnexpectedDeletingTaskStateError)
        self.assertEqual([], self.actions)

    def test_engine_fails(self) -> None:
        self.engine.fail_next('POST', '/commit', status=500, message='no space left on device')
        self.assertIn('no space left on device', self.fails(exception.NovaException))
        self.assertEqual('running', self.container().status)
        [(uuid, _, message, action)] = self.actions
        self.assertEqual((self.server.uuid, faults.SNAPSHOT_FAILED), (uuid, action))
        self.assertIn('no space left on device', message)

    def test_archive_is_cut(self) -> None:
        saved = self.engine.engine.images.save
        self.stub_out('zun_nova.tests.fake_engine.images.Images.save',
                      lambda images, name: saved(name)[:MIB] + b'{"error": "x"}')
        self.assertIn('cannot save', self.fails(exception.NovaException).lower())
        self.assertEqual('queued', self.image.record['status'])

    def test_glance_fails(self) -> None:
        self.image.cut_upload_after = 1000
        self.assertIn('cannot be stored', self.fails(exception.NovaException))
        self.assertIn('cannot be stored', self.actions[0][2])

    def test_image_of_a_shelving_that_fails_is_removed(self) -> None:
        deleted: list[str] = []
        self.stub_out('nova.image.glance.API.delete',
                      lambda api, context, image_id: deleted.append(image_id))
        self.image.cut_upload_after = 1000
        self.fails(exception.NovaException)
        self.assertEqual([], deleted)   # Nova does it
        self.server.task_state = task_states.SHELVING_IMAGE_UPLOADING
        self.fails(exception.NovaException)
        self.assertEqual([self.image.record['id']], deleted)


class CleanTest(SnapshotCase):

    def setUp(self) -> None:
        super().setUp()
        self.runtime = base.load(test_driver.driver.CONF)
        self.mine = snapshot.Snapshots(self.runtime, test_driver.driver.CONF, 'compute1')
        self.name = f'{self.mine._repository}:left'
        self.runtime.commit(self.container().name, self.name, False, 60)

    def test_what_was_interrupted_is_removed_by_the_next_start(self) -> None:
        other = snapshot.Snapshots(self.runtime, test_driver.driver.CONF, 'compute2')
        other.clean()
        self.assertIsNotNone(self.runtime.image_id(self.name))
        self.stub_out('zun_nova.virt.reconcile.Reconciler.reconcile', lambda *_: None)
        self.stub_out('zun_nova.virt.availability.HostStatus.engine_found', lambda _: None)
        self.driver.process_instances_at_startup(self.context, [])
        self.addCleanup(self.driver.cleanup_host, 'compute1')
        self.assertIsNone(self.runtime.image_id(self.name))

    def test_engine_that_fails_keeps_nova_from_nothing(self) -> None:
        self.engine.fail_next('GET', '/images/json', status=500, message='busy')
        self.mine.clean_at_start()
        self.mine.clean_at_start()
        self.assertIsNone(self.runtime.image_id(self.name))

    def test_by_the_cleaning_of_images(self) -> None:
        self.driver.manage_image_cache(self.context, [])
        self.assertIsNone(self.runtime.image_id(self.name))

    def test_what_is_being_taken_stays(self) -> None:
        with self.mine._removed(self.name):
            self.mine.clean()
            self.assertIsNotNone(self.runtime.image_id(self.name))
        self.assertIsNone(self.runtime.image_id(self.name))

    def test_engine_that_does_not_remove_it_is_asked_again(self) -> None:
        path = '/images/zun-nova/snapshot.*'
        self.engine.fail_next('DELETE', path, status=500, message='busy')
        self.snapshot()
        self.assertEqual('active', self.image.record['status'])
        self.driver.manage_image_cache(self.context, [])
        self.assertEqual([], self.runtime.list_images(self.mine._repository))


class UnshelveTest(SnapshotCase):

    def setUp(self) -> None:
        super().setUp()
        self.server.user_data = None
        self.server.metadata = {'container:files': '[{path: /etc/f, content: old}]'}
        self.server.system_metadata = {
            'image_container_image_ref': 'registry.test/base@sha256:' + 64 * '0',
            'image_os_command_line': 'echo from the base'}
        self.driver.destroy(self.context, self.server, self.network_info)
        self.image.data, self.image.record['status'] = self.glance.archive, 'active'
        self.meta = self.image_meta(id=self.image.record['id'], checksum=None)

    def test_made_of_its_own_image(self) -> None:
        """Neither of what its first image refers to, nor with files as they were at first."""
        unshelved = copy.deepcopy(self.server)
        unshelved.system_metadata['shelved_image_id'] = self.image.record['id']
        self.spawn(unshelved, image_meta=self.meta)
        self.assertEqual({}, self.container().put)
        self.assertEqual(['echo', 'from', 'the', 'base'], self.container().config['Cmd'])

    def test_others_are_made_of_what_the_image_refers_to(self) -> None:
        failure = self.assertRaises(exception.ImageUnacceptable, self.spawn, self.server)
        self.assertIn('registry.test', str(failure))
        self.assertIsInstance(failure.__cause__, errors.ImageInvalid)
