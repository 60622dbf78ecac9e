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

"""The image store of a Podman engine.

Podman names images from no registry ``localhost/...``; the driver never sees that.
"""

from __future__ import annotations

from collections.abc import Iterable
import json

from zun_nova import errors
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import docker_images
from zun_nova.virt.runtime import podman_client
from zun_nova.virt.runtime import podman_request


def path_of(reference: str) -> str:
    """Where libpod has the image."""
    return f'/images/{docker_client.quoted(podman_request.image_name(reference))}'


class Images(base.ImageStore):
    """See base.ImageStore for the contracts."""

    _engine: podman_client.Engine

    def image_id(self, reference: str) -> str | None:
        try:
            with self._engine.ask(f'find image {reference}') as client:
                answer = self._engine.call(client, 'GET', f'{path_of(reference)}/json')
        except errors.NotFound:
            return None
        if '@' in reference and reference not in (answer['RepoDigests'] or ()):
            return None   # it has the same content by another name
        found: str = answer['Id']
        return found

    def list_images(self, repository: str) -> list[base.StoredImage]:
        name = podman_request.image_name(repository)
        with self._engine.ask(f'list images of {repository}') as client:
            rows = self._engine.call(client, 'GET', '/images/json', params={
                'filters': json.dumps({'reference': [f'{name}:*']})})
        return [base.StoredImage(reference=podman_request.reference_of(tag), id=row['Id'])
                for row in rows or () for tag in row['RepoTags'] or ()
                if tag.startswith(f'{name}:')]

    def load_image(self, archive: Iterable[bytes], reference: str) -> str:
        operation = f'load image {reference}'
        source = docker_images.Source(archive)
        try:
            with self._engine.ask(operation) as client:
                self._engine.call(client, 'POST', '/images/load', data=iter(source),
                                  headers={'Content-Type': 'application/x-tar'})
        except errors.EngineError as ex:
            if source.failure is not None:
                # Cut off in the middle of the request, Podman drops what it has.
                raise source.failure from None
            if type(ex) is errors.EngineError:
                raise docker_images.load_error(operation, ex.detail) from ex
            raise
        found = self.image_id(reference)
        if found is None:
            raise errors.InvalidRequest(operation, f'the archive holds no image named {reference}')
        return found

    def remove_image(self, reference: str) -> None:
        try:
            with self._engine.ask(f'remove image {reference}') as client:
                self._engine.call(client, 'DELETE', path_of(reference))
        except errors.NotFound:
            pass
