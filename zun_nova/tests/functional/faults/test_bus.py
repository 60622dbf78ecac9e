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

"""The message bus restarts while servers are made."""

from __future__ import annotations

from typing import Any

from zun_nova.tests.functional.faults import base

STORM = 20


class BusTest(base.FaultsTest):

    def test_no_server_is_stuck_when_the_bus_restarts_in_a_boot_storm(self) -> None:
        self.make_room()
        before = self.traces()
        servers = [self.request() for _ in range(STORM)]
        self.eventually(lambda: self.count(servers, 'ACTIVE') > 0, 'the first of them runs')
        self.stop('rabbitmq')
        self.start('rabbitmq')
        states = [server.status for server in self.settled(servers, STORM * 30)]
        # What Nova had under way may fail, but the storm goes on.
        self.assertIn('ACTIVE', states)
        servers.append(self.boot())
        for server in servers:
            self.demo.compute.delete_server(server.id)
        for server in servers:
            self.delete(server)
        self.assertEqual(set(), self.traces() - before)

    def make_room(self) -> None:
        """Let the project have that many servers; the host has its allocation ratio."""
        project = self.demo.current_project_id
        self.addCleanup(self.admin.compute.revert_quota_set, project)
        self.admin.compute.update_quota_set(project, instances=-1, cores=-1)

    def count(self, servers: list[Any], status: str) -> int:
        ids = {server.id for server in servers}
        return sum(server.status == status and server.id in ids
                   for server in self.demo.compute.servers())
