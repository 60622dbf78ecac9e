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

"""Servers' ports wired to a real Open vSwitch."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from typing import Any
import unittest

import fixtures
from oslo_config import cfg
from vif_plug_ovs import privsep as ovs_privsep

from zun_nova import errors
from zun_nova import vif
from zun_nova.tests.functional.vif import hosts
from zun_nova.tests.unit.vif import fakes
from zun_nova.vif import model
from zun_nova.vif import plug
from zun_nova.vif import privileged

SKIP = hosts.missing()


class Server:
    """A namespace and a port or more in it."""

    def __init__(self, netns: hosts.Namespace, *network_info: Any) -> None:
        self.netns = netns
        self.instance = hosts.Instance()
        self.network_info = list(network_info)

    def plug(self) -> None:
        vif.plug_all(self.instance, self.network_info, self.netns.path)

    def unplug(self) -> None:
        vif.unplug_all(self.instance, self.network_info)

    def links(self) -> dict[str, Any]:
        return {row['ifname']: row for row in self._json('link')}

    def addresses(self, name: str = 'eth0') -> list[str]:
        rows = self._json('addr', 'show', name)[0]['addr_info']
        return [f'{r["local"]}/{r["prefixlen"]}' for r in rows if r['scope'] == 'global']

    def routes(self, version: str = '-4') -> set[tuple[Any, ...]]:
        return {(r['dst'], r.get('gateway'), r['dev'], r.get('metric'))
                for r in self._json(version, 'route') if r['protocol'] == '110'}

    def _json(self, *arguments: str) -> Any:
        return json.loads(self.netns.output('ip', '-j', '-d', *arguments))


class WiringCase(unittest.TestCase):

    daemon = False

    def setUp(self) -> None:
        super().setUp()
        if SKIP:
            self.skipTest(SKIP)
        self.host = self.use(hosts.Host(daemon=self.daemon))

    def use(self, fixture: Any) -> Any:
        fixture.setUp()
        self.addCleanup(fixture.cleanUp)
        return fixture

    def server(self, number: int, *more: Any, **fields: Any) -> Server:
        """A server with one port 10.7.0.N, fd07::N, and more ports."""
        port = fakes.vif(
            fakes.subnet('10.7.0.0/24', f'10.7.0.{number}', gateway='10.7.0.1'),
            fakes.subnet('fd07::/64', f'fd07::{number}', gateway='fd07::1'),
            port_id=hosts.new_id(), mac=f'fa:16:3e:00:00:{number:02x}', **fields)
        return Server(self.use(hosts.Namespace()), port, *more)

    def two_servers(self) -> tuple[Server, Server]:
        one, two = self.server(11), self.server(12)
        one.plug()
        two.plug()
        return one, two

    def assert_talk(self, one: Server, number: int = 12) -> None:
        for address in (f'10.7.0.{number}', f'fd07::{number}'):
            self.assertTrue(one.netns.ping(address), address)


class TestWiring(WiringCase):

    def test_two_servers_reach_each_other(self) -> None:
        one, _two = self.two_servers()
        self.assert_talk(one)
        # A full frame passes, a larger one does not.
        self.assertTrue(one.netns.ping('10.7.0.12', '-s', '1414', '-M', 'do'))
        self.assertFalse(one.netns.ping('10.7.0.12', '-s', '1415', '-M', 'do'))

    def test_address_is_usable_at_once(self) -> None:
        one, _two = self.two_servers()
        for address in ('fd07::11', '10.7.0.11', '::1', '127.0.0.1'):
            self.assertTrue(one.netns.ping(address), address)
        self.assertNotIn('tentative', one.netns.output('ip', 'addr'))

    def test_unprivileged_ping(self) -> None:
        one, _two = self.two_servers()
        ping = one.netns.run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                             '--bounding-set=-all', '--no-new-privs',
                             sys.executable, '-c', _PING, '10.7.0.12')
        self.assertEqual(0, ping.returncode, ping.stderr)

    def test_link_is_what_the_port_says(self) -> None:
        one = self.server(11)
        one.plug()
        eth0 = one.links()['eth0']
        self.assertEqual(['lo', 'eth0'], list(one.links()))
        self.assertEqual(('fa:16:3e:00:00:0b', 1442), (eth0['address'], eth0['mtu']))
        self.assertIn('UP', eth0['flags'])
        self.assertEqual(['10.7.0.11/24', 'fd07::11/64'], one.addresses())
        self.assertEqual({('default', '10.7.0.1', 'eth0', 100)}, one.routes('-4'))
        self.assertEqual({('default', 'fd07::1', 'eth0', 100)}, one.routes('-6'))

    def test_host_end(self) -> None:
        one = self.server(11)
        one.plug()
        port_id = one.network_info[0]['id']
        device = f'tap{port_id}'[:14]
        self.assertIn(device, self.host.links())
        self.assertEqual([device], self.host.ports())
        ids = self.host.vsctl('get', 'Interface', device, 'external_ids')
        self.assertIn(f'iface-id="{port_id}"', ids)
        shown = json.loads(subprocess.check_output(['ip', '-j', 'link', 'show', device]))[0]
        self.assertEqual((1442, f'zun-nova port {port_id}'), (shown['mtu'], shown['ifalias']))
        self.assertEqual('netdev', self.host.vsctl(
            'get', 'Bridge', hosts.BRIDGE, 'datapath_type').strip())

    def test_nothing_of_the_tenant_on_the_host(self) -> None:
        before = subprocess.check_output(['ip', 'route'])
        self.two_servers()
        self.assertEqual(before, subprocess.check_output(['ip', 'route']))
        self.assertNotIn(b'10.7.0.', subprocess.check_output(['ip', 'addr']))

    def test_ports_in_order(self) -> None:
        ports = [fakes.vif(fakes.subnet(f'10.{n}.0.0/24', f'10.{n}.0.5', gateway=f'10.{n}.0.1'),
                           port_id=hosts.new_id(), mac=f'fa:16:3e:00:01:{n:02x}')
                 for n in range(1, 4)]
        server = Server(self.use(hosts.Namespace()), *ports)
        server.plug()
        self.assertEqual(['lo', 'eth0', 'eth1', 'eth2'], list(server.links()))
        for n in range(1, 4):
            self.assertEqual([f'10.{n}.0.5/24'], server.addresses(f'eth{n - 1}'))
        self.assertEqual(
            {('default', f'10.{n}.0.1', f'eth{n - 1}', 99 + n) for n in range(1, 4)},
            server.routes())
        # One is taken away: the others keep their names, also when plugged again.
        vif.unplug_all(server.instance, ports[:1])
        server.network_info = ports[1:]
        server.plug()
        self.assertEqual(['lo', 'eth1', 'eth2'], list(server.links()))
        self.assertEqual(['10.2.0.5/24'], server.addresses('eth1'))

    def test_port_without_ipv6(self) -> None:
        port = fakes.vif(fakes.subnet('10.7.0.0/24', '10.7.0.9'), port_id=hosts.new_id(), mtu=None)
        server = Server(self.use(hosts.Namespace()), port)
        server.plug()
        eth0 = server.netns.output('ip', 'addr', 'show', 'eth0')
        self.assertNotIn('inet6', eth0)
        self.assertIn('mtu 1500', eth0)

    def test_special_routes(self) -> None:
        port = fakes.vif(
            fakes.subnet('10.7.0.0/24', '10.7.0.9', '10.7.0.10', gateway='172.16.0.1',
                         routes=(('192.0.2.0/24', '10.7.0.254'), ('198.51.100.0/24', '0.0.0.0'))),
            fakes.subnet('fd07::/64', 'fd07::9', gateway='fe80::1'), port_id=hosts.new_id())
        server = Server(self.use(hosts.Namespace()), port)
        server.plug()
        self.assertEqual(['10.7.0.9/24', '10.7.0.10/24', 'fd07::9/64'], server.addresses())
        self.assertEqual({('default', '172.16.0.1', 'eth0', 100),
                          ('192.0.2.0/24', '10.7.0.254', 'eth0', 100),
                          ('198.51.100.0/24', None, 'eth0', 100)}, server.routes())
        self.assertEqual({('default', 'fe80::1', 'eth0', 100)}, server.routes('-6'))

    def test_changed_port(self) -> None:
        server = self.server(11)
        server.plug()
        server.netns.output('ip', 'addr', 'add', '10.7.0.77/24', 'dev', 'eth0')
        server.netns.output('ip', 'route', 'add', '203.0.113.0/24', 'dev', 'eth0')
        subnets = server.network_info[0]['network']['subnets']
        subnets[0] = fakes.subnet('10.7.0.0/24', '10.7.0.21', gateway='10.7.0.2')
        subnets[1:] = []
        server.plug()
        # What a privileged server added itself is still there.
        self.assertEqual({'10.7.0.21/24', '10.7.0.77/24'}, set(server.addresses()))
        self.assertEqual({('default', '10.7.0.2', 'eth0', 100)}, server.routes())
        self.assertIn('203.0.113.0/24', server.netns.output('ip', 'route'))

    def test_announcement(self) -> None:
        one, two = self.two_servers()
        dump = subprocess.Popen(
            ['nsenter', f'--net={two.netns.path}', sys.executable, '-c', _CAPTURE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        dump.stdout.readline()
        vif.announce_all(one.network_info, one.netns.path)
        seen = dump.communicate(timeout=10)[0].split()
        nic = model.nic(one.network_info[0])
        self.assertEqual({frame.hex() for frame in privileged.announce.frames(nic)}, set(seen))


#: Pings its argument without a raw socket.
_PING = """
import socket, sys
ping = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
ping.settimeout(2)
ping.sendto(bytes([8, 0, 0, 0, 0, 0, 0, 1]), (sys.argv[1], 0))
ping.recv(100)
"""

#: Prints, in hex, the first two ARP requests or advertisements it receives.
_CAPTURE = """
import socket
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
raw.bind(('eth0', 3))
raw.settimeout(5)
print(flush=True)
found = 0
while found < 2:
    frame = raw.recv(2048)
    if frame[12:14] == b'\\x08\\x06' or frame[12:14] == b'\\x86\\xdd' and frame[54] == 136:
        print(frame.hex())
        found += 1
