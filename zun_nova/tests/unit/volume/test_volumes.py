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

"""Volumes through the driver, on an engine that does nothing."""

from __future__ import annotations

import dataclasses
import errno
import os
from typing import Any
from unittest import mock

from nova import exception
from nova import objects
from nova.compute import power_state
from os_brick.initiator import connector
from oslo_concurrency import processutils

from zun_nova import errors
from zun_nova.tests.unit.virt import test_driver
from zun_nova.tests.unit.volume import fixtures as volume_fixtures
from zun_nova.virt import identity
from zun_nova.volume import brick
from zun_nova.volume import model
from zun_nova.volume import places

GIB = 1024 ** 3


class VolumesCase(test_driver.DriverCase):

    def setUp(self) -> None:
        super().setUp()
        self.host = self.useFixture(volume_fixtures.RecordedVolumes())
        self.server = self.instance()
        self.driver = self.new_driver('compute1')

    @staticmethod
    def volume(volume_id: str = 'v1', **data: Any) -> dict[str, Any]:
        return {'driver_volume_type': 'nfs', 'serial': volume_id,
                'data': {'export': 'host:/share', 'name': f'volume-{volume_id}', **data}}

    @staticmethod
    def info(*connections: Any) -> dict[str, Any]:
        return {'block_device_mapping': [{'connection_info': each} for each in connections]}

    def attach(self, connection: Any) -> None:
        self.driver.attach_volume(self.context, connection, self.server, '/dev/vdb')

    def detach(self, connection: Any) -> None:
        self.driver.detach_volume(self.context, connection, self.server, '/dev/vdb')

    def container(self) -> Any:
        return next(each for each in self.engine.containers.values()
                    if each.name == identity.container_name(self.server))

    def inside(self, volume_id: str = 'v1') -> tuple[str, str]:
        return self.container().id, f'{places.INSIDE}/{volume_id}'

    def destroy(self, *connections: Any) -> None:
        self.driver.destroy(self.context, self.server, self.network_info, self.info(*connections))

    def assert_no_volumes(self) -> None:
        self.assertEqual(({}, {}, set()), (
            self.host.mounted, self.host.loops, self.host.connected))


