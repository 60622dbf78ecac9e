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

"""What the processes of the fake engine do.

Nothing runs: the command is read, and what it would write and how it would
end is worked out. Known are ``sh -c`` with a few commands divided by ``;``,
and these commands by themselves::

    echo WORDS [>&2]    echo WORDS > PATH    printf FORMAT NUMBER    seq FIRST LAST    hostname
    cat PATH    sleep SECONDS    exit CODE    true    false
    trap "exit CODE" SIGNAL

Anything else runs for ever. As pid 1 of a container does, a process heeds no
signal that it has no trap for, except KILL.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import shlex

STDOUT = 1
STDERR = 2
FOREVER = float('inf')


@dataclasses.dataclass
class Play:
    """What a process does."""

    #: Pieces of (stream, bytes), written at the start.
    output: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)
    #: How long it runs.
    seconds: float = 0
    exit_code: int = 0
    #: Exit code by signal without SIG.
    traps: dict[str, int] = dataclasses.field(default_factory=dict)
    #: Content by path of the files it writes.
    files: dict[str, str] = dataclasses.field(default_factory=dict)


def play(argv: Sequence[str], tty: bool, files: Mapping[str, str]) -> Play:
    """Work out what a command does.

    :param files: content by path, with /etc/hostname and /etc/resolv.conf.
    """
    name, *args = [argv[0].rpartition('/')[2], *argv[1:]]
    if name == 'sh' and args[:1] == ['-c']:
        commands = [shlex.split(command, posix=True) for command in _divided(args[1])]
    elif name == 'sh':
        return Play(seconds=FOREVER if tty else 0)   # without a terminal its input is at the end
    else:
        commands = [[name, *args]]
    result = Play()
    for command in commands:
        if _do(command, result, files):
            break
    if tty:
        result.output = [(STDOUT, data.replace(b'\n', b'\r\n')) for _, data in result.output]
    return result


def _divided(script: str) -> list[str]:
    """The commands of a script; a ; in quotes divides none."""
    lexer = shlex.shlex(script, punctuation_chars=';')
    lexer.whitespace_split = True
    lexer.commenters = ''
    commands: list[list[str]] = [[]]
    for token in lexer:
        if token == ';':
            commands.append([])
        else:
            commands[-1].append(token)
    return [' '.join(words) for words in commands if words]


def _do(command: list[str], result: Play, files: Mapping[str, str]) -> bool:
    """Add what one command does; returns whether the process ends with it or stays in it."""
    name, *args = command
    if name == 'trap':
        result.traps[args[1].removeprefix('SIG')] = int(args[0].split()[1])
    elif name == 'sleep':
        result.seconds += FOREVER if args[0] == 'infinity' else float(args[0])
        return result.seconds == FOREVER
    elif name == 'exit':
        result.exit_code = int(args[0])
        return True
    elif name in ('true', 'false'):
        result.exit_code = int(name == 'false')
    elif name == 'echo' and args[-2:-1] == ['>']:
        result.files[args[-1]] = ' '.join(args[:-2]) + '\n'
    else:
        written = _written(name, args, {**files, **result.files})
        if written is None:
            result.seconds = FOREVER
            return True
        result.output.append(written)
    return False


def _written(name: str, args: list[str], files: Mapping[str, str]) -> tuple[int, bytes] | None:
    """What a command writes; None when it is not known."""
    if name == 'echo':
        stream = STDERR if args[-1:] == ['>&2'] else STDOUT
        text = ' '.join(args[:-1] if stream == STDERR else args) + '\n'
    elif name == 'hostname':
        return STDOUT, files['/etc/hostname'].encode()
    elif name == 'cat' and len(args) == 1 and args[0] in files:
        return STDOUT, files[args[0]].encode()
    elif name == 'seq':
        text = ''.join(f'{number}\n' for number in range(int(args[0]), int(args[1]) + 1))
        return STDOUT, text.encode()
    elif name == 'printf' and len(args) == 2:
        return STDOUT, (args[0] % int(args[1])).encode()
    else:
        return None
    return stream, text.encode()
