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

"""nova-compute is killed between any two steps of a resize and of a migration.

Each step of leaving, arriving, confirming and reverting, on one host and
between two, each with an engine, a switch and a network of its own.
"""

from __future__ import annotations

from collections.abc import Callable
import io
import itertools
import pathlib
import tarfile
import time
from typing import Any

from zun_nova.tests.functional import engine
from zun_nova.tests.functional.faults import killed
from zun_nova.tests.functional.faults import killed_moves
from zun_nova.tests.functional.faults import test_killed
from zun_nova.tests.functional.vif import hosts
from zun_nova.virt import layers
from zun_nova.virt import received
from zun_nova.virt import rescue_root

SOURCE, DEST = killed.HOST, killed_moves.DEST
DATA = b'what its owner has written'


class MovesCase(test_killed.KilledCase):
    """A test of servers that get another container."""

    module = killed_moves.__name__
    moves = False

    def setUp(self) -> None:
        super().setUp()
        self.programs = {SOURCE: self.program}
        self.clients = {SOURCE: self.client}
        self.networks = {SOURCE: self.host}
        self.engines = {SOURCE: self.engine}
        self.numbers = itertools.count(1)
        for name in (received.DIRECTORY, f'zun_nova/{rescue_root.DIRECTORY}/{DEST}'):
            (self.instances / name).mkdir(parents=True, exist_ok=True)

    def do(self, command: str, server: dict[str, Any], **more: Any) -> dict[str, Any]:
        self.program = self.programs[server['host']]
        return super().do(command, server, **more)

    def new_server(self) -> dict[str, Any]:
        """A server whose owner has written a file."""
        server = super().new_server() | {'host': SOURCE, 'moves': self.moves}
        self.done('spawn', server)
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode='w') as archive:
            member = tarfile.TarInfo('written')
            member.size = len(DATA)
            archive.addfile(member, io.BytesIO(DATA))
        self.client.put_archive(f'nova-{server["uuid"]}', '/', data.getvalue())
        return server

    def left(self, server: dict[str, Any]) -> dict[str, Any]:
        """The same once it has left, for where it arrives."""
        server = self.numbered(server)
        answer = self.do('leave', server)
        self.assertEqual(0, answer['end'])
        return server | {'told': answer['told'], 'host': DEST if self.moves else SOURCE}

    def numbered(self, server: dict[str, Any]) -> dict[str, Any]:
        return server | {'number': next(self.numbers)}

    def moved(self, server: dict[str, Any]) -> dict[str, Any]:
        """The same once it has arrived."""
        server = self.left(server)
        self.done('arrive', server)
        return server

    def each_step(self, least: int, prepare: Callable[[], dict[str, Any]], command: str,
                  then: Callable[[dict[str, Any], Any], None]) -> None:
        """Kill at each step of the command, with a server that is prepared each time."""
        for number in itertools.count(1):
            server = prepare()
            answer = self.do(command, server, kill_at=number)
            then(server, answer)
            if answer['end'] != test_killed.KILLED:
                break
        self.assertEqual(0, answer['end'], answer)
        self.assertGreater(number, least, answer)

    def until(self, happened: Callable[[], bool], command: str, server: dict[str, Any],
              what: Any) -> None:
        """Have new drivers do it until it is so, for the engine may still be at work."""
        deadline = time.monotonic() + test_killed.TIMEOUT
        while self.do(command, server)['end'] or not happened():
            self.assertLess(time.monotonic(), deadline, f'{command} after {what}')
            time.sleep(0.2)

    def info(self, server: dict[str, Any]) -> dict[str, Any]:
        return self.clients[server['host']].inspect_container(f'nova-{server["uuid"]}')

    def runs(self, server: dict[str, Any], memory_mb: int) -> bool:
        info = self.info(server)
        return info['State']['Running'] and info['HostConfig']['Memory'] == memory_mb * 1024 ** 2

    def assert_whole(self, server: dict[str, Any], what: Any) -> None:
        """It has its data, its port and one container."""
        name = f'nova-{server["uuid"]}'
        pieces, _ = self.clients[server['host']].get_archive(name, '/written')
        with tarfile.open(fileobj=io.BytesIO(b''.join(pieces))) as archive:
            self.assertEqual(DATA, archive.extractfile('written').read(), what)
        self.assertEqual({name, f'{name}-net'}, self.names(server['host']), what)
        self.assertEqual([f'tap{server["port"][:11]}'], self.networks[server['host']].ports())

    def names(self, host: str) -> set[str]:
        return {name[1:] for row in self.clients[host].containers(all=True)
                for name in row['Names']}

    def traces(self) -> dict[str, set[str]]:
        """All that servers consist of on all hosts."""
        found: dict[str, set[str]] = {
            'file': {str(path) for path in self.instances.rglob('*')}}
        mounts = pathlib.Path('/proc/self/mountinfo').read_text().splitlines()
        for host, client in self.clients.items():
            found |= {
                f'containers of {host}': self.names(host),
                f'layers of {host}': {
                    tag for row in client.images(layers.REPOSITORY) for tag in row['RepoTags']},
                f'ports of {host}': set(self.networks[host].ports()),
                f'links of {host}': self.links(host),
                f'mounts of {host}': {line.split()[4] for line in mounts if str(
                    self.engines[host].data.parent) in line}}
        return found

    def links(self, host: str) -> set[str]:
        lines = self.networks[host].output('ip', '-br', 'link').splitlines()
        return {line.split()[0].partition('@')[0] for line in lines}

    def assert_nothing_left(self, server: dict[str, Any], before: dict[str, set[str]]) -> None:
        """Once it is deleted."""
        self.done('destroy', server)
        deadline = time.monotonic() + test_killed.TIMEOUT
        while (after := self.traces()) != before:
            if time.monotonic() > deadline:
                self.assertEqual(before, after)
            for host in self.programs:
                self.done('recover', server | {'host': host}, record='deleted')


