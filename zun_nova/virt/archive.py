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

"""Rewrites a ``docker save`` archive on its way into the engine.

The names inside an archive are its author's: loaded as they are, one tenant's
image could take the name of another's. So the archive is passed on member by
member, with only its manifest written anew, and nothing is kept on disk.

The format is that of https://github.com/moby/docker-image-spec (v1.2,
"Combined Image JSON + Filesystem Changeset Format").
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import io
import json
import lzma
import tarfile
from typing import Any
import zlib

MANIFEST = 'manifest.json'
#: They name the image too, each in its own way; manifest.json replaces them.
OTHER_INDEXES = ('repositories', 'index.json', 'oci-layout')
#: Room for a manifest of more layers than an engine can mount.
MAX_MANIFEST_BYTES = 1024 * 1024
#: An image has some files per layer, and engines mount at most 127 layers.
MAX_MEMBERS = 10_000
CHUNK_BYTES = 1024 * 1024
#: Two empty blocks end an archive.
END = bytes(2 * tarfile.BLOCKSIZE)


class BadArchive(Exception):
    """The bytes are no archive of exactly one image; the text says why."""


def renamed(source: Iterable[bytes], reference: str) -> Iterator[bytes]:
    """Yield the archive, uncompressed, with its one image named ``reference``.

    Constant memory, one pass. The end of the archive is yielded only after
    source has been read to its end, so that an error it raises there (a wrong
    checksum) leaves the engine with a truncated archive.

    :param source: the archive, plain or compressed with gzip, bzip2 or xz.
    :raises BadArchive: as soon as it is seen.
    """
    chunks = iter(source)
    manifest: dict[str, Any] | None = None
    names: set[str] = set()
    try:
        with tarfile.open(fileobj=_Reader(chunks), mode='r|*') as archive:
            for member in archive:
                name = _checked_name(member)
                if name in OTHER_INDEXES:
                    continue
                if name in names:
                    raise BadArchive(f'it holds {name!r} twice')
                names.add(name)
                if len(names) > MAX_MEMBERS:
                    raise BadArchive(f'it holds more than {MAX_MEMBERS} files')
                if name == MANIFEST:
                    manifest = _read_manifest(archive, member)
                    yield from _renamed_manifest(manifest, reference)
                else:
                    yield from _member(archive, member)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as ex:
        raise BadArchive(f'it is no tar archive, or is cut short ({ex})') from ex
    _check_complete(manifest, names)
    for _ in chunks:  # The checksum of the whole is known only at its end.
        pass
    yield END


def _checked_name(member: tarfile.TarInfo) -> str:
    name = member.name.removeprefix('./')
    if name.startswith('/') or '..' in name.split('/'):
        raise BadArchive(f'member {member.name!r} points outside the archive')
    if not (member.isreg() or member.isdir() or member.issym()):
        raise BadArchive(f'member {member.name!r} is neither file, directory nor link')
    if member.issym():
        _check_link(name, member.linkname)
    return name


def _check_link(name: str, target: str) -> None:
    """Old engines save equal layers as links to one another, such as ../X/layer.tar."""
    depth = name.count('/')
    for part in target.split('/'):
        depth += -1 if part == '..' else 1
        if depth < 0 or target.startswith('/'):
            raise BadArchive(f'link {name!r} points outside the archive')


def _read_manifest(archive: tarfile.TarFile, member: tarfile.TarInfo) -> dict[str, Any]:
    if not member.isreg() or member.size > MAX_MANIFEST_BYTES:
        raise BadArchive('its manifest.json is no file of sensible size')
    file = archive.extractfile(member)
    assert file is not None  # it is a regular file
    try:
        manifest = json.load(file)
    except ValueError as ex:
        raise BadArchive(f'its manifest.json is no JSON ({ex})') from ex
    if (not isinstance(manifest, list) or len(manifest) != 1
            or not isinstance(manifest[0], dict)):
        raise BadArchive('its manifest.json must describe exactly one image')
    return manifest[0]


def _check_complete(manifest: dict[str, Any] | None, names: set[str]) -> None:
    if manifest is None:
        raise BadArchive('it holds no manifest.json; make the archive with "docker save"')
    layers = manifest.get('Layers')
    for name in [manifest.get('Config'), *(layers if isinstance(layers, list) else [layers])]:
        if not isinstance(name, str) or name.removeprefix('./') not in names:
            raise BadArchive(f'its manifest.json names {name!r}, which it does not hold')


def _renamed_manifest(manifest: dict[str, Any], reference: str) -> Iterator[bytes]:
    data = json.dumps([{**manifest, 'RepoTags': [reference]}]).encode()
    header = tarfile.TarInfo(MANIFEST)
    header.size = len(data)
    yield header.tobuf(tarfile.PAX_FORMAT) + data + _padding(len(data))


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    """One member with header and padding, a chunk at a time."""
    header = tarfile.TarInfo(member.name)
    header.type, header.linkname, header.mode = member.type, member.linkname, member.mode
    if not member.isreg():
        yield header.tobuf(tarfile.PAX_FORMAT)
        return
    header.type = tarfile.REGTYPE  # whatever kind of sparse file it was
    header.size = member.size
    yield header.tobuf(tarfile.PAX_FORMAT)
    file = archive.extractfile(member)
    assert file is not None  # it is a regular file
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
    yield _padding(member.size)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


class _Reader(io.RawIOBase):
    """The iterable as a file that can only be read forward."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._chunks = iter(source)
        self._rest = memoryview(b'')

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            try:
                self._rest = memoryview(next(self._chunks))
            except StopIteration:
                return b''
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)
