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

"""The switch and what programs it die and come back."""

from __future__ import annotations

import subprocess
from typing import Any

from zun_nova.tests.functional.faults import base


class SwitchTest(base.FaultsTest):

    def pings(self, server: Any, address: str) -> bool:
        try:
            self.ping(server, address)
        except subprocess.CalledProcessError:
            return False
        return True

    def test_servers_keep_their_ports_when_the_switch_comes_back(self) -> None:
        one, other = self.boot_all(2)
        links = self.links(one)
        before = self.traces()
        self.kill('ovs-vswitchd-1', 'ovsdb-1')
        self.assertFalse(self.pings(one, self.address(other)))
        self.start('ovsdb-1', 'ovs-vswitchd-1')
        for version in (4, 6):
            self.eventually(lambda v=version: self.pings(one, self.address(other, v)),
                            'the first server reaches the second')
        # Nothing was made anew, and new servers come beside the old.
        self.assertEqual(links, self.links(one))
        self.assertEqual(set(), before - self.traces())
        late = self.boot()
        self.ping(late, self.address(one))
        self.delete(late)
        self.assertEqual(set(), self.traces() - before)


    def test_servers_keep_their_ports_when_their_controller_comes_back(self) -> None:
        one, other = self.boot_all(2)
        self.kill(self.controller)
        self.ping(one, self.address(other))
        late = self.request()
        self.start(self.controller)
        self.wait_status(late, 'ACTIVE')
        self.ping(one, self.address(other))
        self.ping(late, self.address(other))
