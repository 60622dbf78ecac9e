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

"""Servers that get another flavor, on one host."""

from __future__ import annotations

from typing import Any

from zun_nova.tests.functional.cloud import base

#: Counts its starts in a file, and tells how often it was started.
SCRIPT = """
trap 'exit 0' TERM
echo start >> /starts; echo starts: $(wc -l < /starts)
sleep infinity & wait
"""


class ResizeCase(base.CloudTest):
    """A test of servers that get other containers."""

    def resize(self, server: Any, flavor: str) -> Any:
        self.demo.compute.resize_server(server, self.demo.compute.find_flavor(flavor).id)
        return self.wait_status(server, 'VERIFY_RESIZE')

    def port(self, server: Any) -> tuple[Any, ...]:
        [port] = self.demo.network.ports(device_id=server.id)
        return port.id, port.mac_address, port.fixed_ips

    def wired(self, server: Any) -> list[str]:
        """Its addresses, as seen from inside."""
        shown = self.in_server(server, 'ip', '-brief', 'address', 'show', 'dev', 'eth0')
        return sorted(shown.split()[2:])   # after the name, with the other end's number, and state

    def layers(self) -> set[tuple[str, str]]:
        return {(host.name, tag) for host in self.hosts.values()
                for row in host.engine.images('zun-nova/layer') for tag in row['RepoTags'] or ()}

    def memory(self, server: Any) -> int:
        return int(self.container(server)['HostConfig']['Memory']) // 1024 ** 2


class ResizeTest(ResizeCase):

    def test_up_reverted_up_down(self) -> None:
        before, layers = self.traces(), self.layers()
        server = self.boot(self.image(SCRIPT))
        self.console_with(server, 'starts: 1')
        port, wired = self.port(server), self.wired(server)
        container = self.container(server)['Id']
        self.resize(server, 'container.small')
        self.assertEqual(256, self.memory(server))
        self.console_with(server, 'starts: 2')
        self.assertEqual((port, wired), (self.port(server), self.wired(server)))
        self.demo.compute.revert_server_resize(server)
        self.wait_status(server, 'ACTIVE')
        self.assertEqual((64, container), (self.memory(server), self.container(server)['Id']))
        self.console_with(server, 'starts: 2')   # of what it has written since nothing is left
        for flavor, memory, starts in (('container.small', 256, 3), ('container.tiny', 64, 4)):
            self.resize(server, flavor)
            self.demo.compute.confirm_server_resize(server)
            self.wait_status(server, 'ACTIVE')
            self.assertEqual(memory, self.memory(server))
            self.console_with(server, f'starts: {starts}')
        self.assertEqual((port, wired), (self.port(server), self.wired(server)))
        self.delete(server)
        self.nothing_left(before)
        self.assertEqual(set(), self.layers() - layers)

    def test_a_stopped_server_that_is_deleted_before_it_is_confirmed(self) -> None:
        before, layers = self.traces(), self.layers()
        server = self.boot(self.image(SCRIPT))
        self.demo.compute.stop_server(server)
        self.wait_status(server, 'SHUTOFF')
        self.resize(server, 'container.small')
        self.assertFalse(self.container(server)['State']['Running'])
        self.delete(server)
        self.nothing_left(before)
        self.assertEqual(set(), self.layers() - layers)
