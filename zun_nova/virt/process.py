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

"""What the owner of a server wants of its container, as data."""

from __future__ import annotations

import base64
from collections.abc import Mapping
import dataclasses
from typing import Any

from zun_nova.virt import config_schema


@dataclasses.dataclass(frozen=True)
class Healthcheck:
    """A command that tells whether the server is well.

    None leaves the image's own value; times are in seconds.
    """

    command: tuple[str, ...] | None = None
    interval: int | None = None
    timeout: int | None = None
    start_period: int | None = None
    retries: int | None = None
    #: Turns off the image's; then the others mean nothing.
    disabled: bool = False


@dataclasses.dataclass(frozen=True)
class Tmpfs:
    """A directory in memory."""

    path: str
    #: None leaves it to the kernel: half of the host's memory.
    size_bytes: int | None = None
    mode: int = 0o1777
    exec: bool = False


@dataclasses.dataclass(frozen=True)
class File:
    """A file that is there before the process starts.

    Its path is absolute and without '..'; links of the image on the way to it
    are followed inside the container only.
    """

    path: str
    content: bytes = dataclasses.field(repr=False)
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    #: Its directory, when it is missing, becomes the owner's, and no one else may enter it.
    private_directory: bool = False


@dataclasses.dataclass(frozen=True)
class Ulimit:
    """A limit of each process (setrlimit), by the name engines use; -1 is no limit."""

    name: str
    soft: int
    hard: int


@dataclasses.dataclass(frozen=True)
class Process:
    """The process of a container and what it finds; None leaves the image's own value."""

    #: Replaces the image's ENTRYPOINT.
    command: tuple[str, ...] | None = None
    #: Replaces the image's CMD.
    args: tuple[str, ...] | None = None
    env: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    user: str | None = None
    working_dir: str | None = None
    #: Of the tz database.
    timezone: str | None = None
    tty: bool = False
    #: Its standard input stays open.
    stdin: bool = False
    stop_signal: str | None = None
    #: Seconds; None leaves it to who stops the container.
    stop_timeout: int | None = None
    healthcheck: Healthcheck | None = None
    tmpfs: tuple[Tmpfs, ...] = ()
    files: tuple[File, ...] = ()
    #: Nothing but tmpfs and volumes can be written.
    read_only: bool = False
    sysctls: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ulimits: tuple[Ulimit, ...] = ()


def from_config(config: Mapping[str, Any]) -> Process:
    """The process of a configuration that keeps the rules of config_schema."""
    values = {key: value for key, value in config.items() if key not in _CONVERTED}
    values |= {key: convert(config[key]) for key, convert in _CONVERTED.items() if key in config}
    return Process(**values)


def _signal(value: str | int) -> str:
    text = str(value)
    return text if text.isdigit() or text.startswith('SIG') else f'SIG{text}'


def _texts(values: Mapping[str, str | int]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _healthcheck(value: Mapping[str, Any]) -> Healthcheck:
    command = {'command': config_schema.words(value['command'])} if 'command' in value else {}
    return Healthcheck(**{**value, **command})


def _tmpfs(value: Mapping[str, Any]) -> Tmpfs:
    size = value.get('size_mb')
    return Tmpfs(value['path'], size and size * 1024 ** 2, int(value.get('mode', '1777'), 8),
                 value.get('exec', False))


def _file(value: Mapping[str, Any]) -> File:
    content = value['content'].encode()
    if value.get('encoding') == 'base64':
        content = base64.b64decode(content)
    uid, _, gid = str(value.get('owner', '0')).partition(':')
    return File(value['path'], content, int(value.get('mode', '0644'), 8), int(uid), int(gid or 0))


_CONVERTED: Mapping[str, Any] = {
    'command': config_schema.words,
    'args': config_schema.words,
    'user': str,
    'stop_signal': _signal,
    'env': _texts,
    'sysctls': _texts,
    'healthcheck': _healthcheck,
    'tmpfs': lambda values: tuple(map(_tmpfs, values)),
    'files': lambda values: tuple(map(_file, values)),
    'ulimits': lambda values: tuple(
        Ulimit(name, *config_schema.ulimit(value)) for name, value in values.items()),
}
