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

"""A server's own layers, without those of the image below, from what an engine saves.

An engine saves an image with all its layers. Only the server's own need to
travel: the destination gets the image below from where it gets all images, and
an engine that has a layer does not read it again. Which members of an archive
are which layer is told by its manifest, which is its last member: so it is
read twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import json

from zun_nova.virt import archive as archive_format
from zun_nova.virt import image_json
from zun_nova.virt import tar_stream


@dataclasses.dataclass(frozen=True)
class Saved:
    """Where the one image of a saved archive is, by names of members."""

    config: str
    #: The lowest first. Links are followed.
    layers: tuple[str, ...]


def find(archive: Iterable[bytes]) -> Saved:
    """Read an archive that an engine saved, for where its image is.

    :raises tar_stream.BadArchive: it is cut short, or no archive of one image.
    """
    links: dict[str, str] = {}
    manifest = b''
    reader = tar_stream.Reader(archive)
    for member in reader:
        if member.kind is tar_stream.Kind.LINK:
            links[member.name] = _target(member)
        elif member.name == archive_format.MANIFEST and member.size <= image_json.MAX_BYTES:
            manifest = b''.join(reader.data())
    described = image_json.parse(manifest, archive_format.MANIFEST)
    if not isinstance(described, list) or len(described) != 1:
        raise tar_stream.BadArchive('the engine saved no archive of one image')
    return Saved(described[0]['Config'], tuple(
        links.get(name, name) for name in described[0]['Layers']))


def _target(member: tar_stream.Member) -> str:
    """Equal layers are links such as ../X/layer.tar."""
    parts = member.name.split('/')[:-1]
    for part in member.target.split('/'):
        if part == '..' and parts:
            parts.pop()
        else:
            parts.append(part)
    return '/'.join(parts)


def without_below(archive: Iterable[bytes], saved: Saved, below: int,
                  reference: str) -> Iterator[bytes]:
    """The same archive with the image named ``reference`` and without its lowest layers.

    :param saved: what :func:`find` found in an archive of the same image.
    :param below: how many layers to leave out.
    :raises tar_stream.BadArchive: it is cut short.
    """
    wanted = {saved.config, *saved.layers[below:]}
    reader = tar_stream.Reader(archive)
    for member in reader:
        if member.kind is tar_stream.Kind.FILE and member.name in wanted:
            wanted.remove(member.name)
            yield member.header()
            yield from reader.data()
            yield tar_stream.padding(member.size)
    if wanted:
        raise tar_stream.BadArchive('the engine saved another archive than before')
    # Engines look into a layer only if they lack it; that it is there, Podman wants to see.
    placeholders = [f'below/{number}' for number in range(below)]
    for name in placeholders:
        yield tar_stream.file(name, b'')
    layers = [*placeholders, *saved.layers[below:]]
    manifest = json.dumps([{
        'Config': saved.config, 'RepoTags': [reference], 'Layers': layers}]).encode()
    yield tar_stream.file(archive_format.MANIFEST, manifest) + tar_stream.END
