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

"""The compute host loses its power."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal

from zun_nova.tests.functional.faults import base

# isort: split
from zun_cloud import leftovers

#: Programs that outlive the services that started them.
BESIDE = ('/usr/bin/containerd-shim', 'haproxy')


def mounts_of(traces: set[str]) -> set[str]:
    """What the engine has mounted for servers."""
    return {trace for trace in traces if trace.startswith('mount ') and '/docker/' in trace}


class HostTest(base.FaultsTest):

    def test_servers_come_back_with_their_host(self) -> None:
        before = self.traces()
        servers = self.boot_all(3)
        whole = self.traces()
        pids = {self.process(server) for server in servers}
        off = servers.pop()
        self.demo.compute.stop_server(off.id)
        self.wait_status(off, 'SHUTOFF')
        self.cut_power()
        self.mend()
        for server in servers:
            # Nova itself does not say that it has begun to start them.
            self.eventually(lambda s=server: self.process(s) not in {0, *pids}, 'it runs again')
            self.wait_status(server, 'ACTIVE')
        self.assertEqual('SHUTOFF', self.wait_status(off, 'SHUTOFF').status)
        self.demo.compute.start_server(off.id)
        self.wait_status(off, 'ACTIVE')
        for one, other in ((servers[0], servers[1]), (servers[1], off)):
            for version in (4, 6):
                self.ping(one, self.address(other, version))
        again = self.traces()
        for server in [*servers, off]:
            self.delete(server)
        after = self.traces()
        # The mounts of other servers have other names now, and there may be more of them: a
        # stopped server gets its network again when nova-compute starts.
        self.assertEqual(set(), {trace for trace in after - before
                                 if not trace.startswith('mount ')})
        self.assertEqual(len(mounts_of(whole - before)), len(mounts_of(again - after)))

    def cut_power(self) -> None:
        """End everything on the machine that a boot would start anew; disks stay."""
        # nova-compute is among them, and does not see what happens to its servers.
        self.kill(*(name for name in self.manager.processes() if name.endswith('-1')))
        self.eventually(self.end_processes, 'all processes of the host are gone')
        for path in self.mounts():
            self.compute.run('umount', '--lazy', path)
        for item in leftovers.namespaces(self.settings):
            self.compute.run('ip', 'netns', 'delete', item.name)
        for name in ('docker', 'containerd', 'ovs'):
            shutil.rmtree(self.settings.run / '1' / name)
        # Without a process or a mount that holds a server's namespace its interfaces are gone.
        self.eventually(lambda: not self.taps(), 'all interfaces of servers are gone')

    def end_processes(self) -> bool:
        """Kill what runs in containers and beside services; whether there was none left."""
        inside = leftovers.container_processes(self.settings)
        found = [int(item.name) for item in leftovers.processes(self.settings)
                 if item.name in inside or item.detail.startswith(BESIDE)]
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not found

    def mounts(self) -> list[str]:
        mountinfo = pathlib.Path('/proc/self/mountinfo').read_text()
        return [item.name for item in leftovers.mounts(self.settings, mountinfo)]

    def taps(self) -> list[str]:
        """Interfaces of servers on the machine."""
        names = self.compute.run('ip', '-brief', 'link', 'show', 'type', 'veth').split('\n')
        return [name for name in names if name.startswith('tap')]
