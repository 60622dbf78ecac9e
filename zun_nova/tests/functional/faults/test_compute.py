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

"""nova-compute dies, its host dies, and servers are deleted at the wrong moment.

What happens between any two steps of the driver, test_killed.py shows. Here
Nova is whole: a service that is frozen holds a server in the phase wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import pathlib
import re
import signal
from typing import Any
import uuid

import docker.errors

from zun_nova.tests.functional.faults import base
from zun_nova.virt import identity

COMPUTE = 'nova-compute-1'


class ComputeTest(base.FaultsTest):

    def setUp(self) -> None:
        super().setUp()
        self.log = pathlib.Path(self.settings.log_of(COMPUTE))
        self.log_began = self.log.stat().st_size
        self.before = self.traces()

    # -- holding things still

    @contextlib.contextmanager
    def frozen(self, service: str) -> Iterator[None]:
        """The service does nothing inside the block, and its clients wait."""
        pid = self.pid(service)
        os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):   # it was killed
                os.killpg(pid, signal.SIGCONT)

    def wiring(self) -> str:
        """The service without which Neutron does not say that a port is wired."""
        return 'neutron-ovs-agent-1' if self.settings.network == 'ovs' else 'ovn-controller-1'

    def begin(self, image: Any = None) -> Any:
        """Ask for a server and do not wait for it."""
        image = image or self.demo.image.find_image('busybox', ignore_missing=False)
        server = self.demo.compute.create_server(
            name=f'test-{uuid.uuid4().hex[:8]}', image_id=image.id,
            flavor_id=self.demo.compute.find_flavor('container.tiny').id,
            networks=[{'uuid': self.demo.network.find_network('private').id}])
        self.addCleanup(self.delete, server)
        return server

    def begin_and_hold_its_wiring(self, hold: contextlib.ExitStack) -> Any:
        """A server that waits for its port until the stack is closed."""
        hold.enter_context(self.frozen(self.wiring()))
        server = self.begin()
        self.eventually(lambda: self.has_container(server), 'its container is there')
        return server

    def begin_and_hold_its_download(self, hold: contextlib.ExitStack) -> Any:
        """A server whose image comes when the stack is closed."""
        image = self.image('sleep 1000')
        with self.frozen(COMPUTE):
            # The API looks at the image, and nobody else may before Glance is frozen.
            server = self.begin(image)
            hold.enter_context(self.frozen('glance'))
        self.logged(f'Loading image {image.id}')
        return server

    def logged(self, text: str) -> None:
        self.eventually(lambda: text in self.new_log(), f'nova-compute logs {text!r}')

    def new_log(self) -> str:
        with self.log.open(errors='replace') as log:
            if self.log.stat().st_size >= self.log_began:   # it was not rotated
                log.seek(self.log_began)
            return log.read()

    def has_container(self, server: Any) -> bool:
        try:
            self.compute.container(server.id)
        except docker.errors.NotFound:
            return False
        return True

    def gone(self, *servers: Any) -> None:
        for server in servers:
            self.eventually(lambda server=server: self.demo.compute.find_server(server.id) is None,
                            f'{server.id} is gone')

    def nothing_left(self) -> None:
        left: set[str] = set()

        def look() -> bool:
            left.clear()
            left.update(self.traces() - self.before)
            return not left

        with contextlib.suppress(AssertionError):
            self.eventually(look, 'nothing is left')
        self.assertEqual(set(), left)

    # -- tests

    def test_killed_while_it_makes_and_removes_servers(self) -> None:
        removed = self.boot()
        with contextlib.ExitStack() as hold:
            wired = self.begin_and_hold_its_wiring(hold)
            loading = self.begin_and_hold_its_download(hold)
            hold.enter_context(self.frozen('dockerd-1'))
            self.demo.compute.delete_server(removed.id)
            self.logged(f'[instance: {removed.id}] Terminating instance')
            self.kill(COMPUTE)
        self.start(COMPUTE)
        self.gone(removed)
        for server in (wired, loading):
            self.wait_status(server, 'ERROR')
            self.delete(server)
        self.nothing_left()

    def test_deleted_while_it_is_made(self) -> None:
        with contextlib.ExitStack() as hold:
            wired = self.begin_and_hold_its_wiring(hold)
            loading = self.begin_and_hold_its_download(hold)
            for server in (wired, loading):
                self.demo.compute.delete_server(server.id)
        self.gone(wired, loading)
        self.nothing_left()

    def test_host_boots(self) -> None:
        runs, stopped, deleted = self.boot(), self.boot(), self.boot()
        self.demo.compute.stop_server(stopped.id)
        self.wait_status(stopped, 'SHUTOFF')
        with self.host_is_off(runs, stopped, deleted):
            # Nova waits for no host that is said to be down.
            self.demo.compute.delete_server(deleted.id)
            self.gone(deleted)
        self.eventually(lambda: self.is_running(runs), 'it runs again')
        self.in_server(runs, 'ping', '-c', '1', '-w', '60', self.gateway(runs))
        self.wait_status(runs, 'ACTIVE')
        self.wait_status(stopped, 'SHUTOFF')
        self.assertFalse(self.is_running(stopped))
        self.eventually(lambda: not self.has_container(deleted),
                        'what was deleted meanwhile is gone')
        with self.option_off('resume_guests_state_on_host_boot'):
            with self.host_is_off(runs, stopped):
                pass
            self.wait_status(runs, 'SHUTOFF')
        for server in (runs, stopped):   # both can be had again
            self.demo.compute.start_server(server.id)
            self.wait_status(server, 'ACTIVE')
        self.in_server(stopped, 'ping', '-c', '1', '-w', '60', self.address(runs))
        for server in (runs, stopped):
            self.delete(server)
        self.nothing_left()

    # -- a host without power

    @contextlib.contextmanager
    def host_is_off(self, *servers: Any) -> Iterator[None]:
        """nova-compute is killed, and the servers have neither processes nor networks any more.

        The host's other servers run on, for they are not this test's.
        """
        service = next(iter(self.admin.compute.services(
            binary='nova-compute', host=self.compute.name)))
        self.kill(COMPUTE)
        self.admin.compute.update_service_forced_down(service)
        for server in servers:
            for row in self.compute.engine.containers(filters={
                    'label': f'{identity.LABEL_UUID}={server.id}'}):
                self.compute.engine.kill(row['Id'])
        yield
        self.admin.compute.update_service_forced_down(service, forced=False)
        self.start(COMPUTE)

    @contextlib.contextmanager
    def option_off(self, name: str) -> Iterator[None]:
        """In nova-compute's configuration, from its next start on."""
        path = pathlib.Path(self.settings.etc, self.compute.name, 'nova.conf')
        text = path.read_text()
        changed = re.sub(f'(?m)^{name} = true$', f'{name} = false', text)
        self.assertNotEqual(text, changed)
        path.write_text(changed)
        try:
            yield
        finally:
            path.write_text(text)

    def is_running(self, server: Any) -> bool:
        return bool(self.container(server)['State']['Running'])

    def gateway(self, server: Any) -> str:
        port = next(iter(self.demo.network.ports(device_id=server.id)))
        subnets = (self.demo.network.get_subnet(fixed['subnet_id']) for fixed in port.fixed_ips)
        return next(subnet.gateway_ip for subnet in subnets if subnet.ip_version == 4)
