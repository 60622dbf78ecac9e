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

"""Plugging and unplugging end where they should, whatever was before."""

from __future__ import annotations

import gc
import os
import subprocess
import threading
import time

from zun_nova import errors
from zun_nova.tests.functional.vif import base
from zun_nova.tests.functional.vif import hosts
from zun_nova.vif import plug


class TestAgain(base.WiringCase):
    def test_plug_twice_changes_nothing(self) -> None:
        one, _two = self.two_servers()

        def state() -> tuple[str, ...]:
            return (one.netns.output('ip', '-d', 'addr'), one.netns.output('ip', 'route'),
                    one.netns.output('ip', '-6', 'route'),
                    subprocess.check_output(['ip', '-br', 'link'], text=True),
                    self.host.vsctl('--columns=_uuid,ofport,name', 'list', 'Interface'))

        before = state()
        with _Monitor(one.netns) as monitor:
            one.plug()
        self.assertEqual([], monitor.lines)
        self.assertEqual(before, state())

    def test_plug_again_loses_no_packet(self) -> None:
        one, _two = self.two_servers()
        ping = subprocess.Popen(
            ['nsenter', f'--net={one.netns.path}', 'ping', '-i', '0.01', '-c', '100', '-q',
             '10.7.0.12'], stdout=subprocess.PIPE, text=True)
        for _ in range(5):
            one.plug()
        self.assertIn(' 0% packet loss', ping.communicate(timeout=30)[0])

    def test_unplug_leaves_nothing(self) -> None:
        before = (self.host.links(), self.host.ports())
        one, two = self.two_servers()
        one.unplug()
        two.unplug()
        self.assertEqual(before, (self.host.links(), self.host.ports()))
        self.assertEqual(['lo'], list(one.links()))
        one.unplug()
        self.assertEqual(before, (self.host.links(), self.host.ports()))

    def test_unplug_what_nova_has_forgotten(self) -> None:
        one, two = self.two_servers()
        before = (self.host.links(), self.host.ports())
        extra = self.server(13)
        two.network_info += extra.network_info
        two.plug()
        extra.instance = two.instance
        theirs = {port['id'] for port in two.network_info}
        self.assertEqual(theirs, {port.port_id for port in plug.unplug_rest(two.instance.uuid)})
        self.assertEqual([], plug.unplug_rest(two.instance.uuid))
        self.assertEqual(['lo'], list(two.links()))
        self.assertEqual(1, len(self.host.ports()))
        # Another's is there and works, and the switch has no memory of the old.
        two.network_info.pop()
        two.plug()
        self.assertEqual(before, (self.host.links(), self.host.ports()))
        self.assert_talk(one)

    def test_ports_that_are_not_named_as_ours_are(self) -> None:
        one, _two = self.two_servers()
        self.host.vsctl('add-port', hosts.BRIDGE, 'other', '--', 'set', 'interface', 'other',
                        'type=internal', f'external_ids:vm-uuid={one.instance.uuid}',
                        'external_ids:iface-id=3f2b1c9a-1d2e-4a5b-8c7d-0123456789ab')
        plug.unplug_rest(one.instance.uuid)
        self.assertIn('other', self.host.ports())

    def test_unplug_when_the_binding_was_lost(self) -> None:
        before = (self.host.links(), self.host.ports())
        one = self.server(11)
        one.plug()
        one.network_info[0].update(type='binding_failed', details={})
        for _ in range(2):
            one.unplug()
            self.assertEqual(before, (self.host.links(), self.host.ports()))

    def test_unplug_when_namespace_is_gone(self) -> None:
        before = (self.host.links(), self.host.ports())
        one = self.server(11)
        one.plug()
        one.netns.die()
        one.unplug()
        self.assertEqual(before, (self.host.links(), self.host.ports()))

    def test_link_deleted_behind_the_switch(self) -> None:
        one, _two = self.two_servers()
        subprocess.run(['ip', 'link', 'del', self.host.ports()[0]], check=True)
        one.plug()
        _two.plug()
        self.assert_talk(one)

    def test_namespace_replaced(self) -> None:
        one, _two = self.two_servers()
        old, one.netns = one.netns, self.use(hosts.Namespace())
        one.plug()
        self.assert_talk(one)
        self.assertEqual(['lo', 'eth0'], list(one.links()))
        self.assertNotIn('eth0', old.output('ip', '-br', 'link'))

    def test_namespace_died(self) -> None:
        one, _two = self.two_servers()
        old, one.netns = one.netns, self.use(hosts.Namespace())
        old.die()
        one.plug()
        self.assert_talk(one)

    def test_killed_after_any_step(self) -> None:
        two = self.server(12)
        two.plug()
        for steps in range(1, 5):
            with self.subTest(steps=steps):
                one = self.server(20 + steps)
                with base.KilledAfter(steps), self.assertRaises(base.Killed):
                    one.plug()
                one.plug()
                self.assertEqual(['lo', 'eth0'], list(one.links()))
                self.assert_talk(one)
                with base.KilledAfter(steps), self.assertRaises(base.Killed):
                    one.unplug()
                    raise base.Killed   # unplugging has fewer steps
                one.unplug()
                self.assertEqual(['lo'], list(one.links()))
        self.assertEqual(1, len(self.host.ports()))

    def test_prepared_before_the_namespace(self) -> None:
        two = self.server(12)
        two.plug()
        for steps in (0, 1, 2, 3, 4):
            with self.subTest(steps=steps):
                one = self.server(20 + steps)
                with base.KilledAfter(steps), self.assertRaises(base.Killed):
                    plug.prepare_all(one.instance, one.network_info)
                    raise base.Killed
                self.assertEqual(['lo'], list(one.links()))
                one.plug()
                self.assertEqual(['lo', 'eth0'], list(one.links()))
                self.assert_talk(one)
                one.unplug()
                self.assertEqual(['lo'], list(one.links()))
        self.assertEqual(1, len(self.host.ports()))

    def test_waiting_link_is_not_on_the_host(self) -> None:
        one = self.server(11)
        before = set(self.host.links())
        plug.prepare_all(one.instance, one.network_info)
        self.assertEqual({f'tap{one.network_info[0]["id"]}'[:14]},
                         set(self.host.links()) - before)
        one.unplug()
        self.assertEqual(before, set(self.host.links()))

    def test_no_such_namespace(self) -> None:
        before = (self.host.links(), self.host.ports())
        one = self.server(11)
        with self.assertRaisesRegex(errors.VifError, 'No such file'):
            plug.plug_all(one.instance, one.network_info, '/run/docker/netns/none')
        self.assertEqual(before, (self.host.links(), self.host.ports()))

    def test_nothing_is_leaked(self) -> None:
        one, _two = self.two_servers()
        one.unplug()
        files, threads = _open_files(), threading.active_count()
        home = os.readlink('/proc/thread-self/ns/net')
        rounds = 20
        for _ in range(rounds):
            one.plug()
            plug.announce_all(one.network_info, one.netns.path)
            one.unplug()
        # What is made once and kept is not leaked; a leak would be one in each round.
        self.assertLess(_open_files(), files + rounds)
        self.assertLess(threading.active_count(), threads + rounds)
        self.assertEqual(home, os.readlink('/proc/thread-self/ns/net'))

    def test_many_at_once(self) -> None:
        servers = [self.server(n) for n in range(30, 38)]
        failures = []

        def plug_one(server: base.Server) -> None:
            try:
                server.plug()
                server.plug()
            except errors.VifError as exc:
                failures.append(exc)

        threads = [threading.Thread(target=plug_one, args=(s,)) for s in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures)
        self.assert_talk(servers[0], 37)


def _open_files() -> int:
    gc.collect()   # what waits for it is no leak
    return len(os.listdir('/proc/self/fd'))


class _Monitor:
    """Collects what the kernel reports of changes in a namespace."""

    def __init__(self, netns: hosts.Namespace) -> None:
        self._path = netns.path
        self.lines: list[str] = []

    def __enter__(self) -> _Monitor:
        self._process = subprocess.Popen(
            ['nsenter', f'--net={self._path}', 'ip', 'monitor', 'link', 'address', 'route'],
            stdout=subprocess.PIPE, text=True)
        time.sleep(0.3)
        return self

    def __exit__(self, *_exc: object) -> None:
        time.sleep(0.3)
        self._process.terminate()
        self.lines = self._process.communicate()[0].splitlines()
