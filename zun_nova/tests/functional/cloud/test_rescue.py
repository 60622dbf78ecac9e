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

"""Repairing a server from another container, through the API."""

from __future__ import annotations

from typing import Any

from zun_nova.tests.functional.cloud import base
from zun_nova.virt import identity

#: Keeps something, and says at each start whether it was repaired.
OWN = """
test -e /kept || echo precious > /kept
test -e /repaired && echo "repaired by $(cat /repaired)"
echo up
trap 'exit 0' TERM
while :; do sleep 0.1; done
"""


class RescueTest(base.CloudTest):

    def rescue(self, server: Any, image: Any = None) -> Any:
        self.demo.compute.rescue_server(server.id, image=image and image.id)
        return self.wait_status(server, 'RESCUE')

    def sh(self, server: Any, script: str) -> str:
        """What a shell in the container says that is now the server's."""
        engine = self.host_of(server).engine
        made = engine.exec_create(
            identity.name_of(server.id), ['/bin/sh', '-ec', script], user='0')
        said = engine.exec_start(made['Id']).decode()
        self.assertEqual(0, engine.exec_inspect(made['Id'])['ExitCode'], said)
        return str(said)

    def port(self, server: Any) -> Any:
        port, = self.demo.network.ports(device_id=server.id)
        return port.id, port.mac_address, port.fixed_ips

    def test_repair(self) -> None:
        """With its own image: a shell, the server's network, and its root to write to."""
        server = self.boot(self.image(OWN))
        self.console_with(server, 'up')
        port, own = self.port(server), self.container(server)['Id']
        before = self.traces()
        self.rescue(server)
        self.assertEqual('precious\n', self.sh(server, 'cat /mnt/rescue/kept'))
        # What only the image has is copied up with the rights of who mounted it.
        self.sh(server, 'chown 7:7 /mnt/rescue/bin/hello; chmod 755 /mnt/rescue/bin/hello;'
                'echo hand > /mnt/rescue/repaired; chown 9 /mnt/rescue/repaired')
        mounted = next(line.split() for line in self.sh(
            server, 'cat /proc/self/mountinfo').splitlines() if ' /mnt/rescue ' in line)
        self.assertLessEqual({'rw', 'nosuid', 'nodev'}, set(mounted[5].split(',')))
        # The same port, in the same namespace.
        self.assertEqual(port, self.port(server))
        links = self.in_server(server, 'ip', 'link')
        self.assertIn(port[1], links)
        gateway = self.in_server(server, 'ip', '-4', 'route', 'show', 'default').split()[2]
        self.in_server(server, 'ping', '-c', '1', '-W', '5', gateway)
        self.demo.compute.unrescue_server(server.id)
        self.wait_status(server, 'ACTIVE')
        self.console_with(server, 'repaired by hand')
        self.assertEqual(own, self.container(server)['Id'])
        self.assertEqual('7 9', self.sh(
            server, 'echo $(stat -c %u /bin/hello) $(stat -c %u /repaired)').strip())
        self.assertEqual((port, links), (self.port(server), self.in_server(server, 'ip', 'link')))
        self.assertEqual(before, self.traces())

    def test_other_image_restart_and_delete(self) -> None:
        """A stopped server, rescued with an image that says what it runs."""
        before = self.traces()
        server = self.boot(self.image(OWN))
        self.console_with(server, 'up')
        self.demo.compute.stop_server(server.id)
        self.wait_status(server, 'SHUTOFF')
        self.rescue(server, self.image('echo "$(cat /mnt/rescue/kept) seen"; sleep 1000'))
        self.console_with(server, 'precious seen')
        rescuer = self.container(server)['Id']
        self.restart_compute(self.host_of(server).name)
        self.wait_status(server, 'RESCUE')
        self.assertEqual(rescuer, self.container(server)['Id'])
        self.assertEqual('precious\n', self.sh(server, 'cat /mnt/rescue/kept'))
        self.delete(server)
        self.nothing_left(before)

    def test_what_cannot_rescue(self) -> None:
        """Its owner is told why, and the server runs on."""
        server = self.boot(self.image(OWN))
        self.console_with(server, 'up')
        own, before = self.container(server)['Id'], self.traces()
        image = self.image('', config={'Cmd': ['/bin/nothing']})
        self.demo.compute.rescue_server(server.id, image=image.id)
        self.assertIn("'/bin/nothing' is not in the image", self.fault(server))
        container = self.container(server)
        self.assertEqual((own, True), (container['Id'], container['State']['Running']))
        self.assertEqual(before, self.traces())
        self.demo.compute.reboot_server(server.id, 'HARD')
        # It is ERROR until it is up again.
        self.eventually(lambda: self.demo.compute.get_server(server.id).status == 'ACTIVE',
                        'it is ACTIVE')
        self.assertEqual('precious\n', self.sh(server, 'cat /kept'))
