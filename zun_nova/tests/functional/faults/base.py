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

"""Kill services of the standalone cloud, and put it back in order."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import os
import signal
import subprocess
from typing import Any

from zun_nova.tests.functional.cloud import base
from zun_nova.tests.functional.cloud import networks

# isort: split
from zun_cloud import host_services  # found on the path that the tests of the cloud added
from zun_cloud import hosts
from zun_cloud import services
from zun_cloud import supervise

#: What a machine under load may take to start a service, or to see that one is away.
TIMEOUT = 180


class FaultsTest(networks.NetworkCase):
    """A test that breaks the machine, which is the cloud's first compute host.

    Whatever becomes of the test, all services run again before what it made is removed.
    """

    def setUp(self) -> None:
        super().setUp()
        self.manager = supervise.Manager(self.settings)
        self.compute = self.hosts['compute1']
        #: What programs the switch.
        self.controller = host_services.wires_ports(hosts.Host(self.settings, 1))
        self._broken = False

    def tearDown(self) -> None:
        # Runs before the cleanups, which need a whole cloud to delete servers.
        try:
            if self._broken:
                self.mend()
        finally:
            super().tearDown()

    # -- services, by the names that `cloud status` prints

    def pid(self, service: str) -> int:
        """The first process of a service that runs."""
        pid = self.manager.process(service).pid
        if pid is None:
            self.fail(f'{service} does not run')
        return pid

    def kill(self, *names: str) -> None:
        """SIGKILL these services, one after the other; they stay away."""
        self._broken = True
        for name in names:
            self.manager.kill(name)

    def stop(self, *names: str) -> None:
        """End these services as an operator would; they stay away."""
        self._broken = True
        self.manager.stop(*names)

    def start(self, *names: str, wait: bool = True) -> None:
        """Start these services, one after the other.

        :param wait: until each can be used.
        """
        for name in names:
            self.manager.start(name)
            if wait:
                self.manager.wait_ready(services.find(self.settings, name), TIMEOUT)

    def mend(self) -> None:
        """Have every service run and be well again."""
        subprocess.run([base.STANDALONE / 'cloud', 'up', '--no-server'], check=True,
                       capture_output=True, timeout=5 * TIMEOUT)
        self._broken = False

    # -- servers

    def boot_all(self, count: int) -> list[Any]:
        """So many servers at once, all ACTIVE."""
        return [self.wait_status(server, 'ACTIVE') for server in
                [self.request() for _ in range(count)]]

    def settled(self, servers: Iterable[Any], timeout: float = TIMEOUT) -> list[Any]:
        """The servers once each is ACTIVE or ERROR, and nothing is being done to it."""
        found = [self.admin.compute.get_server(server.id) for server in servers]
        self.eventually(lambda: self._is_settled(found), 'all servers are ACTIVE or ERROR',
                        timeout)
        return found

    def _is_settled(self, servers: list[Any]) -> bool:
        """Looks again at those that were not."""
        for place, server in enumerate(servers):
            if not _is_at_rest(server):
                servers[place] = self.admin.compute.get_server(server.id)
        return all(_is_at_rest(server) for server in servers)

    def compute_service(self) -> Any:
        """nova-compute of the machine, as ``openstack compute service list`` shows it."""
        return next(iter(self.admin.compute.services(
            binary='nova-compute', host=self.compute.name)))

    def process(self, server: Any) -> int:
        """The pid of the server's first process."""
        return int(self.container(server)['State']['Pid'])

    def end(self, server: Any) -> None:
        """Kill the server's process behind the engine's back."""
        os.kill(self.process(server), signal.SIGKILL)

    def exits(self, server: Any) -> list[str]:
        """Why its process ended, each time: what ``openstack server event list --long`` shows."""
        actions = self.demo.compute.server_actions(server.id)
        return [action.message for action in actions if action.action == 'exit']

    # -- waiting

    def eventually(self, happened: Callable[[], bool], what: str,
                   timeout: float = TIMEOUT) -> None:
        super().eventually(happened, what, timeout)


def _is_at_rest(server: Any) -> bool:
    return server.status in ('ACTIVE', 'ERROR') and not server.task_state
