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

"""The way to one Docker engine."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import re
import threading
import time
from typing import Any
from urllib import parse

import docker
import docker.constants

from zun_nova import errors
from zun_nova.virt.runtime import docker_errors

#: Of Docker 20.10.
OLDEST_API = '1.41'
NEWEST_API = docker.constants.DEFAULT_DOCKER_API_VERSION

# Engines take such a name for the beginning of a container's id as well.
_LIKE_AN_ID = re.compile('[0-9a-f]{1,64}')


class Engine:
    """One Docker engine, for any number of threads.

    Each thread has its own client, because requests' sessions are not made to
    be shared. Nothing is asked before the first call.

    :param url: unix:///path of the engine's socket.
    :param timeout: seconds without a byte after which a call has failed.
    """

    def __init__(self, url: str, timeout: int) -> None:
        self.url = url
        self.timeout = timeout
        self._local = threading.local()
        self._negotiation = threading.Lock()
        self._api_version: str | None = None

    @contextlib.contextmanager
    def ask(self, operation: str,
            kinds: Mapping[int, type[errors.EngineError]] = docker_errors.KINDS) -> Iterator[Any]:
        """This thread's docker.APIClient; what the body raises is translated.

        :param operation: what is asked, as a verb phrase.
        :param kinds: error by HTTP status.
        """
        with docker_errors.translate(operation, self.url, kinds):
            yield self._client()

    @contextlib.contextmanager
    def stream(self, client: Any, method: str, path: str, timeout: float | None = None,
               **options: Any) -> Iterator[Any]:
        """A requests.Response whose body is still to be read; closed in the end.

        For what the SDK cannot read or send in pieces.

        :param path: below the version, its variable parts quoted.
        :param timeout: seconds without a byte, where the engine's own do not fit.
        """
        url = f'{client.base_url}/v{client.api_version}{path}'
        with client.request(method, url, stream=True, timeout=timeout or self.timeout,
                            **options) as response:
            if not response.ok:
                _ = response.content   # the engine's words; closed, there is no reading them
            response.raise_for_status()
            yield response

    def remove_container(self, name: str) -> None:
        """Kill and remove it with its anonymous volumes; nothing to do when absent."""
        deadline = time.monotonic() + self.timeout
        operation = f'remove container {name}'
        while True:
            try:
                with self.ask(operation) as client:
                    client.remove_container(name, force=True, v=True)
                return
            except errors.NotFound:
                return
            except errors.Conflict:   # another thread or person is removing it
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def _client(self) -> Any:
        if not hasattr(self._local, 'client'):
            self._local.client = self._new_client(self._negotiated())
        return self._local.client

    def _negotiated(self) -> str:
        with self._negotiation:
            if self._api_version is None:
                client = self._new_client(OLDEST_API)
                server = client.version(api_version=False)
                client.close()
                self._api_version = self._check(server)
            return self._api_version

    def _check(self, server: Mapping[str, Any]) -> str:
        """The API version to speak with it; see :func:`api_version`."""
        return api_version(server)

    def _new_client(self, version: str) -> Any:
        client = docker.APIClient(base_url=self.url, version=version, timeout=self.timeout)
        client.trust_env = False   # no proxies and no .netrc on the way to a unix socket
        return client


def api_version(server: Mapping[str, Any]) -> str:
    """The newest API version that both sides speak.

    :param server: the engine's answer to /version.
    :raises errors.EngineTooOld: there is none.
    """
    newest = server['ApiVersion']
    if _number(newest) < _number(OLDEST_API):
        raise errors.EngineTooOld(
            'use the engine', f'Docker {server["Version"]} speaks API {newest}; '
            f'API {OLDEST_API} (Docker 20.10) or newer is needed')
    chosen: str = min(newest, NEWEST_API, key=_number)
    if _number(chosen) < _number(server.get('MinAPIVersion') or OLDEST_API):
        raise errors.Unsupported(
            'use the engine', f'Docker {server["Version"]} speaks API '
            f'{server["MinAPIVersion"]} or newer; the docker SDK installed here speaks '
            f'at most {NEWEST_API}')
    return chosen


def like_an_id(name: str) -> bool:
    """Whether engines take such a name for the beginning of a container's id as well."""
    return _LIKE_AN_ID.fullmatch(name) is not None


def quoted(name: str) -> str:
    """A name as one part of a path."""
    return parse.quote(name, safe='')


def inspect(client: Any, name: str) -> Mapping[str, Any]:
    """Docker's own answer for the container of exactly this name."""
    answer: Mapping[str, Any] = client.inspect_container(name)
    if answer['Name'] != f'/{name}':
        raise errors.NotFound(f'find container {name}', f'there is only {answer["Name"][1:]}')
    return answer


def exact(client: Any, name: str) -> str:
    """The name, after a look when Docker could take it for the beginning of an id."""
    if like_an_id(name):
        inspect(client, name)
    return name


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split('.'))
