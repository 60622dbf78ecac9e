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

"""``zun-nova-receive``: takes what a server has written from the host it comes from.

nova-compute of the other host starts it here through ssh. As a forced command
of the key in ``authorized_keys`` it is all that the key can do::

    restrict,command="zun-nova-receive --directory DIRECTORY" ssh-ed25519 AAAA...

What it is to do are its words or, under a forced command, those of
``SSH_ORIGINAL_COMMAND``: ``check``; ``put NAME LIMIT`` and ``note NAME``, with
the data as standard input; ``drop NAME``. Names are checked: it writes and
removes nothing but layers of servers below the one directory.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import os
import pathlib
import shlex
import sys
from typing import BinaryIO

from zun_nova.virt import frames
from zun_nova.virt import received

PROGRAM = 'zun-nova-receive'
_MAX_NOTE = 64 * 1024
DEFAULT_DIRECTORY = f'/var/lib/nova/instances/{received.DIRECTORY}'


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script; returns its exit code."""
    parser = argparse.ArgumentParser(PROGRAM, description=__doc__.split('\n\n')[0])
    parser.add_argument('--directory', type=pathlib.Path, default=DEFAULT_DIRECTORY,
                        help='zun_nova/received below instances_path of nova.conf (%(default)s)')
    parser.add_argument('words', nargs='*', help='check | put NAME LIMIT | note NAME | drop NAME')
    given = parser.parse_args(arguments)
    try:
        answer = _do(received.Store(given.directory), _words(given.words))
    except (received.Refused, frames.Broken) as ex:
        print(f'{PROGRAM}: {ex}', file=sys.stderr)
        return 1
    if answer:
        print(answer)
    return 0


def _words(given: Sequence[str]) -> list[str]:
    """What to do; of a forced command, what the other side asked for."""
    asked = os.environ.get('SSH_ORIGINAL_COMMAND')
    if asked is None:
        return list(given)
    try:
        words = shlex.split(asked)
    except ValueError:
        words = []
    return words[1:] if words[:1] == [PROGRAM] else words


def _do(store: received.Store, words: Sequence[str]) -> str:
    match words:
        case ['check']:
            store.check()
            return ''
        case ['put', name, limit] if limit.isdecimal():
            return store.put(name, frames.read(sys.stdin.buffer), int(limit))
        case ['note', name]:
            store.note(name, _text(sys.stdin.buffer))
            return ''
        case ['drop', name]:
            store.drop(name)
            return ''
        case _:
            raise received.Refused(
                'it takes check, put NAME LIMIT, note NAME and drop NAME, nothing else')


def _text(stream: BinaryIO) -> str:
    data = b''
    for piece in frames.read(stream):
        data += piece
        if len(data) > _MAX_NOTE:
            raise received.Refused('a note is shorter')
    return data.decode(errors='replace')
