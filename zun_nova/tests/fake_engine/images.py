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

"""The fake engine's image store."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import json
import secrets
import tarfile
from typing import Any

from zun_nova.tests.fake_engine import answers

_TEXT_BYTES = 4096


@dataclasses.dataclass
class Image:
    """One image."""

    id: str
    config: dict[str, Any]
    #: Names of files in its layers, without directories.
    programs: frozenset[str]
    tags: set[str] = dataclasses.field(default_factory=set)
    #: Names with digest, by which it was pulled.
    digests: set[str] = dataclasses.field(default_factory=set)
    #: Of text, by path.
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    #: All that its configuration says.
    document: dict[str, Any] = dataclasses.field(default_factory=dict)
    #: Tars.
    layers: tuple[bytes, ...] = ()

    def describe(self) -> dict[str, Any]:
        """The answer to /images/NAME/json."""
        return {'Id': self.id, 'RepoTags': sorted(self.tags), 'RepoDigests': sorted(self.digests),
                'Config': self.config, 'Architecture': 'amd64', 'Os': 'linux',
                'Size': sum(map(len, self.layers)),
                'RootFS': {'Type': 'layers', 'Layers': self._diff_ids()}}

    def _diff_ids(self) -> list[str]:
        return list((self.document.get('rootfs') or {}).get('diff_ids') or ())


class Images:
    """Images by content id. Not locked: the engine's lock guards it."""

    def __init__(self) -> None:
        self.by_id: dict[str, Image] = {}

    def find(self, name: str) -> Image:
        """By tag or id; 404 when there is none."""
        full = name if ':' in name else f'{name}:latest'
        for image in self.by_id.values():
            if (full in image.tags or name in image.digests or name == image.id
                    or f'sha256:{name}' == image.id):
                return image
        raise answers.Refused(404, f'no such image: {name}: No such image: {name}')

    def rows(self, repositories: list[str] | None) -> list[dict[str, Any]]:
        """The answer to /images/json: all images, or those of the repositories."""
        described = [image.describe() for image in self.by_id.values()]
        if repositories is None:
            return described
        kept = [{**row, 'RepoTags': [tag for tag in row['RepoTags']
                                     if tag.rpartition(':')[0] in repositories]}
                for row in described]
        return [row for row in kept if row['RepoTags']]

    def load(self, archive: bytes) -> list[str]:
        """Read a docker save archive; returns the tags, raises ValueError for what is none."""
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                manifest = json.loads(_member(tar, 'manifest.json'))
                for entry in manifest:
                    self._load_one(tar, entry)
                return [tag for entry in manifest for tag in entry['RepoTags'] or ()]
        except tarfile.TarError as ex:
            raise ValueError(
                f'Error processing tar file(exit status 1): archive/tar: {ex}') from ex

    def pulled(self, archive: bytes, remote: str) -> None:
        """Have an image by its name in a registry."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            [entry] = json.loads(_member(tar, 'manifest.json'))
            self._load_one(tar, {**entry, 'RepoTags': None}).digests.add(remote)

    def tag(self, name: str, tag: str) -> None:
        """Give an image a tag, taking it from the image that has it."""
        image = self.find(name)
        for other in self.by_id.values():
            other.tags.discard(tag)
        image.tags.add(tag)

    def commit(self, base: Image, whole_config: dict[str, Any], changes: dict[str, Any],
               files: dict[str, bytes], tag: str) -> Image:
        """Make an image of a container.

        :param base: the container's image.
        :param whole_config: the container's.
        :param changes: of it, for the image.
        :param files: content by path of what the container has over its image.
        """
        layer = _layer(files)
        # Docker notes all that of the container.
        document = {
            **base.document, 'container': secrets.token_hex(32), 'container_config': whole_config,
            'config': whole_config | changes, 'docker_version': '20.10.24',
            'rootfs': {'type': 'layers', 'diff_ids': [
                *base.document['rootfs']['diff_ids'], f'sha256:{_digest(layer)}']}}
        image = dataclasses.replace(
            base, id=f'sha256:{_digest(_json(document))}', config=document['config'], tags=set(),
            digests=set(), files=base.files | files, document=document,
            layers=(*base.layers, layer))
        self.by_id[image.id] = image
        self.tag(image.id, tag)
        return image

    def save(self, name: str) -> bytes:
        """The image as Docker 20.10 writes it."""
        image = self.find(name)
        members: dict[str, bytes] = {}
        for layer in image.layers:
            directory = _digest(layer + b'v1')
            members |= {f'{directory}/VERSION': b'1.0', f'{directory}/layer.tar': layer,
                        f'{directory}/json': _json({
                            'id': directory, 'container_config': image.config})}
        config = f'{image.id.removeprefix("sha256:")}.json'
        layers = [member for member in members if member.endswith('/layer.tar')]
        tags = [name] if name in image.tags else None
        members |= {config: _json(image.document),
                    'manifest.json': _json(
                        [{'Config': config, 'RepoTags': tags, 'Layers': layers}]),
                    'repositories': _json({'x': {'1': 'y'}})}
        return _tar(members)

    def remove(self, name: str, users: list[str]) -> list[dict[str, str]]:
        """Take the tag away, and the image when it was its last.

        :param users: ids of containers made of the image.
        """
        image = self.find(name)
        names = len(image.tags) + len(image.digests)
        if users and names <= 1:
            raise answers.Refused(409, (
                f'conflict: unable to remove repository reference "{name}" (must force) - '
                f'container {users[0][:12]} is using its referenced image {image.id[7:19]}'))
        image.tags.discard(name)
        image.digests.discard(name)
        if image.tags or image.digests:
            return [{'Untagged': name}]
        del self.by_id[image.id]
        return [{'Untagged': name}, {'Deleted': image.id}]

    def _load_one(self, tar: tarfile.TarFile, entry: dict[str, Any]) -> Image:
        config = _member(tar, entry['Config'])
        document = json.loads(config)
        # A layer that it has is not read again.
        known = {f'sha256:{_digest(layer)}': layer
                 for image in self.by_id.values() for layer in image.layers}
        layers = tuple(
            known.get(digest) or _member(tar, layer) for layer, digest in itertools.zip_longest(
                entry['Layers'], (document.get('rootfs') or {}).get('diff_ids') or ()))
        programs = frozenset(name for layer in layers for name in _programs(layer))
        files = {path: data for layer in layers for path, data in _texts(layer).items()}
        image = Image(f'sha256:{hashlib.sha256(config).hexdigest()}',
                      document.get('config') or {}, programs, files=files, document=document,
                      layers=layers)
        image = self.by_id.setdefault(image.id, image)
        for tag in entry['RepoTags'] or ():
            if tag != tag.lower() or ' ' in tag:
                raise ValueError('invalid reference format: repository name must be lowercase')
            self.tag(image.id, tag)
        return image


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    try:
        file = tar.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise ValueError(f'open {name}: no such file or directory')
    return file.read()


def _programs(layer: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return [member.name.rpartition('/')[2] for member in tar if not member.isdir()]


def _texts(layer: bytes) -> dict[str, bytes]:
    """Content by path of its files of some lines."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        found = {f'/{member.name}': file.read() for member in tar
                 if member.isreg() and member.size < _TEXT_BYTES
                 and (file := tar.extractfile(member))}
    return {path: data for path, data in found.items() if data.isascii() and b'\0' not in data}


def _layer(files: dict[str, bytes]) -> bytes:
    return _tar({path.lstrip('/'): data for path, data in files.items()})


def _tar(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode='w') as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
