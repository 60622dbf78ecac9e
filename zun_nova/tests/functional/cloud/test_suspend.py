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

from __future__ import annotations

from typing import Any

from zun_nova.tests.functional.cloud import base
from zun_nova.virt import suspend


class SuspendTest(base.CloudTest):

    def test_refused_and_nothing_has_changed(self) -> None:
        server = self.boot()
        before = self.container(server)['State']
        self.demo.compute.suspend_server(server)
        self.eventually(lambda: suspend.REASON in self.told(server), 'its owner is told')
        self.wait_status(server, 'ACTIVE')
        after = self.container(server)['State']
        self.assertEqual(('running', before['Pid']), (after['Status'], after['Pid']))

    def told(self, server: Any) -> list[str | None]:
        """The messages of the server's actions."""
        return [action.message for action in self.demo.compute.server_actions(server)]
