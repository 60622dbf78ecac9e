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

"""Processes that the fake engine's containers run beside their own."""

from __future__ import annotations

import itertools
import secrets
import struct
import threading
from typing import Any

from zun_nova.tests.fake_engine import answers
from zun_nova.tests.fake_engine import container
from zun_nova.tests.fake_engine import program

_PIDS = itertools.count(2 ** 23 + 1)
_NOT_FOUND = (
    'OCI runtime exec failed: exec failed: unable to start container process: exec: "{}": '
    'executable file not found in $PATH: unknown\r\n')


class Exec:
    """One such process.

    Beside what is in :mod:`.program`, ``cat`` and ``sh`` without arguments give back what they
    are sent.

    :param exit_code: instead of its own.
    :ivar request: of the call that made it.
    :ivar stdin: what it was sent.
    """

    def __init__(self, owner: container.Container, request: dict[str, Any],
                 exit_code: int | None) -> None:
        self.id = secrets.token_hex(32)
        self.owner = owner
        self.request = request
        self.argv: list[str] = request['Cmd']
        self.tty = bool(request.get('Tty'))
        self.stdin = b''
        self.pid = 0
        #: Rows and columns.
        self.size = (0, 0)
        self.exit_code: int | None = None
        self._wanted_code = exit_code
        self._ended = threading.Event()

    @property
    def running(self) -> bool:
        return bool(self.pid) and not self._ended.is_set()

    def start(self) -> None:
        """With the engine's lock held."""
        self.pid = next(_PIDS)

    def talk(self, duplex: answers.Duplex) -> None:
        """Run, attached to a client; the process does not end with it."""
        self.owner.terminal.others.append(duplex)
        name = self.argv[0].rpartition('/')[2]
        if name not in self.owner.image.programs:
            self._send(duplex, program.STDOUT, _NOT_FOUND.format(name).encode())
            self._end(126)
            return
        play = program.play(self.argv, self.tty, self.owner.files())
        if self.argv == ['chpasswd']:
            play = program.Play()
        for channel, data in play.output:
            self._send(duplex, channel, data)
        if self.argv in (['cat'], ['sh']):
            self._echo(duplex)
        elif self.request.get('AttachStdin'):
            while data := duplex.receive():
                self.stdin += data
        duplex.send(b'')
        if play.seconds == program.FOREVER and self.argv not in (['cat'], ['sh']):
            self._ended.wait()
        self._end(play.exit_code if self._wanted_code is None else self._wanted_code)

    def _echo(self, duplex: answers.Duplex) -> None:
        while not self._ended.is_set() and (data := duplex.receive()):
            self.stdin += data
            self._send(duplex, program.STDOUT, data)

    def kill(self) -> None:
        self._end(137)

    def describe(self) -> dict[str, Any]:
        """The answer to /exec/ID/json."""
        return {'ID': self.id, 'Running': self.running, 'ExitCode': self.exit_code,
                'Pid': self.pid, 'ContainerID': self.owner.id}

    def _send(self, duplex: answers.Duplex, channel: int, data: bytes) -> None:
        head = b'' if self.tty else struct.pack('>BxxxL', channel, len(data))
        duplex.send(head + data)

    def _end(self, code: int) -> None:
        if not self._ended.is_set():
            self.exit_code = code
            self._ended.set()


class Execs:
    """All of them."""

    def __init__(self) -> None:
        self.all: list[Exec] = []
        #: With which a program ends, by its first word.
        self.exit_codes: dict[str, int] = {}

    def create(self, owner: container.Container, request: dict[str, Any]) -> Exec:
        if owner.status == 'paused':
            raise answers.Refused(409, (
                f'Container {owner.name} is paused, unpause the container before exec'))
        if not owner.running:
            raise answers.Refused(409, f'Container {owner.id} is not running')
        made = Exec(owner, request, self.exit_codes.get(request['Cmd'][0]))
        self.all.append(made)
        return made

    def find(self, exec_id: str) -> Exec:
        for known in self.all:
            if known.id == exec_id:
                return known
        raise answers.Refused(404, f'No such exec instance: {exec_id}')

    def kill(self, leader: int, container_id: str) -> int:
        found = [known for known in self.all
                 if known.running and (known.pid, known.owner.id) == (leader, container_id)]
        for known in found:
            known.kill()
        return len(found)