class TestOneHost(MovesCase):

    def test_leaving(self) -> None:
        """It is put back."""
        before = self.traces()
        server = self.new_server()
        own = self.info(server)['Id']

        def then(leaving: dict[str, Any], what: Any) -> None:
            self.until(lambda: self.runs(server, killed_moves.MEMORY_MB),
                       'put_back', leaving, what)
            self.assertEqual(own, self.info(server)['Id'], what)
            self.assert_whole(server, what)

        self.each_step(5, lambda: self.numbered(server), 'leave', then)
        self.assert_nothing_left(server, before)

    def test_arriving(self) -> None:
        """Its owner reboots it."""
        before = self.traces()
        server = self.new_server()

        def then(arriving: dict[str, Any], what: Any) -> None:
            if what['end'] == test_killed.KILLED:
                self.until(lambda: self.runs(server, killed_moves.NEW_MEMORY_MB),
                           'reboot_arriving', arriving, what)
            else:
                self.done('confirm', arriving)
            self.assert_whole(server, what)

        self.each_step(6, lambda: self.left(server), 'arrive', then)
        self.assert_nothing_left(server, before)

    def test_confirming(self) -> None:
        before = self.traces()
        server = self.new_server()

        def then(confirming: dict[str, Any], what: Any) -> None:
            self.done('confirm', confirming)
            self.assert_whole(server, what)

        self.each_step(2, lambda: self.moved(server), 'confirm', then)
        self.assert_nothing_left(server, before)

    def test_reverting(self) -> None:
        before = self.traces()
        server = self.new_server()
        own = self.info(server)['Id']

        def then(reverting: dict[str, Any], what: Any) -> None:
            if what['end'] == test_killed.KILLED:
                self.until(lambda: self.runs(server, killed_moves.MEMORY_MB),
                           'reboot_returning', reverting, what)
            self.assertEqual(own, self.info(server)['Id'], what)
            self.assert_whole(server, what)

        self.each_step(5, lambda: self.moved(server), 'revert_here', then)
        self.assert_nothing_left(server, before)


class TestTwoHosts(MovesCase):

    moves = True

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.other_engine = engine.for_class(cls)

    def setUp(self) -> None:
        super().setUp()
        self.networks[DEST] = hosts.Host()
        self.networks[DEST].setUp()
        self.addCleanup(self.networks[DEST].cleanUp)
        self.engines[DEST] = self.other_engine
        self.addCleanup(self.other_engine.clean)
        self.clients[DEST] = self.other_engine.client()
        self.programs[DEST] = self.start(self.other_engine)

    def test_leaving(self) -> None:
        """It is put back."""
        before = self.traces()
        server = self.new_server()
        own = self.info(server)['Id']

        def then(leaving: dict[str, Any], what: Any) -> None:
            self.until(lambda: self.runs(server, killed_moves.MEMORY_MB),
                       'put_back', leaving, what)
            self.assertEqual(own, self.info(server)['Id'], what)
            self.assert_whole(server, what)
            self.assertEqual([], list((self.instances / received.DIRECTORY).iterdir()), what)

        self.each_step(10, lambda: self.numbered(server), 'leave', then)
        self.assert_nothing_left(server, before)

    def test_arriving(self) -> None:
        """Its owner reboots it, on the host to which it was to come."""
        before = self.traces()

        def then(arriving: dict[str, Any], what: Any) -> None:
            if what['end'] == test_killed.KILLED:
                self.until(lambda: self.runs(arriving, killed_moves.NEW_MEMORY_MB),
                           'reboot_arriving', arriving, what)
            self.assert_whole(arriving, what)
            self.done('confirm', arriving | {'host': SOURCE})
            self.assertEqual(set(), self.names(SOURCE))
            self.assert_nothing_left(arriving, before)

        self.each_step(15, lambda: self.left(self.new_server()), 'arrive', then)

    def test_confirming(self) -> None:
        before = self.traces()

        def then(confirming: dict[str, Any], what: Any) -> None:
            self.done('confirm', confirming)
            moved = confirming | {'host': DEST}
            self.assert_whole(moved, what)
            self.assertEqual(set(), self.names(SOURCE))
            self.assert_nothing_left(moved, before)

        self.each_step(
            4, lambda: self.moved(self.new_server()) | {'host': SOURCE}, 'confirm', then)

    def test_reverting(self) -> None:
        """First where it is, then where it comes from."""
        before = self.traces()
        server = self.new_server()
        own = self.info(server)['Id']

        def sent_again(reverting: dict[str, Any], what: Any) -> None:
            self.done('revert', reverting)
            self.assertEqual(set(), self.names(DEST), what)
            self.done('finish_revert', reverting | {'host': SOURCE})
            self.assertEqual(own, self.info(server)['Id'], what)
            self.assert_whole(server, what)

        self.each_step(5, lambda: self.moved(server), 'revert', sent_again)

        def gone() -> dict[str, Any]:
            moved = self.moved(server)
            self.done('revert', moved)
            return moved | {'host': SOURCE}

        def rebooted(returning: dict[str, Any], what: Any) -> None:
            if what['end'] == test_killed.KILLED:
                self.until(lambda: self.runs(server, killed_moves.MEMORY_MB),
                           'reboot_returning', returning, what)
            self.assertEqual(own, self.info(server)['Id'], what)
            self.assert_whole(server, what)

        self.each_step(5, gone, 'finish_revert', rebooted)
        self.assert_nothing_left(server, before)
