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

"""The registries that the fake engine reaches, with Docker's words for what they answer."""

from __future__ import annotations

import base64
from collections.abc import Iterator
import dataclasses
import hashlib
import json
import threading
from typing import Any

from zun_nova.tests import images as test_images
from zun_nova.tests.fake_engine import answers


@dataclasses.dataclass
class Image:
    """One image in a registry."""

    #: As docker save writes it.
    archive: bytes
    architecture: str
    #: User name and password it is given for; None: to everybody.
    credentials: tuple[str, str] | None
    #: A manifest list with this one image in it.
    is_list: bool
    #: Pulls say how far they are and then nothing more until it is set.
    go_on: threading.Event = dataclasses.field(default_factory=threading.Event)
    #: Set when a pull has begun.
    begun: threading.Event = dataclasses.field(default_factory=threading.Event)
    #: What Docker is told of the size of its layer; None: the archive's.
    layer_bytes: int | None = None
    #: Instead of the image, in the middle of a pull.
    failure: str = ''
    #: Pulls that are under way.
    pulling: int = 0
    asked: int = 0
    pulled: int = 0

    @property
    def platform(self) -> str:
        return f'linux/{self.architecture}'


class Registries:
    """All images of all registries, by name with digest."""

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        #: Error of a registry that answers nothing else, by its host.
        self.broken: dict[str, str] = {}

    def add(self, name: str, archive: bytes, *, architecture: str | None = None,
            credentials: tuple[str, str] | None = None, is_list: bool = False) -> str:
        """Have an image; returns its name with digest."""
        remote = f'{name}@sha256:{hashlib.sha256(archive).hexdigest()}'
        image = self.images[remote] = Image(
            archive, architecture or test_images.architecture(), credentials, is_list)
        image.go_on.set()
        return remote

    def describe(self, remote: str, header: str | None) -> dict[str, Any]:
        """The answer to /distribution/NAME/json."""
        image = self._image(remote, header)
        image.asked += 1
        return {'Descriptor': {'digest': remote.partition('@')[2]},
                'Platforms': [{'os': 'linux', 'architecture': image.architecture}]}

    def pull(self, remote: str, header: str | None) -> Image:
        """The image, for who may have it; its lines are in lines()."""
        return self._image(remote, header)

    @staticmethod
    def lines(image: Image) -> Iterator[dict[str, Any]]:
        """What Docker says while it pulls, without the end; None while it says nothing."""
        image.begun.set()
        image.pulling += 1
        try:
            yield from Registries._lines(image)
        finally:
            image.pulling -= 1

    @staticmethod
    def _lines(image: Image) -> Iterator[dict[str, Any]]:
        yield {'status': 'Pulling from x', 'id': 'x'}
        if image.is_list and image.architecture != test_images.architecture():
            words = (f'no matching manifest for linux/{test_images.architecture()} in the '
                     'manifest list entries')
            yield {'errorDetail': {'message': words}, 'error': words}
            return
        size = image.layer_bytes or len(image.archive)
        for current in (size // 2, size):
            yield {'status': 'Downloading', 'id': 'a1b2',
                   'progressDetail': {'current': current, 'total': size}}
            while not image.go_on.wait(0.05):
                yield {}
        if image.failure:
            yield {'errorDetail': {'message': image.failure}, 'error': image.failure}
            return
        image.pulled += 1
        yield {'status': 'Pull complete', 'progressDetail': {}, 'id': 'a1b2'}

    def _image(self, remote: str, header: str | None) -> Image:
        host = remote.partition('/')[0]
        if host in self.broken:
            raise answers.Refused(500, f'Get "https://{host}/v2/": {self.broken[host]}')
        image = self.images.get(remote)
        if image is None or image.credentials is None:
            if image is None:
                raise answers.Refused(404, 'manifest unknown: manifest unknown')
            return image
        given = json.loads(base64.urlsafe_b64decode(header)) if header else {}
        if not given:
            raise answers.Refused(500, f'Get "https://{host}/v2/": no basic auth credentials')
        if (given['username'], given['password']) != image.credentials:
            # Not Docker's own words but the registry's, which may hold anything.
            raise answers.Refused(401, f'unauthorized: not {given["password"]}')
        return image
