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

"""How a Docker engine fetches images from registries."""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import json
from typing import Any

from docker import auth
from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import docker_errors
from zun_nova.virt.runtime import registry

LOG = logging.getLogger(__name__)


class Puller(registry.Puller):
    """See registry.Puller for the contracts."""

    _engine: docker_client.Engine

    def platforms(self, remote: str,
                  credentials: registry.Credentials | None) -> list[registry.Platform]:
        with asking(remote), self._engine.ask(f'find {remote} in its registry') as client:
            answer = client.inspect_distribution(remote, auth_config=_config(credentials))
        return [registry.Platform(each.get('os') or '', each.get('architecture') or '')
                for each in answer.get('Platforms') or ()]

    def pull(self, remote: str, reference: str, credentials: registry.Credentials | None,
             timeout: float) -> Generator[registry.Progress, None, None]:
        operation = f'pull {remote}'
        name, _, digest = remote.partition('@')
        try:
            with asking(remote), self._engine.ask(operation) as client:
                # The SDK's pull() has no deadline.
                with self._engine.stream(
                        client, 'POST', '/images/create', timeout=timeout,
                        params={'fromImage': name, 'tag': digest},
                        headers={'X-Registry-Auth': auth.encode_header(_config(credentials))},
                        ) as response:
                    yield from _progress(operation, response.iter_lines())
            self._name(remote, reference)
        finally:
            self._take_name(remote)

    def _name(self, remote: str, reference: str) -> None:
        with self._engine.ask(f'name image {reference}') as client:
            client.tag(remote, *reference.split(':'))

    def _take_name(self, remote: str) -> None:
        """Take the registry's name from an image, by which it would never be removed.

        It may be there after a failure, too: of a pull that was given up at its very end.
        """
        try:
            self._unname(remote)
        except errors.NotFound:
            pass
        except errors.EngineError as ex:   # the image is of use all the same
            LOG.warning('%s', ex)

    def _unname(self, remote: str) -> None:
        with self._engine.ask(f'take the name {remote}') as client:
            client.remove_image(remote)


def _config(credentials: registry.Credentials | None) -> dict[str, str]:
    """For the SDK, which looks for credentials of its own when it is given None."""
    if credentials is None:
        return {}
    return {'username': credentials.username, 'password': credentials.password}


@contextlib.contextmanager
def asking(remote: str) -> Iterator[None]:
    """Raise what the engine says of a registry as the kind that it means."""
    name = remote.partition('@')[0]
    try:
        yield
    except errors.EngineError as ex:
        # What an image is called must not pass for what is said of it.
        detail = ex.detail.replace(name, '').replace(f'/v2/{name.partition("/")[2]}/', '/v2/')
        raise docker_errors.of_registry(type(ex)(ex.operation, detail)) from None


def _progress(operation: str, lines: Iterable[bytes]) -> Iterator[registry.Progress]:
    """The engine's lines, added up; ends well only if the image is there.

    Each layer is named in its lines and is downloaded before it is unpacked.
    """
    received: dict[str, int] = {}
    totals: dict[str, int] = {}
    for line in lines:
        if not line:
            continue
        said: dict[str, Any] = json.loads(line)
        failure = said.get('error') or (said.get('errorDetail') or {}).get('message')
        if failure:
            raise errors.EngineError(operation, str(failure))
        layer, detail = said.get('id') or '', said.get('progressDetail') or {}
        if said.get('status') == 'Downloading' and detail.get('total', -1) > 0:
            received[layer], totals[layer] = detail.get('current') or 0, detail['total']
        elif layer in totals:
            received[layer] = totals[layer]
        yield registry.Progress(sum(received.values()), sum(totals.values()))
