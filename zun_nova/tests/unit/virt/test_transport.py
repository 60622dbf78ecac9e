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

"""The way to other hosts, with a program in place of ssh."""

from __future__ import annotations

import io
import os
import pathlib
import sys
from unittest import mock

import fixtures
from oslotest import base

from zun_nova import errors
from zun_nova import receive
from zun_nova.virt import frames
from zun_nova.virt import received
from zun_nova.virt import transport

NAME = '6d6a3a0e-6f0a-4f57-9d09-3d3a1a0f1c11-7'
LIMIT = 10 * 1024 ** 2
_EMPTY = b''.join(frames.written([]))
#: What an ssh server does with a forced command: the last word is what was asked for.
SSH = ('import os, sys; from zun_nova import receive; '
       'os.environ["SSH_ORIGINAL_COMMAND"] = sys.argv[-1]; '
       'sys.exit(receive.main(["--directory", sys.argv[1]]))')


class TransportCase(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'received')
        self.store = received.Store(self.directory)

    def left(self) -> list[str]:
        return [path.name for path in self.directory.iterdir()] if self.directory.exists() else []

    def program(self, text: str) -> transport.Ssh:
        """One that runs this Python instead of ssh."""
        return transport.Ssh((sys.executable, '-c', text, str(self.directory)), 60)


class TransportTest(TransportCase):

    def ways(self) -> list[transport.Transport]:
        return [self.program(SSH), transport.Shared(self.store)]

    def test_what_is_sent_is_there(self) -> None:
        for way in self.ways():
            way.check('host')
            for data in (b'', os.urandom(3_000_000), b'other'):
                digest = way.send('host', NAME, [data[:1000], data[1000:]], LIMIT)
                self.assertEqual(data, b''.join(received.checked(self.store.read(NAME), digest)))
                self.assertEqual([NAME], self.left())
            for text in ('a', '{"b": "c"}'):
                way.note('host', NAME, text)
                self.assertEqual(text, self.store.noted(NAME))
            for _ in range(2):
                way.drop('host', NAME)
                self.assertEqual([], self.left())

    def test_what_is_too_large(self) -> None:
        for way in self.ways():
            ex = self.assertRaises(
                errors.TransferFailed, way.send, 'host', NAME, [bytes(LIMIT), b'1'], LIMIT)
            self.assertIn('larger than', str(ex))
            self.assertEqual([], self.left())

    def test_a_source_that_breaks_off(self) -> None:
        def pieces():
            yield bytes(100_000)
            raise errors.EngineUnavailable('save image', 'it died')

        for way in self.ways():
            way.send('host', NAME, [b'before'], LIMIT)
            self.assertRaises(
                errors.EngineUnavailable, way.send, 'host', NAME, pieces(), LIMIT)

    def test_no_room(self) -> None:
        full = self.program('raise SystemExit(__import__("os").write(2, '
                            'b"zun-nova-receive: no space left in /x; make room\\n") and 1)')
        ex = self.assertRaises(errors.TransferFailed, full.send, 'compute2', NAME,
                               [bytes(LIMIT)], LIMIT)
        self.assertEqual('Cannot bring the server to compute2: the host there says: no space left '
                         'in /x; make room', str(ex))

    def test_a_directory_that_cannot_be_made(self) -> None:
        self.directory.write_text('a file')
        for way in self.ways():
            ex = self.assertRaises(errors.TransferFailed, way.check, 'host')
            self.assertIn(str(self.directory), str(ex))

    def test_no_progress(self) -> None:
        slow = transport.Ssh(
            (sys.executable, '-c', 'import time; time.sleep(600)', 'x'), 0.5)
        ex = self.assertRaises(errors.TransferFailed, slow.send, 'host', NAME,
                               [bytes(1024 ** 2)] * 3, LIMIT)
        self.assertIn('migration_timeout', str(ex))
        self.assertRaises(errors.TransferFailed, slow.check, 'host')

    def test_no_such_program(self) -> None:
        ex = self.assertRaises(
            errors.TransferFailed, transport.Ssh(('/no/ssh',), 1).check, 'host')
        self.assertIn('migration_ssh_command', str(ex))

    def test_causes_and_cures(self) -> None:
        for code, words, cure in (
                (255, 'nova@10.0.0.2: Permission denied (publickey).', 'authorized_keys'),
                (255, 'Host key verification failed.', 'known_hosts'),
                (255, 'ssh: connect to host 10.0.0.2 port 22: Connection refused', 'start it'),
                (255, 'ssh: connect to host x port 22: No route to host', 'is it up'),
                (255, 'ssh: connect to host x port 22: Connection timed out', 'is it up'),
                (255, 'Connection to 10.0.0.2 closed by remote host.', 'try again'),
                (255, 'something new', 'exit code 255'),
                (127, 'bash: zun-nova-receive: command not found', 'install zun-nova there'),
                (1, 'a banner\nzun-nova-receive: it was cut off', 'it was cut off'),
                (1, 'Traceback', 'exit code 1')):
            self.assertIn(cure, transport.why(code, words))


class ReceiveTest(TransportCase):
    """What a key that is stolen can be used for."""

    def refused(self, asked: str, data: bytes = b'') -> str:
        said = io.StringIO()
        with mock.patch.dict(os.environ, SSH_ORIGINAL_COMMAND=asked), \
                mock.patch('sys.stderr', said), \
                mock.patch('sys.stdin', io.TextIOWrapper(io.BytesIO(data))):
            self.assertEqual(1, receive.main(['--directory', str(self.directory)]))
        return said.getvalue()

    def test_other_commands_are_refused(self) -> None:
        for asked in ('', 'bash', 'check; rm -rf /', 'put', f'put {NAME}', f'put {NAME} -1',
                      f'get {NAME}', "put '", 'zun-nova-receive --directory /etc check'):
            self.assertIn('nothing else', self.refused(asked), asked)

    def test_other_names_are_refused(self) -> None:
        for name in ('../x', 'x', f'../{NAME}', f'{NAME}/x', f'{NAME}.part', NAME.upper(),
                     f'{NAME}\n'):
            for words in (f"put '{name}' 1", f"drop '{name}'", f"note '{name}'"):
                self.assertIn('names no layer', self.refused(words, _EMPTY), words)
        self.assertIn('shorter', self.refused(
            f'note {NAME}', b''.join(frames.written([bytes(100_000)]))))
        self.assertEqual([], self.left())

    def test_a_stream_that_ends_early_leaves_nothing(self) -> None:
        whole = b''.join(frames.written([b'12345']))
        for size in range(len(whole)):
            self.assertIn('cut off', self.refused(f'put {NAME} 10', whole[:size]))
        damaged = whole.replace(b'123', b'124')
        self.assertIn('damaged', self.refused(f'put {NAME} 10', damaged))
        self.assertEqual([], self.left())

    def test_files_of_servers(self) -> None:
        self.assertEqual({}, self.store.servers())
        self.store.put(NAME, [b''], 1)
        (self.directory / f'{NAME}.x.part').touch()
        (self.directory / 'other').touch()
        self.assertEqual({NAME[:36]: {NAME}}, self.store.servers())
        self.store.drop(NAME)
        self.assertEqual(['other'], self.left())
