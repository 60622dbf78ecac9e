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

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import testtools

from zun_nova.virt.runtime import sessions


class KillTest(testtools.TestCase):
    """Real processes; their control group is the test's own."""

    def setUp(self):
        super().setUp()
        self.group = pathlib.Path('/proc/self/cgroup').read_text().splitlines()[0]
        # The leader waits for a child that heeds nothing but KILL.
        self.leader = subprocess.Popen(
            ['sh', '-c', 'trap "" TERM HUP; sleep 3600 & echo $!; wait'],
            start_new_session=True, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self._end)
        self.child = int(self.leader.stdout.readline())

    def _end(self):
        for pid in (self.leader.pid, self.child):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.leader.stdout.close()
        self.leader.wait()

    def test_all_of_the_session(self):
        sessions.kill(self.leader.pid, self.group)
        # Killed, or it ended first because its child was.
        self.assertIn(self.leader.wait(60), (-signal.SIGKILL, 0))
        self._assert_ends(self.child)
        self.assertEqual(0, sessions.kill(self.leader.pid, self.group))

    def test_children_whose_leader_is_gone(self):
        self.leader.kill()
        self.leader.wait(60)
        sessions.kill(self.leader.pid, self.group)
        self._assert_ends(self.child)

    def test_who_is_in_it_without_leading_it(self):
        """As crun makes them."""
        sessions.kill(self.child, self.group)
        self._assert_ends(self.leader.pid)
        self._assert_ends(self.child)

    def test_nothing_of_another_container(self):
        self.assertEqual(0, sessions.kill(self.leader.pid, 'f' * 64))
        self.assertIsNone(self.leader.poll())
        self.assertTrue(self._lives(self.child))

    def _assert_ends(self, pid):
        """Killed, it still lives until the kernel has had a processor for its end."""
        deadline = time.monotonic() + 60
        while self._lives(pid):
            self.assertLess(time.monotonic(), deadline, f'{pid} lives on')
            time.sleep(0.01)

    @staticmethod
    def _lives(pid):
        try:
            state = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
            return state != 'Z'
        except OSError:
            return False
