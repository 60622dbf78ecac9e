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

"""What servers are told and given, and what they tell of themselves."""

from __future__ import annotations

import base64
import json
import pathlib
from typing import Any
import uuid

from openstack import exceptions

from zun_nova.tests.functional.cloud import base

KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVbjIWJgVvsiPVHKXWpDnXMwXcRVnqcIfcmfVpNEYSv owner'

#: The last version with personality. Some later one is asked for all else.
VERSION = '2.56'

#: After 30 seconds of grace it would say so; 60 are Nova's default.
SCRIPT = """
trap 'sleep 30; echo "had its time"' TERM
echo "write: $(touch /config-2/x 2>&1)"
echo "given: $(stat -c '%a %u' /etc/given) $(cat /etc/given)"
dd if=/dev/zero of=/written bs=1024 count=100 2>/dev/null
echo end
while :; do sleep 0.2; done
"""


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class GuestTest(base.CloudTest):

    def users_image(self) -> Any:
        """An image whose administrator is another than root, and that gives two seconds to end."""
        path = pathlib.Path(self.create_tempfiles([('image', b'')])[0])
        entries = [
            *(entry for entry in base.image.busybox_entries(command='#!/bin/sh\n' + SCRIPT)
              if entry.path != 'etc/passwd'),
            base.image.file('etc/passwd', 'root:x:0:0::/root:/bin/sh\n'
                                     'app:x:1000:1001::/home/app:/bin/sh\n'),
            base.image.directory('home'), base.image.directory('home/app')]
        base.image.write(
            path, entries, {'Cmd': ['/bin/hello'], 'Env': ['PATH=/bin']}, 'test:latest')
        return self.upload(
            path.read_bytes(), {'os_admin_user': 'app', 'os_shutdown_timeout': '2'})

    def ask(self, server: Any) -> dict[str, Any]:
        """Have Nova make a server as an old client asks for it."""
        network = self.demo.network.find_network('private', ignore_missing=False)
        flavor = self.demo.compute.find_flavor('container.tiny', ignore_missing=False)
        answer = self.demo.compute.post('/servers', microversion=VERSION, json={'server': {
            'name': f'test-{uuid.uuid4().hex[:8]}', 'flavorRef': flavor.id,
            'networks': [{'uuid': network.id}], **server}})
        exceptions.raise_from_response(answer)
        made = self.demo.compute.get_server(answer.json()['server']['id'])
        self.addCleanup(self.delete, made)
        return made

    def inside(self, server: Any, path: str) -> str:
        """A file as the server sees it."""
        pid = self.container(server)['State']['Pid']
        return self.host_of(server).run('cat', f'/proc/{pid}/root{path}')

    def drives(self, server: Any) -> tuple[str, list[str]]:
        """The directory of all config drives of the server's host, and whose are there."""
        [source] = [mount['Source'] for mount in self.container(server)['Mounts']
                    if mount['Destination'] == '/config-2']
        directory = str(pathlib.Path(source).parents[1])
        return directory, self.host_of(server).run('ls', directory).split()

    def keypair(self) -> str:
        name = f'test-{uuid.uuid4().hex[:8]}'
        self.demo.compute.create_keypair(name=name, public_key=KEY)
        self.addCleanup(self.demo.compute.delete_keypair, name)
        return name

    def test_what_it_is_told_and_given(self) -> None:
        key = self.keypair()
        server = self.wait_status(self.ask({
            'imageRef': self.users_image().id, 'config_drive': True, 'key_name': key,
            'adminPass': 'first hunter2', 'user_data': encoded('its owner\'s words'),
            'metadata': {'role': 'web'},
            'personality': [{'path': '/etc/given', 'contents': encoded('a first file')}],
        }), 'ACTIVE')
        said = self.console_with(server, '\nend')
        self.assertIn('Read-only file system', said)
        self.assertIn('given: 644 0 a first file', said)
        self.check_drive(server, key, 'first hunter2', 'a first file')
        self.check_key(server)
        self.check_secret(server, 'first hunter2')
        self.check_diagnostics(server)

        self.demo.compute.stop_server(server.id)
        self.wait_status(server, 'SHUTOFF')
        self.assertNotIn('had its time', self.console(server))
        self.assertIn('power state', self.refused(self.diagnostics, server, '2.48'))
        self.demo.compute.start_server(server.id)
        self.wait_status(server, 'ACTIVE')
        self.check_drive(server, key, 'first hunter2', 'a first file')

        answer = self.demo.compute.post(
            f'/servers/{server.id}/action', microversion=VERSION, json={'rebuild': {
                'imageRef': server.image.id, 'adminPass': 'second hunter2',
                'personality': [{'path': '/etc/given', 'contents': encoded('a second file')}]}})
        exceptions.raise_from_response(answer)
        self.wait_status(server, 'ACTIVE')
        self.console_with(server, 'given: 644 0 a second file')
        self.check_drive(server, key, 'second hunter2', 'a second file')
        self.check_key(server)

        host = self.host_of(server)
        directory, there = self.drives(server)
        self.assertIn(server.id, there)
        self.delete(server)
        self.assertNotIn(server.id, host.run('ls', directory).split())

    def check_drive(self, server: Any, key: str, password: str, file: str) -> None:
        top = '/config-2/openstack/latest'
        told = json.loads(self.inside(server, f'{top}/meta_data.json'))
        self.assertEqual((server.id, password, {'role': 'web'}, {key: KEY}),
                         (told['uuid'], told['admin_pass'], told['meta'], told['public_keys']))
        [given] = told['files']
        self.assertEqual('/etc/given', given['path'])
        self.assertEqual(
            file, self.inside(server, f'/config-2/openstack{given["content_path"]}'))
        self.assertEqual('its owner\'s words', self.inside(server, f'{top}/user_data'))
        [port] = self.demo.network.ports(device_id=server.id)
        network = json.loads(self.inside(server, f'{top}/network_data.json'))
        self.assertEqual([port.mac_address],
                         [link['ethernet_mac_address'] for link in network['links']])
        self.assertEqual(len(port.fixed_ips), len(network['networks']))
        json.loads(self.inside(server, f'{top}/vendor_data.json'))

    def check_key(self, server: Any) -> None:
        self.assertEqual(f'{KEY}\n', self.inside(server, '/home/app/.ssh/authorized_keys'))
        root = f'/proc/{self.container(server)["State"]["Pid"]}/root'
        modes = self.host_of(server).run(
            'stat', '-c', '%a %u %g', f'{root}/home/app/.ssh',
            f'{root}/home/app/.ssh/authorized_keys')
        self.assertEqual('700 1000 1001\n600 1000 1001\n', modes)

    def check_secret(self, server: Any, password: str) -> None:
        """Nobody but the server is told its password."""
        self.assertNotIn(password, json.dumps(self.container(server)))
        for log in (self.settings.state / 'log').glob('*.log'):
            self.assertNotIn(password.encode(), log.read_bytes(), log.name)

    def diagnostics(self, server: Any, version: str) -> dict[str, Any]:
        answer = self.admin.compute.get(
            f'/servers/{server.id}/diagnostics', microversion=version)
        exceptions.raise_from_response(answer)
        found: dict[str, Any] = answer.json()
        return found

    def check_diagnostics(self, server: Any) -> None:
        [port] = self.demo.network.ports(device_id=server.id)
        found = self.diagnostics(server, '2.48')
        self.assertEqual(
            ('running', 'docker', 'linux', True, 1, 1, 1),
            tuple(found[name] for name in ('state', 'hypervisor', 'hypervisor_os', 'config_drive',
                                           'num_cpus', 'num_nics', 'num_disks')))
        self.assertEqual(64, found['memory_details']['maximum'])
        self.assertLess(0, found['cpu_details'][0]['time'])
        self.assertLessEqual(0, found['uptime'])
        [nic] = found['nic_details']
        self.assertEqual(port.mac_address, nic['mac_address'])
        # It announced its addresses when it was plugged.
        self.assertLess(0, nic['tx_packets'])
        self.assertIsNotNone(found['disk_details'][0]['write_bytes'])
        older = self.diagnostics(server, '2.47')
        self.assertEqual(64 * 1024, older['memory'])
        self.assertLessEqual(found['cpu_details'][0]['time'], older['cpu0_time'])
        self.assertLessEqual(nic['tx_octets'], older[f'tap{port.id[:11]}_tx'])
