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

"""Rewrites an image's archive on its way into the engine.

The names inside an archive are its author's: loaded as they are, one tenant's
image could take the name of another's. And a layer that the engine has already
is not read again: an archive that only names the layers of another's image
would get them. So the archive is passed on member by member, each layer is
compared with what the configuration says of it, and the manifest is written
anew. Nothing is kept on disk, and memory is bounded.

Two formats, told apart by one rule: an archive with a ``manifest.json`` is
read as ``docker save`` wrote it, whatever else it holds; without one it must
be an OCI image layout (:mod:`zun_nova.virt.oci_layout`). Both go to the engine
with a ``manifest.json``, see https://github.com/moby/docker-image-spec (v1.2,
"Combined Image JSON + Filesystem Changeset Format").
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import json
from typing import Any

from zun_nova.virt import archive_contents
from zun_nova.virt import compression
from zun_nova.virt import image_json
from zun_nova.virt import oci_layout
from zun_nova.virt import tar_stream

MANIFEST = 'manifest.json'
INDEX = 'index.json'
#: Older ways to name the image, and a mark of the format: the manifest replaces them.
_DROPPED = ('repositories', 'oci-layout')
#: Docker's own limit, called maxLayerDepth there.
MAX_LAYERS = 125
DEFAULT_MAX_BYTES = 50 * 1024 ** 3

BadArchive = tar_stream.BadArchive


@dataclasses.dataclass(frozen=True)
class Image:
    """The one image of an archive, by the names of members."""

    config: str
    layers: tuple[str, ...]


def renamed(source: Iterable[bytes], reference: str, max_bytes: int = DEFAULT_MAX_BYTES,
            platform: oci_layout.Platform | None = None,
            below: Sequence[str] = ()) -> Iterator[bytes]:
    """Yield the archive, uncompressed, with its one image named ``reference``.

    One pass. The manifest and the end of the archive are yielded only after
    source has been read to its end, so that an error it raises there (a wrong
    checksum) leaves the engine with a part, of which it keeps nothing.

    :param source: the archive, plain or compressed with gzip, zstd, bzip2 or xz.
    :param max_bytes: of all that is in it when it is unpacked, its layers included.
    :param platform: of the engine; this machine's when left out.
    :param below: digests of its lowest layers, which the engine has: they need not be in it.
    :raises BadArchive: as soon as it is seen.
    """
    budget = compression.Budget(max_bytes)
    plain = compression.uncompressed(source, budget)
    contents = archive_contents.Contents()
    yield from _passed_on(plain, contents, budget)
    for _ in plain:   # The checksum of the whole is known only at its end.
        pass
    contents.check_links()
    image = image_in(contents, platform or oci_layout.host_platform())
    check(contents, image, tuple(below))
    yield _manifest(image, reference) + tar_stream.END


def _passed_on(plain: Iterator[bytes], contents: archive_contents.Contents,
               budget: compression.Budget) -> Iterator[bytes]:
    """All members as they are, but those that name the image; notes them in contents."""
    reader = tar_stream.Reader(plain)
    for given in reader:
        member = contents.add(given)
        if member is None or member.name in _DROPPED:
            continue
        if member.name in (MANIFEST, INDEX):
            contents.texts[member.name] = _text(member, reader)
        else:
            yield member.header()
            yield from contents.watched(member, reader.data(), budget)
            yield tar_stream.padding(member.size)


def _text(member: tar_stream.Member, reader: tar_stream.Reader) -> bytes:
    if member.kind is not tar_stream.Kind.FILE or member.size > image_json.MAX_BYTES:
        raise BadArchive(f'its {member.name} is no file of sensible size; make the archive anew')
    return b''.join(reader.data())


def image_in(contents: archive_contents.Contents, platform: oci_layout.Platform) -> Image:
    """The one image that an archive names, all of whose members have passed.

    :raises BadArchive: there is none, or more than one.
    """
    if MANIFEST in contents.texts:
        return _docker_image(contents.texts[MANIFEST])
    if INDEX in contents.texts:
        chosen = oci_layout.chosen(contents.texts[INDEX], contents.blob, platform)
        return Image(archive_contents.blob_name(chosen.config),
                      tuple(archive_contents.blob_name(layer) for layer in chosen.layers))
    raise BadArchive('it holds neither manifest.json nor index.json; make it with "docker save"')


def _docker_image(text: bytes) -> Image:
    manifest = image_json.parse(text, MANIFEST)
    if not isinstance(manifest, list) or len(manifest) != 1:
        raise BadArchive('its manifest.json must describe exactly one image; save only one')
    config, layers = image_json.get(manifest[0], 'Config'), image_json.get(manifest[0], 'Layers')
    names = [config, *layers] if isinstance(layers, list) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise BadArchive('its manifest.json does not name a configuration and layers; make it '
                         'with "docker save"')
    config, *layers = (archive_contents.plain_name(name) for name in names)
    return Image(config, tuple(layers))


def check(contents: archive_contents.Contents, image: Image,
          below: tuple[str, ...] = ()) -> None:
    """Make sure that the archive holds what the engine would take for its image.

    :raises BadArchive: it does not.
    """
    for name in (image.config, *image.layers[len(below):]):
        if not contents.holds(name):
            raise BadArchive(f'its manifest names {tar_stream.shown(name)}, which it does not '
                             'hold; make it anew')
    if len(image.layers) > MAX_LAYERS:
        raise BadArchive(f'it has {len(image.layers)} layers, and engines mount {MAX_LAYERS}; '
                         'build it with fewer')
    text = contents.texts.get(image.config)
    if text is None:
        raise BadArchive('its configuration is no JSON object of at most '
                         f'{image_json.MAX_BYTES // 1024} KiB; make it with "docker save"')
    config = image_json.parse(text, 'configuration')
    system = image_json.get_text(config, 'os')
    if system not in ('', 'linux'):
        raise BadArchive(f'it is made for {tar_stream.shown(system)}; use an image for linux')
    _check_layers(contents, image, image_json.get(config, 'rootfs'), below)


def _check_layers(contents: archive_contents.Contents, image: Image, rootfs: Any,
                  below: tuple[str, ...]) -> None:
    digests = image_json.get_list(rootfs, 'diff_ids')
    if len(digests) != len(image.layers):
        raise BadArchive(f'its manifest and its configuration differ in the number of layers '
                         f'({len(image.layers)}, {len(digests)}); make it anew')
    if tuple(digests[:len(below)]) != below:
        raise BadArchive('its lowest layers are not those that it is to stand on')
    for number, (name, digest) in enumerate(zip(image.layers, digests, strict=True), 1):
        if number <= len(below):
            continue
        found = contents.digest(name)
        if found is None:
            raise BadArchive(f'its layer {number} is damaged, or no usual tar; make it anew with '
                             '"docker save"')
        if digest != f'sha256:{found}':
            raise BadArchive(f'its layer {number} is not the one that its configuration names; '
                             'make it anew with "docker save"')


def _manifest(image: Image, reference: str) -> bytes:
    """The last member. Nothing of the author's but the names of members."""
    data = json.dumps([{'Config': image.config, 'RepoTags': [reference],
                        'Layers': list(image.layers)}]).encode()
    return tar_stream.file(MANIFEST, data)
