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

"""What a service is, for whoever defines one and whoever runs it."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import typing

from zun_cloud import health
from zun_cloud import settings as cloud_settings


@dataclasses.dataclass(frozen=True)
class Service:
    """One program the process manager keeps.

    :param after: what must be well before it starts: names of services and of tasks.
    :param env: added to the process manager's environment.
    :param files: configuration it reads only at start; a change of one restarts it.
    :param ready: tells that it can be used.
    :param port: where it listens, for people; None for none.
    :param host: the compute host it belongs to; None for the control plane.
    :param restart: start it again when it dies.
    :param stop_seconds: how long it may take to end before it is killed.
    """

    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    env: typing.Mapping[str, str] = dataclasses.field(default_factory=dict)
    files: tuple[pathlib.Path, ...] = ()
    ready: health.Check = dataclasses.field(default_factory=health.Running)
    port: int | None = None
    host: int | None = None
    restart: bool = True
    stop_seconds: int = 10

    def fingerprint(self) -> str:
        """Changes when a configuration file does."""
        digest = hashlib.sha256()
        for path in self.files:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


def uwsgi(
    settings: cloud_settings.Settings,
    name: str,
    after: tuple[str, ...],
    env: typing.Mapping[str, str],
    files: tuple[pathlib.Path, ...],
) -> Service:
    """A WSGI application; ``rendering.APIS`` holds its module and its size."""
    ini = settings.etc / f'uwsgi/{name}.ini'
    port = settings.port(name)
    return Service(
        name, (settings.program('uwsgi'), '--ini', str(ini)), ('management', *after), env,
        (ini, *files),
        health.Http(port), port, stop_seconds=4,
    )


def config_files(paths: typing.Iterable[pathlib.Path]) -> tuple[str, ...]:
    """The arguments by which an OpenStack service is given its files."""
    return tuple(f'--config-file={path}' for path in paths)
