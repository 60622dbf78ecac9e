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

"""How a Podman engine makes images of containers.

https://docs.podman.io/en/latest/_static/api.html#tag/images/operation/ImageCommitLibpod
"""

from __future__ import annotations

import contextlib
from typing import Any

from zun_nova.virt.runtime import docker_snapshots
from zun_nova.virt.runtime import podman_client
from zun_nova.virt.runtime import podman_images
from zun_nova.virt.runtime import podman_request


class Snapshots(docker_snapshots.Snapshots):
    """See snapshots.Snapshots for the contracts."""

    _engine: podman_client.Engine

    def commit(self, name: str, reference: str, pause: bool, timeout: float) -> str:
        repository, tag = podman_request.image_name(reference).split(':')
        with self._engine.ask(f'make an image of container {name}') as client:
            container = self._engine.inspect(client, name)
            image = self._engine.call(
                client, 'GET', f'{podman_images.path_of(container["Image"])}/json')
            of_image = image['Labels'] or {}
            answer = self._engine.call(client, 'POST', '/commit', timeout=timeout, params={
                'container': container['Id'], 'repo': repository, 'tag': tag,
                'format': 'docker', 'pause': str(pause).lower(),
                # It has all labels of the container: they can be changed, not left out.
                'changes': [f'LABEL {label}="{of_image.get(label, "")}"'
                            for label in container['Config']['Labels'] or ()]})
        image_id: str = answer['Id']
        return image_id

    def _saved_image(self, client: Any, reference: str,
                     timeout: float) -> contextlib.AbstractContextManager[Any]:
        return self._engine.libpod_stream(
            client, 'GET', f'{podman_images.path_of(reference)}/get', timeout=timeout,
            params={'format': 'docker-archive'})
