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

"""The way to one Podman engine.

Its socket speaks two protocols: Docker's, of which it leaves out or changes
much, and its own, below ``/libpod``. The docker SDK's client carries both.

https://docs.podman.io/en/latest/_static/api.html
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
from typing import Any

from zun_nova import errors
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import docker_errors
from zun_nova.virt.runtime import podman_errors

#: Below this it was not tried; Debian 12 has it.
OLDEST = (4, 3)
#: Of its own protocol, which Podman 5 speaks too.
LIBPOD = '/v4.0.0/libpod'


class Engine(docker_client.Engine):
    """One Podman engine, for any number of threads; see docker_client.Engine."""

    @contextlib.contextmanager
    def ask(self, operation: str,
            kinds: Mapping[int, type[errors.EngineError]] = docker_errors.KINDS) -> Iterator[Any]:
        with podman_errors.refined(), super().ask(operation, kinds) as client:
            yield client

    def call(self, client: Any, method: str, path: str, *, timeout: float | None = None,
             **options: Any) -> Any:
        """What libpod answers, as JSON; None when it answers nothing.

        :param path: below the version, its variable parts quoted.
        :param timeout: seconds the engine may take, where its own do not fit.
        """
        response = client.request(
            method, f'{client.base_url}{LIBPOD}{path}', timeout=timeout or self.timeout,
            **options)
        response.raise_for_status()
        return response.json() if response.content.strip() else None

    @contextlib.contextmanager
    def libpod_stream(self, client: Any, method: str, path: str, timeout: float | None = None,
                      **options: Any) -> Iterator[Any]:
        """The same as a requests.Response whose body is still to be read; closed in the end."""
        with client.request(
                method, f'{client.base_url}{LIBPOD}{path}', stream=True,
                timeout=timeout or self.timeout, **options) as response:
            if not response.ok:
                _ = response.content   # the engine's words; closed, there is no reading them
            response.raise_for_status()
            yield response

    def inspect(self, client: Any, name: str) -> Mapping[str, Any]:
        """Podman's own answer for the container of exactly this name.

        :raises errors.NotFound: there is none.
        """
        answer: Mapping[str, Any] = self.call(client, 'GET', f'{_path(name)}/json')
        if answer['Name'] != name:
            raise errors.NotFound(f'find container {name}', f'there is only {answer["Name"]}')
        return answer

    def exact(self, client: Any, name: str) -> str:
        """Where libpod has it, after a look when it could take the name for an id."""
        if docker_client.like_an_id(name):
            self.inspect(client, name)
        return _path(name)

    def remove_container(self, name: str) -> None:
        with contextlib.suppress(errors.NotFound):
            with self.ask(f'remove container {name}') as client:
                # A paused container does not end when it is killed; the timeout is for the
                # signal before that.
                self.call(client, 'DELETE', _path(name),
                          params={'force': 'true', 'v': 'true', 'timeout': '0'})

    def _check(self, server: Mapping[str, Any]) -> str:
        check(server)
        return super()._check(server)


def _path(name: str) -> str:
    return f'/containers/{docker_client.quoted(name)}'


def check(server: Mapping[str, Any]) -> None:
    """Make sure that this is a Podman that can serve.

    :param server: the engine's answer to /version.
    :raises errors.EngineTooOld: it is too old.
    :raises errors.Unsupported: it is no Podman.
    """
    names = [component['Name'] for component in server.get('Components') or ()]
    if 'Podman Engine' not in names:
        raise errors.Unsupported(
            'use the engine', 'what listens at podman_url is no Podman; is it Docker?')
    if tuple(int(part) for part in server['Version'].split('.')[:2]) < OLDEST:
        raise errors.EngineTooOld(
            'use the engine', f'Podman {server["Version"]} is older than 4.3')
