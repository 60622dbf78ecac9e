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


"""Ports that Neutron or the host does not get right."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import signal
from typing import Any

from zun_nova.tests.functional.faults import base

# isort: split
from zun_cloud import host_services  # found on the path that the tests of the cloud added
from zun_cloud import hosts

#: Counts its own starts in the writable layer.
COUNTER = """
echo start >> /starts
echo "started $(wc -l < /starts) times"
trap 'exit 0' TERM
while :; do sleep 0.1; done
"""

NOWHERE = 'nowhere'


class PortsTest(base.FaultsTest):

    def setUp(self) -> None:
        super().setUp()
        self.machine = hosts.Host(self.settings, 1)

    @contextlib.contextmanager
    def nothing_left(self) -> Iterator[None]:
        before = self.traces()
        yield
        self.assertEqual(set(), self.traces() - before)

    @contextlib.contextmanager
    def without_wiring(self) -> Iterator[None]:
        """What wires ports for Neutron on this host hangs."""
        pid = self.pid(host_services.wires_ports(self.machine))
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def nova_options(self) -> Iterator[Callable[..., None]]:
        """Yields what restarts nova-compute with other options; in the end it has its own."""
        path = self.machine.etc / 'nova.conf'
        kept = path.read_text()

        def change(**options: Any) -> None:
            lines = ''.join(f'{name} = {value}\n' for name, value in options.items())
            path.write_text(f'{kept}\n[DEFAULT]\n{lines}')
            self.restart_nova()

        try:
            yield change
        finally:
            path.write_text(kept)
            self.restart_nova()

    def restart_nova(self) -> None:
        self.kill('nova-compute-1')
        self.start('nova-compute-1')
        # It may have been away for longer than the scheduler takes for alive.
        self.eventually(
            lambda: any(service.state == 'up' for service in self.admin.compute.services()
                        if service.binary == 'nova-compute'),
            'nova-compute reports')

    def test_servers_wait_for_their_ports(self) -> None:
        with self.without_wiring():
            server = self.request()
            self.eventually(lambda: self.state(server) == 'created', 'all but its port is ready')
            self.assertEqual('BUILD', self.admin.compute.get_server(server.id).status)
            self.assertEqual('created', self.state(server))
        self.wait_status(server, 'ACTIVE')

    def state(self, server: Any) -> str | None:
        """What the engine calls the state of the server's container; None without one."""
        rows = self.compute.engine.containers(
            all=True, filters={'name': f'^/nova-{server.id}$'})
        return str(rows[0]['State']) if rows else None

    def test_neutron_does_not_confirm(self) -> None:
        # Made first: 3 s may be too short for a server to become active.
        server = self.boot(self.image(COUNTER))
        self.console_with(server, 'started 1 times')
        # Nova's periodic task must not mend the binding that is broken here.
        common = {'vif_plugging_timeout': 3, 'heal_instance_info_cache_interval': 0}
        with self.nova_options() as run_nova:
            run_nova(vif_plugging_is_fatal=True, **common)
            with self.without_wiring(), self.nothing_left():
                port = self.port(self.private())
                fault = self.fault_of(networks=[{'port': port.id}])
                self.assertIn(f'Port {port.id}: Neutron has not confirmed within 3 s', fault)
            self.check_start_without_binding(server)

            run_nova(vif_plugging_is_fatal=False, **common)
            with self.without_wiring():
                server = self.boot()
                self.console_with(server, 'httpd listens')
            self.eventually(lambda: self.ports(server)[0].status == 'ACTIVE', 'it is wired')

    def private(self) -> Any:
        return self.demo.network.find_network('private', ignore_missing=False)

    def check_start_without_binding(self, server: Any) -> None:
        """The server stays, with its data, for as long as its port cannot be wired."""
        self.demo.compute.stop_server(server.id)
        self.wait_status(server, 'SHUTOFF')
        port = self.ports(server)[0]
        self.bind(port, NOWHERE)
        self.assertIn(port.id, self.failure_of_start(server))
        self.assertEqual('exited', self.state(server))

        self.bind(port, self.compute.name)
        self.demo.compute.start_server(server.id)
        self.wait_status(server, 'ACTIVE')
        self.console_with(server, 'started 2 times')

        self.bind(port, NOWHERE)
        self.delete(server)
        left = [trace for trace in self.traces() if server.id in trace or port.id[:10] in trace]
        self.assertEqual([], left)

    def bind(self, port: Any, host: str) -> None:
        """Have Neutron bind the port to a host; no agent is at NOWHERE."""
        bound = self.admin.network.update_port(port, binding_host_id=host)
        self.assertEqual('binding_failed' if host == NOWHERE else 'ovs', bound.binding_vif_type)

    def failure_of_start(self, server: Any) -> str:
        """Start a server that cannot start; what the log of its actions says to operators."""
        self.demo.compute.start_server(server.id)
        self.eventually(lambda: self.failures(server) != [], 'the start fails')
        self.wait_status(server, 'SHUTOFF')
        return self.failures(server)[0]

    def failures(self, server: Any) -> list[str]:
        """Of its starts."""
        path = f'/servers/{server.id}/os-instance-actions'
        compute = self.admin.compute
        requests = [action['request_id'] for action in compute.get(path).json()['instanceActions']
                    if action['action'] == 'start']
        events = [event for request in requests
                  for event in compute.get(f'{path}/{request}', microversion='2.84').json()[
                      'instanceAction']['events']]
        return [event['details'] for event in events if event['result'] == 'Error']

    def test_second_port_cannot_be_bound(self) -> None:
        """To a port of a kind that Neutron serves on no host here."""
        good, bad = self.port(self.private()), self.odd_port(self.private())
        with self.nothing_left():
            fault = self.fault_of(networks=[{'port': good.id}, {'port': bad.id}])
        self.assertIn(f'Port {bad.id}: Neutron could not bind', fault)
        self.assertIn('openstack network agent list', fault)
        # Ports that their owner made stay, for another server.
        server = self.boot(networks=[{'port': good.id}])

        before = self.traces()
        self.refused(self.demo.compute.create_server_interface, server.id, port_id=bad.id)
        self.assertEqual({'eth0'}, set(self.links(server)))
        self.assertEqual(before, self.traces())

    def odd_port(self, network: Any) -> Any:
        made = self.admin.network.create_port(
            network_id=network.id, project_id=self.demo.current_project_id,
            binding_vnic_type='baremetal')
        self.addCleanup(self.admin.network.delete_port, made.id)
        return made
