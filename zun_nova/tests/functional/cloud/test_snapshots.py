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

"""Snapshots, backups and shelving through the API."""

from __future__ import annotations

import hashlib
from typing import Any
import uuid

from zun_nova.tests.functional.cloud import base

#: Says what it runs with, and counts its starts in the writable layer.
SCRIPT = """
echo start >> /tmp/starts
echo "start $(wc -l < /tmp/starts) as $(id -u) with A=$A and $*"
trap 'exit 0' TERM
while :; do sleep 0.1; done
"""
SPOKEN = 'as 1000 with A=of the server and words'


class SnapshotCase(base.CloudTest):

    def server(self) -> Any:
        """A server whose owner says what it runs with, after it has said so."""
        server = self.boot(
            self.image(SCRIPT, properties={'os_command_line': 'of the image'},
                       config={'Entrypoint': ['/bin/hello']}),
            metadata={'container:env:A': 'of the server', 'container:args': 'words',
                      'container:user': '1000', 'container:stop_timeout': '5'})
        self.console_with(server, f'start 1 {SPOKEN}')
        return server

    def snapshot(self, server: Any, call: Any = None, **more: Any) -> Any:
        """The image of a server; it is deleted in the end."""
        name = f'test-{uuid.uuid4().hex[:8]}'
        call = call or self.demo.compute.create_server_image
        call(server.id, name, **more)
        image = self.demo.image.find_image(name, ignore_missing=False)
        self.addCleanup(self.demo.image.delete_image, image.id, ignore_missing=True)
        return self.stored(image)

    def stored(self, image: Any) -> Any:
        """The image, when Glance has all of it."""
        self.eventually(lambda: self.demo.image.get_image(image.id).status == 'active',
                        'the image is there', base.TIMEOUT)
        return self.demo.image.get_image(image.id)


class SnapshotTest(SnapshotCase):

    def test_image_of_a_server_in_every_state(self) -> None:
        server = self.server()
        stored = self.stored_images()
        pid = self.container(server)['State']['Pid']
        image = self.snapshot(server, metadata={'mine': 'kept'})
        server = self.wait_status(server, 'ACTIVE')
        self.assertEqual(pid, self.container(server)['State']['Pid'])
        self.assertEqual(
            (server.project_id, 'docker', 'raw', 'private', 'kept'),
            (image.owner, image.container_format, image.disk_format, image.visibility,
             image.properties['mine']))
        data = b''.join(self.demo.image.download_image(
            image, stream=True).iter_content(65536))
        self.assertEqual(image.hash_value, hashlib.sha512(data).hexdigest())
        for of_the_host in ('zun-nova', server.id, self.host_of(server).name,
                            self.container(server)['Id'], server.user_id):
            self.assertNotIn(of_the_host.encode(), data)
        self.demo.compute.pause_server(server.id)
        self.wait_status(server, 'PAUSED')
        self.snapshot(server)
        self.assertTrue(self.container(self.wait_status(server, 'PAUSED'))['State']['Paused'])
        self.demo.compute.unpause_server(server.id)
        self.wait_status(server, 'ACTIVE')
        self.demo.compute.stop_server(server.id)
        self.wait_status(server, 'SHUTOFF')
        stopped = self.snapshot(server)
        self.wait_status(server, 'SHUTOFF')
        # Nothing else is left of them on the host.
        self.assertEqual(stored, self.stored_images())
        other = self.boot(stopped)
        self.console_with(other, f'start 2 {SPOKEN}')
        self.assertEqual(5, self.container(other)['Config']['StopTimeout'])

    def test_backups_are_rotated(self) -> None:
        server = self.boot()
        names = []
        for _ in range(3):
            def backup(server_id: str, name: str) -> None:
                self.demo.compute.backup_server(server_id, name, 'daily', 2)
                names.append(name)

            self.snapshot(server, backup)
            self.wait_status(server, 'ACTIVE')
        self.eventually(lambda: {image.name for image in self.demo.image.images(
            owner=server.project_id) if image.name in names} == set(names[1:]),
            'the oldest backup is deleted')


class ShelveTest(SnapshotCase):

    def test_unshelved_with_data_port_and_address(self) -> None:
        server = self.server()
        before, stored = self.traces(), self.stored_images()
        port = next(iter(self.demo.network.ports(device_id=server.id)))
        self.demo.compute.shelve_server(server.id)
        server = self.wait_status(server, 'SHELVED_OFFLOADED')
        # Nova takes the host from it afterwards.
        self.eventually(lambda: self.admin.compute.get_server(server.id).compute_host is None,
                        'it is on no host')
        self.assertEqual([], [trace for trace in self.traces() if server.id in trace])
        self.assertEqual(stored, self.stored_images())
        [image] = self.demo.image.images(name=f'{server.name}-shelved')
        self.assertEqual(server.project_id, image.owner)
        self.demo.compute.unshelve_server(server.id)
        server = self.wait_status(server, 'ACTIVE')
        self.console_with(server, f'start 2 {SPOKEN}')
        again = next(iter(self.demo.network.ports(device_id=server.id)))
        self.assertEqual((port.id, port.mac_address, port.fixed_ips),
                         (again.id, again.mac_address, again.fixed_ips))
        self.assertEqual([], list(self.demo.image.images(name=f'{server.name}-shelved')))
        self.delete(server)
        self.assertEqual(set(), self.traces() - before)
