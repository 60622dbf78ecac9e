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

"""The image store of a Docker engine."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import json
import re
from typing import Any

from zun_nova import errors
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import docker_errors

#: What the system tells the engine where the host is to blame, not the image.
_HOST_FAILS = re.compile(
    r'no space left on device|disk quota exceeded|input/output error|read-only file system'
    r'|too many open files|cannot allocate memory|structure needs cleaning')


class Images(base.ImageStore):
    """See base.ImageStore for the contracts."""

    def __init__(self, engine: docker_client.Engine) -> None:
        self._engine = engine

    def image_id(self, reference: str) -> str | None:
        try:
            with self._engine.ask(f'find image {reference}') as client:
                found: str = client.inspect_image(reference)['Id']
                return found
        except errors.NotFound:
            return None

    def list_images(self, repository: str) -> list[base.StoredImage]:
        with self._engine.ask(f'list images of {repository}') as client:
            rows = client.images(name=repository)
        return [base.StoredImage(reference=tag, id=row['Id'])
                for row in rows for tag in row['RepoTags'] or ()
                if tag.startswith(f'{repository}:')]

    def load_image(self, archive: Iterable[bytes], reference: str) -> str:
        operation = f'load image {reference}'
        source = Source(archive)
        try:
            with self._engine.ask(operation) as client:
                self._load(client, operation, source)
        except errors.EngineError:
            if source.failure is not None:
                # Cut off in the middle of the request, Docker drops what it has.
                raise source.failure from None
            raise
        found = self.image_id(reference)
        if found is None:
            raise errors.InvalidRequest(operation, f'the archive holds no image named {reference}')
        return found

    def remove_image(self, reference: str) -> None:
        try:
            with self._engine.ask(f'remove image {reference}') as client:
                client.remove_image(reference)
        except errors.NotFound:
            pass

    def _load(self, client: Any, operation: str, source: Source) -> None:
        """Send the archive and read the progress, which keeps the answer from timing out."""
        # The SDK's load_image() takes an error's answer for progress.
        with self._engine.stream(
                client, 'POST', '/images/load', data=iter(source), params={'quiet': '0'},
                headers={'Content-Type': 'application/x-tar'}) as response:
            for line in response.iter_lines():
                failure = json.loads(line).get('error') if line else None
                if failure:
                    raise load_error(operation, failure)


class Source:
    """An archive on its way; remembers what it raised itself.

    requests and urllib3 make their own errors of what an iterable raises.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                if chunk:   # an empty one would end the request
                    yield chunk
        except Exception as ex:
            self.failure = ex
            raise


def load_error(operation: str, message: str) -> errors.EngineError:
    """The error for what an engine says of an archive it could not load."""
    failed = _HOST_FAILS.search(message)
    if failed:
        return errors.EngineError(operation, failed[0])
    return errors.InvalidRequest(operation, docker_errors.plain(message))
