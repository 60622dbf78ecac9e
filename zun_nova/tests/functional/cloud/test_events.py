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

"""What servers do by themselves, as their owners see it."""

from __future__ import annotations

import pathlib
from typing import Any

from nova.compute import power_state

from zun_nova.tests.functional.cloud import base

#: Ends as the file says, when it appears.
OBEDIENT = """
echo ready
while ! [ -e /end ]; do sleep 0.05; done
code=$(cat /end)
rm /end
exit "$code"
"""

GREEDY = """
echo ready
while ! [ -e /end ]; do sleep 0.05; done
exec dd if=/dev/zero of=/dev/null bs=200M count=1
"""


class EventsTest(base.CloudTest):

    def exits(self, server: Any) -> list[str]:
        """Why its process ended, each time: what ``openstack server event list --long`` shows."""
        actions = self.demo.compute.server_actions(server.id)
        return [action.message for action in actions if action.action == 'exit']

    def tell(self, server: Any, code: int) -> None:
        """Make the process of an OBEDIENT or GREEDY server end."""
        self.console_with(server, 'ready')
        pid = self.container(server)['State']['Pid']
        end = pathlib.Path(f'/proc/{pid}/root/end')
        # At once whole: the process looks for it all the time.
        written = end.with_name('end.new')
        written.write_text(str(code))
        written.rename(end)

    def test_an_end_of_its_own_is_seen_with_its_reason(self) -> None:
        server = self.boot(self.image(OBEDIENT))
        self.tell(server, 3)
        server = self.wait_status(server, 'SHUTOFF')
        self.assertEqual(power_state.SHUTDOWN, server.power_state)
        self.assertEqual(['Exit code 3: error'], self.exits(server))
        # Its network is as it was, and it can be started again.
        self.demo.compute.start_server(server.id)
        self.wait_status(server, 'ACTIVE')

    def test_out_of_memory_is_told_apart(self) -> None:
        server = self.boot(self.image(GREEDY))
        self.tell(server, 0)
        self.wait_status(server, 'SHUTOFF')
        self.assertIn('Exit code 137: out of memory', self.exits(server)[0])

    def test_a_command_that_ends_at_once(self) -> None:
        server = self.boot(self.image('exit 0'), status='SHUTOFF')
        self.assertEqual(['Exit code 0: completed'], self.exits(server))

    def test_what_its_owner_does_is_no_exit(self) -> None:
        server = self.boot(self.image(OBEDIENT, properties={'os_shutdown_timeout': '1'}))
        self.demo.compute.reboot_server(server.id, 'HARD')
        self.wait_status(server, 'ACTIVE')
        self.demo.compute.stop_server(server.id)
        self.wait_status(server, 'SHUTOFF')
        self.assertEqual([], self.exits(server))

    def test_pause_by_the_operator_is_seen(self) -> None:
        server = self.boot()
        engine, name = self.host_of(server).engine, f'nova-{server.id}'
        engine.pause(name)
        self.eventually(lambda: self.power_state(server) == power_state.PAUSED, 'it is paused')
        engine.unpause(name)
        self.eventually(lambda: self.power_state(server) == power_state.RUNNING, 'it runs')

    def power_state(self, server: Any) -> int:
        return int(self.admin.compute.get_server(server.id).power_state)
