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

"""What a server's owner says about the process to run.

Precedence, first wins: server metadata ``container:*``, then the image
property ``os_command_line``, then the image's own configuration. Only what
cannot take power over the host can be said here; that comes from the flavor.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import json
import re
import shlex
import signal
from typing import Any

from oslo_utils import strutils

from zun_nova import errors

PREFIX = 'container:'
ENV_PREFIX = 'container:env:'

_ENV_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*\Z')
#: name or uid, and the same of a group, as the engines take it.
_USER = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?\Z')


@dataclasses.dataclass(frozen=True)
class Process:
    """The process of a container; None leaves the image's own value."""

    #: Replaces the image's ENTRYPOINT.
    command: tuple[str, ...] | None = None
    #: Replaces the image's CMD.
    args: tuple[str, ...] | None = None
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    user: str | None = None
    working_dir: str | None = None
    tty: bool = False
    stop_signal: str | None = None


def from_metadata(metadata: Mapping[str, str], os_command_line: str | None = None) -> Process:
    """Read the server's metadata and the image's command line.

    :param metadata: all of the server's metadata; keys without the prefix
        ``container:`` are none of our business.
    :param os_command_line: the Glance image property, split as a shell would;
        it gives the arguments of the image's entry point.
    :raises errors.InvalidSpec: a key is unknown or a value does not fit.
    """
    values: dict[str, Any] = {}
    env: dict[str, str] = {}
    if os_command_line:
        values['args'] = _words('image property os_command_line', os_command_line)
    for key, text in sorted(metadata.items()):
        if key.startswith(ENV_PREFIX):
            name = key.removeprefix(ENV_PREFIX)
            if not _ENV_NAME.match(name):
                raise errors.InvalidSpec(
                    f'metadata {key}', f'{name!r} is no name of an environment variable')
            env[name] = _printable(f'metadata {key}', text)
        elif key.startswith(PREFIX):
            name, value = _field(key, text)
            values[name] = value
    return Process(env=env, **values)


def _field(key: str, text: str) -> tuple[str, Any]:
    name = key.removeprefix(PREFIX)
    parse = _FIELDS.get(name)
    if parse is None:
        known = ', '.join([*(PREFIX + field for field in sorted(_FIELDS)), ENV_PREFIX + 'NAME'])
        raise errors.InvalidSpec(f'metadata {key}', f'there is no such key; known are {known}')
    return name, parse(f'metadata {key}', text)


def _printable(where: str, text: str) -> str:
    if '\0' in text:
        raise errors.InvalidSpec(where, 'a NUL character cannot be passed to a process')
    return text


def _words(where: str, text: str) -> tuple[str, ...]:
    """A JSON list of strings, or words split as a shell would."""
    _printable(where, text)
    if text.lstrip().startswith('['):
        try:
            words = json.loads(text)
        except ValueError as ex:
            raise errors.InvalidSpec(where, f'starts with [ but is no JSON list: {ex}') from ex
        if not all(isinstance(word, str) for word in words):
            raise errors.InvalidSpec(where, 'every element of the list must be a string')
    else:
        try:
            words = shlex.split(text)
        except ValueError as ex:
            raise errors.InvalidSpec(where, f'cannot be split into words: {ex}') from ex
    if not words:
        raise errors.InvalidSpec(where, 'is empty; leave it out to use what the image says')
    return tuple(words)


def _user(where: str, text: str) -> str:
    if not _USER.match(text):
        raise errors.InvalidSpec(where, 'must be NAME, UID, NAME:GROUP or UID:GID')
    return text


def _absolute_path(where: str, text: str) -> str:
    if not text.startswith('/'):
        raise errors.InvalidSpec(where, 'must be an absolute path')
    return _printable(where, text)


def _boolean(where: str, text: str) -> bool:
    try:
        return bool(strutils.bool_from_string(text, strict=True))
    except ValueError as ex:
        raise errors.InvalidSpec(where, 'must be true or false') from ex


def _signal(where: str, text: str) -> str:
    name = text.upper() if text.upper().startswith('SIG') else 'SIG' + text.upper()
    if name in signal.Signals.__members__:
        return name
    if text.isdigit() and 0 < int(text) < signal.NSIG:
        return text
    raise errors.InvalidSpec(where, 'must be a signal such as SIGTERM or 15')


_FIELDS: Mapping[str, Callable[[str, str], Any]] = {
    'command': _words,
    'args': _words,
    'user': _user,
    'working_dir': _absolute_path,
    'tty': _boolean,
    'stop_signal': _signal,
}