class AttachTest(VolumesCase):

    def setUp(self) -> None:
        super().setUp()
        self.spawn(self.server)

    def fails(self, connection: Any) -> str:
        error = self.assertRaises(exception.NovaException, self.attach, connection)
        self.assertEqual('volume_attach_failed', self.actions[-1][3])
        self.assertEqual(str(error), self.actions[-1][2])
        self.assert_no_volumes()
        return str(error)

    def test_running_server(self) -> None:
        self.attach(self.volume())
        self.assertEqual({self.inside()}, self.host.inside)
        self.assertEqual('xfs', self.host.content['/shares/v1'])
        self.detach(self.volume())
        self.detach(self.volume())
        self.assertEqual(set(), self.host.inside)
        self.assert_no_volumes()

    def test_stopped_server(self) -> None:
        self.driver.power_off(self.server)
        self.attach(self.volume())
        self.assertEqual((1, set()), (len(self.host.mounted), self.host.inside))
        self.detach(self.volume())
        self.assert_no_volumes()

    def test_mount_of_the_container(self) -> None:
        mount, = self.container().host_config['Mounts']
        self.assertEqual((places.INSIDE, True, {'ReadOnlyNonRecursive': True}), (
            mount['Target'], mount['ReadOnly'], mount['BindOptions']))
        self.attach(self.volume())
        self.assertEqual([f'{mount["Source"]}/v1'], list(self.host.mounted))

    def test_what_is_on_it(self) -> None:
        self.host.content['/shares/v1'] = 'ext3'
        self.attach(self.volume())
        self.detach(self.volume())
        self.host.content['/shares/v1'] = 'LVM2_member'
        self.assertIn('(LVM2_member) is no file system', self.fails(self.volume()))
        self.assertEqual('LVM2_member', self.host.content['/shares/v1'])
        self.assertIn('it is empty', self.fails(self.volume('v2', access_mode='ro')))
        self.flags(format_volumes=False, group='zun_nova')
        self.assertIn('it is empty', self.fails(self.volume('v2')))
        self.assertEqual({'/shares/v1'}, set(self.host.content))

    def test_small_volume(self) -> None:
        self.host.sizes['/shares/v1'] = 100 * 1024 ** 2
        self.attach(self.volume())
        self.assertEqual('ext4', self.host.content['/shares/v1'])

    def test_failures(self) -> None:
        for name, error, told in (
                ('connect', OSError(), 'the log of its nova-compute says why'),
                ('attach_loop', processutils.ProcessExecutionError(stderr='no device'),
                 'no device'),
                ('mount', OSError(errno.EUCLEAN, 'Structure needs cleaning'), 'damaged'),
                ('bring_in', OSError(errno.ENOENT, 'No such file or directory'),
                 'in the running server')):
            self.host.errors = {name: error}
            message = self.fails(self.volume())
            self.assertIn(told, message)
            self.assertNotIn('verysecret', message)
        self.assertIn('encrypted', self.fails(self.volume(encrypted=True)))

    def test_in_use(self) -> None:
        self.attach(self.volume())
        self.host.errors['take_out'] = OSError(errno.EBUSY, 'Device or resource busy')
        self.assertRaises(exception.DeviceDetachFailed, self.detach, self.volume())
        self.assertEqual('volume_detach_failed', self.actions[-1][3])
        self.assertEqual((1, 1), (len(self.host.mounted), len(self.host.inside)))
        self.host.errors.clear()
        self.detach(self.volume())
        self.assert_no_volumes()

    def test_process_that_ends_meanwhile(self) -> None:
        self.attach(self.volume())
        self.host.errors['take_out'] = ProcessLookupError(errno.ESRCH, 'No such process')
        self.detach(self.volume())
        self.assert_no_volumes()

    def test_file_of_another_name(self) -> None:
        """A backend that takes snapshots may have moved the content."""
        self.attach(self.volume())
        volumes = self.driver._volumes
        record, = volumes._places.records(self.server.uuid)
        moved = places.Record(record.volume_id, '/shares/before', record.protocol)
        self.host.loops['/shares/before'] = self.host.loops.pop(record.path)
        volumes._places.note(self.server.uuid, moved)
        self.driver.power_off(self.server)
        self.driver.power_on(
            self.context, self.server, self.network_info, self.info(self.volume()))
        self.assertEqual(['/shares/v1'], list(self.host.loops))
        self.detach(self.volume())
        self.assert_no_volumes()

    def test_servers_made_before(self) -> None:
        self.driver._volumes._places.remove(self.server.uuid)
        self.assertIn('rebuild it', self.fails(self.volume()))

    def test_extend(self) -> None:
        self.attach(self.volume())
        error = self.assertRaises(
            exception.NovaException, self.driver.extend_volume, self.context, self.volume(),
            self.server, 2 * GIB)
        self.assertIn('does not show its new size', str(error))
        self.host.sizes['/shares/v1'] = 2 * GIB
        self.driver.extend_volume(self.context, self.volume(), self.server, 2 * GIB)
        self.assertRaises(
            exception.NovaException, self.driver.extend_volume, self.context, self.volume('v2'),
            self.server, GIB)

    def test_sandbox(self) -> None:
        engine = self.driver._runtime.info()
        sandboxed = mock.Mock(oci_runtime=lambda _: mock.Mock(sandbox='gVisor'))
        with mock.patch.object(type(self.driver._runtime), 'info', return_value=sandboxed):
            self.assertIn('sandbox of gVisor', self.fails(self.volume()))
        self.assertEqual('', engine.oci_runtime(None).sandbox)

    def test_engine_that_maps_users(self) -> None:
        engine = dataclasses.replace(self.driver._runtime.info(), remaps_users=True)
        with mock.patch.object(type(self.driver._runtime), 'info', return_value=engine):
            self.assertIn('maps users', self.fails(self.volume()))


