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

"""Servers that go from one compute host to another."""

from __future__ import annotations

from typing import Any

from zun_nova.tests.functional.cloud import test_resize
from zun_nova.tests.functional.cloud import test_two_hosts


class MovesTest(test_two_hosts.TwoHostsCase, test_resize.ResizeCase):

    def other(self, server: Any) -> str:
        """The name of a host on which the server is not."""
        here = self.host_of(server).name
        return next(name for name in self.hosts if name != here)

    def migrate(self, server: Any) -> Any:
        self.admin.compute.migrate_server(server, host=self.other(server))
        return self.wait_status(server, 'VERIFY_RESIZE')

    def arrived(self, server: Any) -> set[str]:
        """Files of layers on all hosts."""
        return {host.name for host in self.hosts.values() if host.run(
            'sh', '-c', f'ls {self.settings.data}/{host.name}/nova/instances/zun_nova/received '
            f'2>/dev/null | grep {server.id} || :')}

    def failure(self, server: Any, action: str) -> str:
        """Why the last such action failed, as its owner reads it."""
        actions = [each for each in self.demo.compute.server_actions(server.id)
                   if each.action == action]
        latest = self.admin.compute.get_server_action(actions[0].request_id, server.id)
        return ' '.join(str(event.get('details') or '') for event in latest.events)

    def test_there_back_and_there_for_good(self) -> None:
        before, layers = self.traces(), self.layers()
        server = self.boot(self.image(test_resize.SCRIPT))
        self.console_with(server, 'starts: 1')
        port, wired, source = self.port(server), self.wired(server), self.host_of(server).name
        self.migrate(server)
        self.assertNotEqual(source, self.host_of(server).name)
        self.console_with(server, 'starts: 2')
        self.assertEqual((port, wired), (self.port(server), self.wired(server)))
        self.assertEqual(set(), self.arrived(server))
        self.demo.compute.revert_server_resize(server)
        self.wait_status(server, 'ACTIVE')
        self.assertEqual(source, self.host_of(server).name)
        self.console_with(server, 'starts: 2')
        self.assertEqual((port, wired), (self.port(server), self.wired(server)))
        self.migrate(server)
        self.demo.compute.confirm_server_resize(server)
        self.wait_status(server, 'ACTIVE')
        self.console_with(server, 'starts: 3')
        witness = self.boot_on(source)
        for fixed in port[2]:
            self.in_server(witness, 'ping', '-c', '3', '-W', '5', fixed['ip_address'])
        self.delete_as_admin(witness)
        self.delete(server)
        self.nothing_left(before)
        self.assertEqual(set(), self.layers() - layers)

    def test_a_host_that_takes_nothing_leaves_the_server_running(self) -> None:
        server = self.boot(self.image(test_resize.SCRIPT))
        self.console_with(server, 'starts: 1')
        container = self.container(server)
        keys = self.settings.etc / self.other(server) / 'authorized_keys'
        kept = keys.read_text()
        self.addCleanup(keys.write_text, kept)
        keys.write_text('')
        self.admin.compute.migrate_server(server, host=self.other(server))
        self.wait_status(server, 'ACTIVE')
        self.eventually(lambda: 'refuses the key' in self.failure(server, 'migrate'),
                        'the cause is told')
        self.assertEqual(container['State']['Pid'], self.container(server)['State']['Pid'])

    def test_groups_hold(self) -> None:
        group = self.demo.compute.create_server_group(name='apart', policy='anti-affinity')
        self.addCleanup(self.demo.compute.delete_server_group, group)
        hints = {'scheduler_hints': {'group': group.id}}
        servers = [self.boot(**hints) for _ in range(2)]
        self.assertEqual(set(self.hosts), {self.host_of(server).name for server in servers})
        self.admin.compute.migrate_server(servers[0])
        self.eventually(lambda: 'No valid host' in self.failure(servers[0], 'migrate'),
                        'no host is left for it')
        self.wait_status(servers[0], 'ACTIVE')
        self.assertEqual(set(self.hosts), {self.host_of(server).name for server in servers})
