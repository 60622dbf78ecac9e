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

"""Wiring through the real privsep daemons."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from typing import Any

import fixtures
from oslo_config import cfg

from zun_nova import errors
from zun_nova.tests.functional.vif import base
from zun_nova.vif import daemons
from zun_nova.vif import model
from zun_nova.vif import plug
from zun_nova.vif import privileged


class TestDaemon(base.WiringCase):
    daemon = True

    def setUp(self) -> None:
        helper = shutil.which('privsep-helper', path=os.path.dirname(sys.executable))
        if helper is None:
            self.skipTest('privsep-helper is not beside this Python')
        for context in daemons.CONTEXTS:
            cfg.CONF.set_override('helper_command', f'{helper}', group=context.cfg_section)
            self.addCleanup(cfg.CONF.clear_override, 'helper_command', group=context.cfg_section)
        # The helper imports this checkout.
        self.use(fixtures.EnvironmentVariable('PYTHONPATH', os.pathsep.join(sys.path)))
        super().setUp()

    def test_plug_and_unplug(self) -> None:
        before = (self.host.links(), self.host.ports())
        one, two = self.two_servers()
        self.assert_talk(one)
        plug.announce_all(one.network_info, one.netns.path)
        with self.assertRaisesRegex(errors.VifError, 'cannot make the veth'):
            plug.plug_all(one.instance, one.network_info, '/nowhere')
        one.plug()
        self.assert_talk(one)
        for server in (one, two):
            server.unplug()
        self.assertEqual(before, (self.host.links(), self.host.ports()))

    def test_started_beforehand(self) -> None:
        one = self.server(11)
        for _ in range(2):
            daemons.start().join()
            running = [context.channel for context in daemons.CONTEXTS]
            self.assertNotIn(None, running)
            one.plug()
            # The port found its daemons, and a second start finds them too.
            self.assertEqual(running, [context.channel for context in daemons.CONTEXTS])

    def test_daemon_does_not_leak(self) -> None:
        one, _two = self.two_servers()
        nic = model.nic(one.network_info[0]).to_wire()
        home = os.readlink('/proc/thread-self/ns/net')
        pid = _pid_of_daemon('zun_nova.vif.privileged.context', home)
        for _ in range(30):   # fills most of the daemon's thread pool
            privileged.configure(nic, one.netns.path)
        before = _files_and_threads(pid)
        for _ in range(100):
            privileged.is_wired(nic, one.netns.path)
            privileged.configure(nic, one.netns.path)
        # The daemon's thread pool still grows by a few; a leak would be one for each call.
        self._eventually(lambda: _files_and_threads(pid) - before < 50)
        # Each of its threads is still in the host's namespace.
        self._eventually(lambda: _namespaces(pid) == {home})

    def _eventually(self, check: Any) -> None:
        """A thread that has answered may take a moment to end."""
        deadline = time.monotonic() + 2
        while not check():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)


def _pid_of_daemon(context: str, namespace: str) -> int:
    """The privsep daemon of this context in this network namespace."""
    found = subprocess.check_output(['pgrep', '-f', f'privsep_context {context}'], text=True)
    pids = [int(p) for p in found.split()
            if os.readlink(f'/proc/{p}/ns/net') == namespace]
    assert len(pids) == 1, pids
    return pids[0]


def _files_and_threads(pid: int) -> int:
    return len(os.listdir(f'/proc/{pid}/fd')) + len(os.listdir(f'/proc/{pid}/task'))


def _namespaces(pid: int) -> set[str]:
    """Network namespaces its threads are in."""
    found = set()
    for task in os.listdir(f'/proc/{pid}/task'):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f'/proc/{pid}/task/{task}/ns/net'))
    return found
