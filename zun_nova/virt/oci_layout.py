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

"""Finds the image for a platform in an OCI image layout; pure.

https://github.com/opencontainers/image-spec (v1.1: image-layout, image-index,
manifest). Docker's own media types, which differ in name only, are taken too.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import platform as machine
import re
from typing import Any

from zun_nova.virt import image_json
from zun_nova.virt import tar_stream

#: Of all indexes together: images, their attestations and indexes.
MAX_DESCRIPTORS = 1000

#: Names of the Go world by those of the kernel.
_ARCHITECTURES: Mapping[str, tuple[str, str]] = {
    'x86_64': ('amd64', 'v1'), 'aarch64': ('arm64', 'v8'), 'armv7l': ('arm', 'v7'),
    'armv6l': ('arm', 'v6'), 'i686': ('386', '')}
_CONFIG_TYPES = ('', 'application/vnd.oci.image.config.v1+json',
                 'application/vnd.docker.container.image.v1+json')
_LAYER_TYPE = re.compile(
    r'application/vnd\.(oci|docker)\.image\.[a-z0-9.]+\.tar([+.](gzip|zstd))?')
#: What buildx puts beside images.
_REFERENCE_TYPE = 'vnd.docker.reference.type'

#: The JSON that has this digest; None when it is not there.
Blob = Callable[[str], bytes | None]


@dataclasses.dataclass(frozen=True)
class Platform:
    """What an image is made for."""

    os: str
    architecture: str
    #: The least of the architecture, where it has several.
    variant: str = ''

    def __str__(self) -> str:
        return f'{self.os}/{self.architecture}'


@dataclasses.dataclass(frozen=True)
class Manifest:
    """An image by its digests, "sha256:...".

    :ivar layers: the lowest first.
    """

    config: str
    layers: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Entry:
    """An image in an index."""

    digest: str
    platform: Any


def host_platform() -> Platform:
    """That of this machine."""
    name = machine.machine()
    architecture, variant = _ARCHITECTURES.get(name, (name, ''))
    return Platform('linux', architecture, variant)


def chosen(index: bytes, blob: Blob, platform: Platform) -> Manifest:
    """The image to run.

    An image that is alone is taken whatever it is for, as with archives of
    ``docker save``. Of several that fit, the one without a variant, or with
    the least, is taken.

    :param index: index.json.
    :raises tar_stream.BadArchive: there is none, or it is not clear which.
    """
    entries = list(_entries(index, blob))
    if not entries:
        raise tar_stream.BadArchive('its index.json names no image; save one into the archive')
    entry = entries[0] if len(entries) == 1 else _fitting(entries, blob, platform)
    return _manifest(entry.digest, blob)


def _entries(index: bytes, blob: Blob) -> Iterator[_Entry]:
    """All images of the index and of those in it."""
    todo = image_json.get_list(image_json.parse(index, 'index.json'), 'manifests')
    seen: set[str] = set()
    count = 0
    while todo:
        descriptor = todo.pop()
        count += 1
        if count > MAX_DESCRIPTORS:
            raise tar_stream.BadArchive(
                f'its indexes name more than {MAX_DESCRIPTORS} things; save one image only')
        digest = image_json.get_text(descriptor, 'digest')
        if digest in seen or _is_attestation(descriptor):
            continue
        seen.add(digest)
        document = _document(digest, blob)
        if image_json.get(document, 'manifests') is None:
            yield _Entry(digest, image_json.get(descriptor, 'platform'))
        else:
            todo += image_json.get_list(document, 'manifests')


def _is_attestation(descriptor: Any) -> bool:
    annotations = image_json.get(descriptor, 'annotations')
    platform = image_json.get(descriptor, 'platform')
    return ((isinstance(annotations, dict) and _REFERENCE_TYPE in annotations)
            or image_json.get_text(platform, 'os') == 'unknown')


def _fitting(entries: Iterable[_Entry], blob: Blob, platform: Platform) -> _Entry:
    """The one for this platform."""
    platforms = [(entry, _platform(entry, blob)) for entry in entries]
    found = [(entry, its) for entry, its in platforms if str(its) == str(platform)]
    if not found:
        names = ', '.join(sorted({str(its) for _, its in platforms}))
        raise tar_stream.BadArchive(
            f'it holds no image for {platform}, only {tar_stream.shown(names)}; '
            'save one for this platform')
    if len(found) > 1:
        found = [(entry, its) for entry, its in found if its.variant in ('', platform.variant)]
    if len(found) != 1:
        raise tar_stream.BadArchive(
            f'it holds several images for {platform}; save only one of them')
    return found[0][0]


def _platform(entry: _Entry, blob: Blob) -> Platform:
    """By the index or, where that is silent, by the image's configuration."""
    described = entry.platform
    if described is None:
        config = image_json.get(_document(entry.digest, blob), 'config')
        described = _document(image_json.get_text(config, 'digest'), blob)
    return Platform(*(image_json.get_text(described, name)
                      for name in ('os', 'architecture', 'variant')))


def _manifest(digest: str, blob: Blob) -> Manifest:
    data = blob(digest)
    if data is None:
        raise tar_stream.BadArchive(
            f'its index names the manifest {tar_stream.shown(digest)}, which it does not hold; '
            'make it anew')
    document = image_json.parse(data, 'manifest')
    config = image_json.get(document, 'config')
    layers = image_json.get(document, 'layers')
    if not isinstance(config, dict) or not isinstance(layers, list):
        raise tar_stream.BadArchive('its manifest is none of an image; save it as OCI image')
    _check_types(config, layers)
    return Manifest(image_json.get_text(config, 'digest'),
                    tuple(image_json.get_text(layer, 'digest') for layer in layers))


def _check_types(config: Any, layers: Iterable[Any]) -> None:
    kind = image_json.get_text(config, 'mediaType')
    if kind not in _CONFIG_TYPES:
        raise tar_stream.BadArchive(
            f'it holds {tar_stream.shown(kind)}, no container image; upload a container image')
    for layer in layers:
        kind = image_json.get_text(layer, 'mediaType')
        if not _LAYER_TYPE.fullmatch(kind):
            raise tar_stream.BadArchive(
                f'a layer has the media type {tar_stream.shown(kind)}; only tar, tar+gzip and '
                'tar+zstd can be read')


def _document(digest: str, blob: Blob) -> Any:
    """None when it is not there: an archive may hold the image of one platform of several."""
    data = blob(digest)
    return None if data is None else image_json.parse(data, 'manifest')
