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

import os
import signal

from zun_nova.tests.functional.faults import base

ENGINE = 'dockerd-1'


class EngineTest(base.FaultsTest):

    def test_servers_outlive_their_engine(self) -> None:
        stays, ends, witness = self.boot(), self.boot(), self.boot()
        pids = {server.id: self.process(server) for server in (stays, ends, witness)}
        address = self.address(stays)
        ping = ('nsenter', f'--net=/proc/{pids[witness.id]}/ns/net', 'ping', '-c', '2', '-W', '2')
        self.kill(ENGINE)
        self.compute.run(*ping, address)
        # Its end nobody sees but the process that containerd has beside each container.
        os.kill(pids[ends.id], signal.SIGKILL)
        self.start(ENGINE)
        self.wait_status(ends, 'SHUTOFF')
        self.assertEqual(['Exit code 137: killed by SIGKILL'], self.exits(ends))
        self.assertEqual(pids[stays.id], self.process(stays))
        self.compute.run(*ping, address)
        self.wait_status(stays, 'ACTIVE')
        self.assertEqual([], self.exits(stays))
        # Events come again, and the engine serves.
        self.end(witness)
        self.wait_status(witness, 'SHUTOFF')
        self.demo.compute.start_server(ends.id)
        self.wait_status(ends, 'ACTIVE')
        self.ping(ends, address)
        self.ping(self.boot(), address)
