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

"""Servers with volumes of a real Cinder."""

from __future__ import annotations

from typing import Any
import uuid

from openstack import exceptions

from zun_nova.tests.functional.cloud import base
from zun_nova.virt import identity
from zun_nova.volume import places


class VolumesTest(base.CloudTest):

    def setUp(self) -> None:
        super().setUp()
        if 'cinder' not in self.settings.extras:
            self.skipTest('the cloud has no Cinder: up --with cinder')

    def volume(self) -> Any:
        """One of 1 GB that is available."""
        storage = self.demo.block_storage
        made = storage.create_volume(name=f'test-{uuid.uuid4().hex[:8]}', size=1)
        self.addCleanup(self.remove, made)
        self.becomes(made, 'available')
        return made

    def remove(self, volume: Any) -> None:
        self.demo.block_storage.delete_volume(volume.id, ignore_missing=True)
        self.eventually(lambda: self.is_gone(volume), 'the volume is gone', base.TIMEOUT)

    def is_gone(self, volume: Any) -> bool:
        try:
            self.demo.block_storage.get_volume(volume.id)
        except exceptions.NotFoundException:
            return True
        return False

    def becomes(self, volume: Any, status: str) -> None:
        self.eventually(
            lambda: self.demo.block_storage.get_volume(volume.id).status == status,
            f'volume {volume.id} is {status}', base.TIMEOUT)

    def attach(self, server: Any, volume: Any) -> None:
        self.demo.compute.create_volume_attachment(server.id, volume_id=volume.id)
        self.becomes(volume, 'in-use')

    def detach(self, server: Any, volume: Any) -> None:
        self.demo.compute.delete_volume_attachment(server.id, volume.id)
        self.becomes(volume, 'available')

    def say(self, server: Any, script: str) -> str:
        """What a shell script prints in the server."""
        engine = self.host_of(server).engine
        name = identity.name_of(server.id)
        made = engine.exec_create(name, ['sh', '-c', script])
        return str(engine.exec_start(made['Id']).decode())

    @staticmethod
    def path(volume: Any) -> str:
        return f'{places.INSIDE}/{volume.id}'

    def devices(self) -> str:
        """The files of volumes that are loop devices, and what is mounted of them."""
        return ''.join(
            each.run('sh', '-c', 'losetup --list --noheadings --output BACK-FILE | grep volume-; '
                                 'grep zun_nova/ /proc/mounts; true')
            for each in self.hosts.values())

    def messages(self, server: Any, action: str) -> list[str]:
        return [each.message for each in self.demo.compute.server_actions(server.id)
                if each.action == action]

    def test_volume_in_a_server_that_runs(self) -> None:
        before, volume = self.devices(), self.volume()
        server = self.boot()
        process = self.container(server)['State']['Pid']
        self.attach(server, volume)
        self.assertEqual(process, self.container(server)['State']['Pid'])
        self.assertIn(' xfs rw,nosuid,nodev', self.say(
            server, f'grep {self.path(volume)} /proc/mounts'))
        self.say(server, f'echo kept > {self.path(volume)}/file')
        self.demo.compute.reboot_server(server.id, 'HARD')
        self.wait_status(server, 'ACTIVE')
        self.assertEqual('kept\n', self.say(server, f'cat {self.path(volume)}/file'))

        # Somebody is in it.
        pid = self.say(server, f'cd {self.path(volume)}; sleep 1000 >/dev/null 2>&1 & echo $!')
        self.demo.compute.delete_volume_attachment(server.id, volume.id)
        self.eventually(lambda: bool(self.messages(server, 'volume_detach_failed')),
                        'the owner is told', base.TIMEOUT)
        self.assertIn('a process uses it', self.messages(server, 'volume_detach_failed')[0])
        self.becomes(volume, 'in-use')
        self.say(server, f'kill {pid}')
        self.detach(server, volume)
        self.assertEqual('', self.say(server, f'ls {places.INSIDE}'))
        self.assertEqual(before, self.devices())

        # To another one, which is stopped.
        self.delete(server)
        other = self.boot()
        self.demo.compute.stop_server(other.id)
        self.wait_status(other, 'SHUTOFF')
        self.attach(other, volume)
        self.demo.compute.start_server(other.id)
        self.wait_status(other, 'ACTIVE')
        self.assertEqual('kept\n', self.say(other, f'cat {self.path(volume)}/file'))
        self.delete(other)
        self.becomes(volume, 'available')
        self.assertEqual(before, self.devices())

    def test_server_with_volumes_from_the_start(self) -> None:
        before, kept, deleted = self.devices(), self.volume(), self.volume()
        image = self.demo.image.find_image('busybox', ignore_missing=False)
        server = self.boot(block_device_mapping=[
            {'boot_index': 0, 'uuid': image.id, 'source_type': 'image',
             'destination_type': 'local', 'delete_on_termination': True},
            *({'boot_index': -1, 'uuid': volume.id, 'source_type': 'volume',
               'destination_type': 'volume', 'delete_on_termination': volume is deleted}
              for volume in (kept, deleted))])
        for volume in (kept, deleted):
            self.say(server, f'echo {volume.id} > {self.path(volume)}/file')
        self.demo.compute.rebuild_server(server.id, image=image.id)
        self.wait_status(server, 'ACTIVE')
        for volume in (kept, deleted):
            self.assertEqual(f'{volume.id}\n', self.say(
                server, f'cat {self.path(volume)}/file'))
        self.demo.compute.resize_server(
            server.id, self.demo.compute.find_flavor('container.small', ignore_missing=False).id)
        self.wait_status(server, 'VERIFY_RESIZE')
        self.assertEqual(f'{kept.id}\n', self.say(server, f'cat {self.path(kept)}/file'))
        self.demo.compute.confirm_server_resize(server.id)
        self.wait_status(server, 'ACTIVE')
        self.delete(server)
        self.becomes(kept, 'available')
        self.eventually(lambda: self.is_gone(deleted), 'it went with its server', base.TIMEOUT)
        self.assertEqual(before, self.devices())