class LifeTest(VolumesCase):

    def test_server_made_with_volumes(self) -> None:
        self.spawn(self.server, block_device_info=self.info(self.volume(), self.volume('v2')))
        self.assertEqual({self.inside(), self.inside('v2')}, self.host.inside)
        self.destroy(self.volume(), self.volume('v2'))
        self.assert_no_volumes()
        self.assert_nothing_left()
        self.assertEqual(set(), self.driver._volumes.uuids())

    def test_volume_that_cannot_be_had(self) -> None:
        error = self.assertRaises(
            exception.BuildAbortException, self.spawn, self.server,
            block_device_info=self.info(self.volume(), self.volume('v2', format='qcow2')))
        self.assertIn('raw volumes only', str(error))
        self.destroy(self.volume())
        self.assert_no_volumes()
        self.assert_nothing_left()

    def test_every_start_has_them(self) -> None:
        info = self.info(self.volume())
        self.spawn(self.server, block_device_info=info)
        for start in (
                lambda: self.driver.power_on(
                    self.context, self.server, self.network_info, info),
                lambda: self.driver.reboot(
                    self.context, self.server, self.network_info, 'HARD', info),
                lambda: self.driver.resume_state_on_host_boot(
                    self.context, self.server, self.network_info, [], info)):
            self.driver.power_off(self.server)
            # The host was restarted.
            self.host.mounted.clear()
            self.host.loops.clear()
            self.host.connected.clear()
            start()
            self.assertEqual(power_state.RUNNING, self.driver.get_info(self.server).state)
            self.assertEqual((1, 1, 1), (
                len(self.host.mounted), len(self.host.loops), len(self.host.connected)))

    def test_deleted_though_a_volume_stays(self) -> None:
        self.spawn(self.server, block_device_info=self.info(self.volume()))
        self.host.errors['detach_loop'] = OSError(errno.EBUSY, 'Device or resource busy')
        self.destroy(self.volume())
        self.assert_nothing_left()
        self.assertEqual({self.server.uuid}, self.driver._volumes.uuids())
        self.host.errors.clear()
        self.driver._volumes.remove(self.server.uuid)
        self.assertEqual(set(), self.driver._volumes.uuids())
        self.assertEqual({}, self.host.loops)

    def test_resize_takes_them_along(self) -> None:
        self.flags(live_resize=True, group='zun_nova')
        info = self.info(self.volume())
        self.spawn(self.server, block_device_info=info)
        self.server.migration_context = objects.MigrationContext(migration_id=1)
        left = self.driver.migrate_disk_and_power_off(
            self.context, self.server, str(test_driver.driver.CONF.my_ip), self.server.flavor,
            self.network_info, info)
        self.assert_no_volumes()
        migration = objects.Migration(source_compute='compute1', dest_compute='compute1')
        self.driver.finish_migration(
            self.context, migration, self.server, left, self.network_info, self.image_meta(),
            True, {}, info)
        self.assertIn(self.inside(), self.host.inside)
        self.driver.confirm_migration(self.context, migration, self.server, self.network_info)
        self.assertEqual(1, len(self.host.mounted))
        self.destroy(self.volume())
        self.assert_no_volumes()
        self.assertEqual(set(), self.driver._volumes.uuids())

    def test_none_at_all(self) -> None:
        self.flags(volumes=False, group='zun_nova')
        self.spawn(self.server)
        self.assertEqual([], self.container().host_config.get('Mounts') or [])
        self.assertEqual(set(), self.driver._volumes.uuids())


class BrickTest(VolumesCase):

    def test_connector_is_looked_for_once(self) -> None:
        for address in ('192.0.2.1', '192.0.2.2'):
            self.flags(my_block_storage_ip=address)
            told = self.driver.get_volume_connector(self.server)
            self.assertEqual(('compute1', address), (told['host'], told['ip']))
        self.assertEqual(1, self.host.asked)

    def test_share_of_a_file(self) -> None:
        its = brick.Brick(test_driver.driver.CONF, 'host', '/base/shares')
        self.assertEqual('/base/shares/hash', its.share_of('/base/shares/hash/volume-1'))
        for other in ('/dev/sda', '/base/shares/volume', '/base/shares/a/b/c', ''):
            self.assertIsNone(its.share_of(other))


class ConnectorTest(test_driver.DriverCase):

    def test_kinds_of_os_brick(self) -> None:
        its = brick.Brick(test_driver.driver.CONF, 'host', '/base/shares')
        with mock.patch.object(connector.InitiatorConnector, 'factory',
                               side_effect=connector.InitiatorConnector.factory) as factory:
            for kind in ('nfs', 'iscsi', 'rbd', 'nvmeof'):
                made = its._connector(model.Connection('v', kind, {}))
                self.assertTrue(hasattr(made, 'connect_volume'))
            self.assertEqual(4, factory.call_count)
        nfs = its._connector(model.Connection('v', 'nfs', {'mount_point_base': '/of/cinder'}))
        self.assertEqual('/base/shares', nfs.get_search_path())
        error = self.assertRaises(
            errors.VolumeError, its.connect, model.Connection('v', 'fake', {}))
        self.assertIn("kind 'fake'", str(error))
        self.assertFalse(os.path.exists('/base/shares'))
