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


class MovesTest(test_two_hosts.TwoHostsTest, test_resize.ResizeCase):

    def other(self, server: Any) -> str:
        """The name of a host on which the server is not."""
        here = self.host_of(server).name
        return next(name for name in self.hosts if name != here)

    def migrate(self, server: Any, to: str | None = None) -> Any:
        self.admin.compute.migrate_server(server, host=to)
        return self.wait_status(server, 'VERIFY_RESIZE')
