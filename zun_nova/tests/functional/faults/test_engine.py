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

"""The container engine dies and comes back."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import signal
from typing import Any

from testtools import matchers

from zun_nova.tests.functional.faults import base

ENGINE = 'dockerd-1'
COMPUTE = 'nova-compute-1'


class EngineTest(base.FaultsTest):

    @contextlib.contextmanager
    def without_live_restore(self) -> Iterator[None]:
        """The engine that starts in here does not keep the containers of the one before."""
        config = self.settings.etc / 'compute1/docker.json'
        before = config.read_text()
        config.write_text('{"live-restore": false}')
        try:
            yield
        finally:
            config.write_text(before)
            if pid := self.manager.process(ENGINE).pid:
                os.kill(pid, signal.SIGHUP)   # it reads the file again

    def ping_from(self, pid: int, address: str) -> None:
        """As ping(), of a server that no engine can tell the process of."""
        self.compute.run('nsenter', f'--net=/proc/{pid}/ns/net', 'ping', '-c', '2', '-W', '2',
                         address)

    def failed(self, server: Any, action: str) -> bool:
        """Whether the last action of this name on the server is over, and has failed."""
        found = [item for item in self.admin.compute.server_actions(server.id)
                 if item.action == action]
        events = self.admin.compute.get_server_action(found[0], server).events if found else []
        return any(event.result == 'Error' for event in events)

    def test_servers_outlive_their_engine(self) -> None:
        stays, ends, witness = self.boot_all(3)
        pids = {server.id: self.process(server) for server in (stays, ends, witness)}
        address = self.address(stays)
        self.kill(ENGINE)
        self.ping_from(pids[witness.id], address)
        # Its end nobody sees but the process that containerd has beside each container.
        os.kill(pids[ends.id], signal.SIGKILL)
        self.start(ENGINE)
        self.wait_status(ends, 'SHUTOFF')
        self.assertEqual(['Exit code 137: killed by SIGKILL'], self.exits(ends))
        self.assertEqual(pids[stays.id], self.process(stays))
        self.ping(witness, address)
        self.wait_status(stays, 'ACTIVE')
        self.assertEqual([], self.exits(stays))
        # Events come again, and the engine serves.
        self.end(witness)
        self.wait_status(witness, 'SHUTOFF')
        self.demo.compute.start_server(ends.id)
        self.wait_status(ends, 'ACTIVE')
        self.ping(ends, address)
        self.ping(self.boot(), address)

    def test_servers_that_end_with_their_engine_can_be_started(self) -> None:
        before = self.traces()
        servers = self.boot_all(2)
        self.kill(ENGINE)
        with self.without_live_restore():
            self.start(ENGINE)
            for server in servers:
                self.wait_status(server, 'SHUTOFF')
                # The engine asks them to end when it finds them.
                self.assertThat(self.exits(server), matchers.HasLength(1))
            for server in servers:
                self.demo.compute.start_server(server.id)
                self.wait_status(server, 'ACTIVE')
        self.ping(servers[0], self.address(servers[1]))
        self.ping(servers[1], self.address(servers[0], 6))
        for server in servers:
            self.delete(server)
        self.assertEqual(set(), self.traces() - before)

    def test_nothing_is_half_done_while_the_engine_is_away(self) -> None:
        server, doomed = self.boot_all(2)
        pid, address = self.process(server), self.address(server)
        self.kill(ENGINE)
        self.eventually(lambda: self.compute_service().status == 'disabled', 'it is disabled')
        reason = self.compute_service().disabled_reason
        self.assertIn('AUTO: ', reason)
        self.assertIn('no engine answers at unix://', reason)
        self.assertIn('No valid host', self.fault_of())
        # What is asked of a server fails, and the server is as it was.
        self.demo.compute.stop_server(server.id)
        self.eventually(lambda: self.failed(server, 'stop'), 'the stop has failed')
        self.wait_status(server, 'ACTIVE')
        self.ping_from(pid, address)
        self.demo.compute.delete_server(doomed.id)
        self.eventually(lambda: self.failed(doomed, 'delete'), 'the deletion has failed')
        # nova-compute waits for its engine.
        self.kill(COMPUTE)
        self.start(COMPUTE, wait=False)
        self.start(ENGINE, COMPUTE)
        self.eventually(lambda: self.compute_service().status == 'enabled', 'it is enabled')
        self.assertEqual(pid, self.process(server))
        self.delete(doomed)
        self.ping(self.boot(), address)

    def test_an_engine_that_dies_while_servers_are_made(self) -> None:
        before = self.traces()
        servers = [self.request() for _ in range(4)]
        self.eventually(lambda: bool(self.traces() - before), 'the first of them is being made')
        self.kill(ENGINE)
        self.start(ENGINE)
        for server in self.settled(servers):
            if server.status == 'ERROR':
                self.assertNotEqual('', server.fault['message'])
        servers.append(self.boot())
        for server in servers:
            self.delete(server)
        # What could not be removed while the engine was away, nova-compute finds. But roots that
        # Docker had mounted to make a container when it was killed it leaves mounted for good.
        self.nothing_left(before, ignore=r'mount \S+/overlay2/[0-9a-f]+(-init)?/merged ')
