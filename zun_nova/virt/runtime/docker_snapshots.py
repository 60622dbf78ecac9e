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

"""How a Docker engine makes images of containers.

https://docs.docker.com/engine/api/v1.41/#tag/Image/operation/ImageCommit
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
from typing import Any

from zun_nova import errors
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import docker_errors
from zun_nova.virt.runtime import snapshots

#: The runtime whose overlay the engine cannot see, and where it is when it is a file.
_SANDBOX = 'runsc'
_SANDBOX_FILE = '/.gvisor.filestore'
_CHUNK = 64 * 1024


class Snapshots(snapshots.Snapshots):
    """See snapshots.Snapshots for the contracts."""

    _engine: docker_client.Engine

    def commit(self, name: str, reference: str, pause: bool, timeout: float) -> str:
        operation = f'make an image of container {name}'
        repository, tag = reference.split(':')
        with self._engine.ask(operation) as client:
            container = docker_client.inspect(client, name)
            _refuse_loss(client, container, operation)
            labels = _labels(container, client.inspect_image(container['Image']))
            # The SDK's commit() has no deadline of its own.
            with self._engine.stream(
                    client, 'POST', '/commit', timeout=timeout, json={'Labels': labels},
                    params={'container': container['Id'], 'repo': repository, 'tag': tag,
                            'pause': str(int(pause))}) as response:
                image_id: str = response.json()['Id']
        return image_id

    @contextlib.contextmanager
    def save_image(self, reference: str, timeout: float) -> Iterator[Iterator[bytes]]:
        operation = f'save image {reference}'
        with contextlib.ExitStack() as opened:
            with self._engine.ask(operation) as client:
                response = opened.enter_context(self._saved_image(client, reference, timeout))
            yield self._pieces(operation, response)

    def _saved_image(self, client: Any, reference: str,
                     timeout: float) -> contextlib.AbstractContextManager[Any]:
        """The engine's answer with the image in it."""
        return self._engine.stream(
            client, 'GET', f'/images/{docker_client.quoted(reference)}/get', timeout=timeout)

    def _pieces(self, operation: str, response: Any) -> Iterator[bytes]:
        pieces = response.iter_content(_CHUNK)
        while True:
            with docker_errors.translate(operation, self._engine.url):
                piece = next(pieces, b'')
            if not piece:
                return
            yield piece


def _refuse_loss(client: Any, container: Mapping[str, Any], operation: str) -> None:
    """Make no image that lacks what the container has written."""
    # Those of its image; nobody gives it others.
    volumes = [mount['Destination'] for mount in container['Mounts']
               if mount.get('Type') == 'volume']
    if volumes:
        raise errors.Unsupported(
            operation, f'its image keeps {volumes[0]} in a volume of its own (VOLUME), which no '
            'image of a container holds')
    sandboxed = str(container['HostConfig'].get('Runtime')).startswith(_SANDBOX)
    if sandboxed and any(change['Path'].startswith(_SANDBOX_FILE)
                         for change in client.diff(container['Id']) or ()):
        raise errors.Unsupported(
            operation, 'gVisor keeps what is written in memory or in a file of its own; run '
            'runsc with --overlay2=none')


def _labels(container: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, str]:
    """Those of the container with the values they have in its image, else with none.

    Docker gives the new image all labels of the container: they can be
    changed, but not left out.
    """
    of_image = image['Config'].get('Labels') or {}
    return {label: of_image.get(label, '') for label in container['Config']['Labels'] or {}}