"""


class TestAgain(WiringCase):
    """Whatever was done before, plugging and unplugging end where they should."""

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
                with _KilledAfter(steps), self.assertRaises(_Killed):
                    one.plug()
                one.plug()
                self.assertEqual(['lo', 'eth0'], list(one.links()))
                self.assert_talk(one)
                with _KilledAfter(steps), self.assertRaises(_Killed):
                    one.unplug()
                    raise _Killed   # unplugging has fewer steps
                one.unplug()
                self.assertEqual(['lo'], list(one.links()))
        self.assertEqual(1, len(self.host.ports()))

    def test_no_such_namespace(self) -> None:
        before = (self.host.links(), self.host.ports())
        one = self.server(11)
        with self.assertRaisesRegex(errors.VifError, 'No such file'):
            vif.plug_all(one.instance, one.network_info, '/run/docker/netns/none')
        self.assertEqual(before, (self.host.links(), self.host.ports()))

    def test_nothing_is_leaked(self) -> None:
        one, _two = self.two_servers()
        one.unplug()
        files, threads = len(os.listdir('/proc/self/fd')), threading.active_count()
        home = os.readlink('/proc/thread-self/ns/net')
        for _ in range(10):
            one.plug()
            vif.announce_all(one.network_info, one.netns.path)
            one.unplug()
        self.assertEqual((files, threads),
                         (len(os.listdir('/proc/self/fd')), threading.active_count()))
        self.assertEqual(home, os.readlink('/proc/thread-self/ns/net'))

    def test_many_at_once(self) -> None:
        servers = [self.server(n) for n in range(30, 38)]
        failures = []

        def plug_one(server: Server) -> None:
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


class TestDaemon(WiringCase):
    """The same through the real privsep daemons."""

    daemon = True

    def setUp(self) -> None:
        helper = shutil.which('privsep-helper', path=os.path.dirname(sys.executable))
        if helper is None:
            self.skipTest('privsep-helper is not beside this Python')
        for context in (privileged.context, ovs_privsep.vif_plug):
            cfg.CONF.set_override('helper_command', f'{helper}', group=context.cfg_section)
            self.addCleanup(cfg.CONF.clear_override, 'helper_command', group=context.cfg_section)
        # The helper imports this checkout.
        self.use(fixtures.EnvironmentVariable('PYTHONPATH', os.pathsep.join(sys.path)))
        super().setUp()

    def test_plug_and_unplug(self) -> None:
        before = (self.host.links(), self.host.ports())
        one, two = self.two_servers()
        self.assert_talk(one)
        vif.announce_all(one.network_info, one.netns.path)
        with self.assertRaisesRegex(errors.VifError, 'cannot make the veth'):
            vif.plug_all(one.instance, one.network_info, '/nowhere')
        one.plug()
        self.assert_talk(one)
        for server in (one, two):
            server.unplug()
        self.assertEqual(before, (self.host.links(), self.host.ports()))

    def test_daemon_does_not_leak(self) -> None:
        one, _two = self.two_servers()
        nic = model.nic(one.network_info[0]).to_wire()
        home = os.readlink('/proc/thread-self/ns/net')
        pid = _pid_of_daemon('zun_nova.vif.privileged.context', home)
        for _ in range(30):   # fills the daemon's thread pool
            privileged.configure(nic, one.netns.path)
        before = _files_and_threads(pid)
        for _ in range(100):
            privileged.is_wired(nic, one.netns.path)
            privileged.configure(nic, one.netns.path)
        self._eventually(lambda: _files_and_threads(pid) <= before)
        # Each of its threads is still in the host's namespace.
        self._eventually(lambda: _namespaces(pid) == {home})

    def _eventually(self, check: Any) -> None:
        """A thread that has answered may take a moment to end."""
        deadline = time.monotonic() + 2
        while not check():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)


class _Killed(BaseException):
    """Stands for the end of the process."""


class _KilledAfter:
    """Lets as many of the privileged and os-vif calls happen, then kills."""

    NAMES = ('is_wired', 'create', 'configure', 'delete')

    def __init__(self, steps: int) -> None:
        self._left = steps

    def __enter__(self) -> None:
        self._saved = [(privileged, name, getattr(privileged, name)) for name in self.NAMES]
        self._saved += [(plug.os_vif, name, getattr(plug.os_vif, name))
                        for name in ('plug', 'unplug')]
        for owner, name, func in self._saved:
            setattr(owner, name, self._limited(func))

    def __exit__(self, *_exc: object) -> None:
        for owner, name, func in self._saved:
            setattr(owner, name, func)

    def _limited(self, func: Any) -> Any:
        def call(*args: Any) -> Any:
            if self._left == 0:
                raise _Killed
            self._left -= 1
            return func(*args)
        return call


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


def _pid_of_daemon(context: str, namespace: str) -> int:
    """The privsep daemon of this context in this network namespace."""
    found = subprocess.check_output(['pgrep', '-f', f'privsep_context {context}'], text=True)
    pids = [int(p) for p in found.split()
            if os.readlink(f'/proc/{p}/ns/net') == namespace]
    assert len(pids) == 1, pids
    return pids[0]


def _files_and_threads(pid: int) -> tuple[int, int]:
    return (len(os.listdir(f'/proc/{pid}/fd')), len(os.listdir(f'/proc/{pid}/task')))


def _namespaces(pid: int) -> set[str]:
    """Network namespaces its threads are in."""
    found = set()
    for task in os.listdir(f'/proc/{pid}/task'):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f'/proc/{pid}/task/{task}/ns/net'))
    return found
