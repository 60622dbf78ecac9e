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

"""Hosts with different engines in one cloud."""

from __future__ import annotations

from typing import Any
import uuid

from zun_nova.tests.functional.cloud import base
from zun_nova.tests.functional.cloud import test_resize

#: Says what it finds, counts its starts in the writable layer, and ends when it is asked to: once.
STORY = """
echo start >> /starts
cat /etc/hosts /etc/resolv.conf
echo "I am $(hostname), started $(wc -l < /starts) times"
ip -o addr show eth0
trap 'echo "asked to end"; exit 0' TERM
while ! [ -e /end ]; do sleep 0.05; done
rm /end
exit 3
"""


class EnginesCase(base.CloudTest):
    """A test that needs a host with each engine.

    :ivar engines: the host, by engine.
    """

    def setUp(self) -> None:
        super().setUp()
        self.engines = {node.hypervisor_type: node.name
                        for node in self.admin.compute.hypervisors(details=True)}
        if not {'docker', 'podman'} <= set(self.engines):
            self.skipTest('one engine only: cloud up --computes 2 --engine docker,podman')

    def flavor_for(self, engine: str) -> str:
        """The name of a flavor that only hosts with this engine can have."""
        made = self.admin.compute.create_flavor(
            name=f'test-{uuid.uuid4().hex[:8]}', vcpus=1, ram=64, disk=1)
        self.addCleanup(self.admin.compute.delete_flavor, made.id)
        self.admin.compute.create_flavor_extra_specs(
            made, {f'trait:CUSTOM_CONTAINER_ENGINE_{engine.upper()}': 'required'})
        return str(made.name)

    def boot_on(self, engine: str, image: Any = None) -> Any:
        """A server on the host with this engine."""
        server = self.boot(image, flavor=self.flavor_for(engine))
        self.assertEqual(self.engines[engine], self.host_of(server).name)
        return server

    def address(self, server: Any) -> str:
        port = next(iter(self.demo.network.ports(device_id=server.id)))
        return str(port.fixed_ips[0]['ip_address'])


class EnginesTest(EnginesCase):

    def test_a_life_on_podman(self) -> None:
        before = self.traces()
        image = self.image(STORY)
        server = self.boot_on('podman', image)
        address = self.address(server)
        self.assertTrue(self.container(server)['State']['Running'])
        said = self.console_with(server, ' started 1 times')
        self.console_with(server, f'inet {address}/')
        self.assertIn(f'I am {server.name}', said)
        self.assertIn(f'{address}\t{server.name}', said)
        self.demo.compute.reboot_server(server.id, 'SOFT')
        self.wait_status(server, 'ACTIVE')
        self.assertIn('asked to end', self.console_with(server, 'started 2 times'))
        self.demo.compute.pause_server(server.id)
        self.wait_status(server, 'PAUSED')
        self.demo.compute.unpause_server(server.id)
        self.wait_status(server, 'ACTIVE')
        self.demo.compute.stop_server(server.id)
        self.wait_status(server, 'SHUTOFF')
        self.demo.compute.start_server(server.id)
        self.wait_status(server, 'ACTIVE')
        self.console_with(server, 'started 3 times')
        self.assertEqual(2, self.console(server).count('asked to end'))
        self.assertIn(f'inet {address}/', self.in_server(server, 'ip', 'addr'))
        self.delete(server)
        self.assertEqual(set(), self.traces() - before)

    def test_both_engines_reach_each_other(self) -> None:
        receiver, sender = self.boot_on('podman'), self.boot_on('docker')
        self.in_server(sender, 'ping', '-c', '3', '-W', '2', self.address(receiver))
        self.in_server(receiver, 'ping', '-c', '3', '-W', '2', self.address(sender))

    def test_an_end_of_its_own_and_a_restart_of_nova_compute(self) -> None:
        server = self.boot_on('podman', self.image(STORY))
        self.restart_compute(self.engines['podman'])
        self.console_with(server, ' started 1 times')
        pid = self.container(server)['State']['Pid']
        self.host_of(server).run('touch', f'/proc/{pid}/root/end')
        self.wait_status(server, 'SHUTOFF')
        exits = [action.message for action in self.demo.compute.server_actions(server.id)
                 if action.action == 'exit']
        self.assertEqual(['Exit code 3: error'], exits)
        self.demo.compute.start_server(server.id)
        self.wait_status(server, 'ACTIVE')
        self.in_server(server, 'ping', '-c', '1', self.address(server))


class MovesTest(EnginesCase, test_resize.ResizeCase):

    def migrate(self, server: Any) -> str:
        """Move it to the host with the other engine; returns the name of that."""
        here = self.host_of(server).name
        there = next(name for name in self.engines.values() if name != here)
        self.admin.compute.migrate_server(server, host=there)
        self.wait_status(server, 'VERIFY_RESIZE')
        self.assertEqual(there, self.host_of(server).name)
        return there

    def layers(self) -> set[tuple[str, str]]:
        """Podman has its own names for them."""
        return {(host.name, tag) for host in self.hosts.values() for row in host.engine.images()
                for tag in row['RepoTags'] or () if 'zun-nova/layer:' in tag}

    def test_what_was_written_goes_along_both_ways(self) -> None:
        before, layers = self.traces(), self.layers()
        server = self.boot(self.image(test_resize.SCRIPT))
        self.console_with(server, 'starts: 1')
        port, wired = self.port(server), self.wired(server)
        other = self.migrate(server)
        self.console_with(server, 'starts: 2')
        self.assertEqual((port, wired), (self.port(server), self.wired(server)))
        self.demo.compute.confirm_server_resize(server)
        self.wait_status(server, 'ACTIVE')
        self.migrate(server)
        self.console_with(server, 'starts: 3')
        self.assertEqual((port, wired), (self.port(server), self.wired(server)))
        self.demo.compute.revert_server_resize(server)
        self.wait_status(server, 'ACTIVE')
        self.assertEqual(other, self.host_of(server).name)
        self.console_with(server, 'starts: 3')   # what it wrote there is gone
        self.assertEqual((port, wired), (self.port(server), self.wired(server)))
        self.delete(server)
        self.nothing_left(before)
        self.assertEqual(set(), self.layers() - layers)
