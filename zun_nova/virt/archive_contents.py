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

"""What an archive holds, as far as it must be known when its manifest is read."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import itertools
import re

from zun_nova.virt import compression
from zun_nova.virt import digests
from zun_nova.virt import image_json
from zun_nova.virt import tar_stream

#: A layout can hold an image for many platforms, each with as many layers as engines mount.
MAX_MEMBERS = 10_000
MAX_NAME_BYTES = 512
MAX_DEPTH = 16
#: Of all JSON in an archive.
MAX_TEXT_BYTES = 8 * image_json.MAX_BYTES

_BLOB = re.compile('blobs/sha256/([0-9a-f]{64})')
_DIGEST = re.compile('sha256:[0-9a-f]{64}')
_Kind = tar_stream.Kind


def blob_name(digest: str) -> str:
    """Where an OCI layout keeps what has this digest.

    :raises tar_stream.BadArchive: it is no SHA-256.
    """
    if not _DIGEST.fullmatch(digest):
        raise tar_stream.BadArchive(
            f'it names {tar_stream.shown(digest)}, which is no SHA-256; make the archive anew')
    return 'blobs/' + digest.replace(':', '/')


def plain_name(name: str) -> str:
    """A name as members are known by: without empty parts."""
    return '/'.join(_parts(name))


class Contents:
    """The members of one archive; a few hundred bytes for each."""

    def __init__(self) -> None:
        #: JSON documents by name.
        self.texts: dict[str, bytes] = {}
        #: SHA-256 of what each file holds, uncompressed; None when it is no tar, or damaged.
        self._digests: dict[str, str | None] = {}
        self._kinds: dict[str, _Kind] = {}
        #: The member that each link leads to, by its name.
        self._links: dict[str, str] = {}
        self._count = 0
        self._text_bytes = 0

    def add(self, member: tar_stream.Member) -> tar_stream.Member | None:
        """Note a member; returns it by its plain name, None for the root directory.

        :raises tar_stream.BadArchive: it has no place in an image.
        """
        self._count += 1
        if max(self._count, len(self._kinds)) > MAX_MEMBERS:
            raise tar_stream.BadArchive(
                f'it holds more than {MAX_MEMBERS} files; make it with "docker save"')
        name = _checked_name(member)
        if not name:
            return None
        self._place(name, member.kind)
        if member.kind is not _Kind.LINK:
            return dataclasses.replace(member, name=name)
        target = _target(name, member.target)
        self._links[name] = target
        up = '../' * name.count('/')
        return dataclasses.replace(member, name=name, target=up + target)

    def watched(self, member: tar_stream.Member, pieces: Iterable[bytes],
                budget: compression.Budget) -> Iterator[bytes]:
        """The data of a member; notes its digest, and its text when it is JSON.

        :raises tar_stream.BadArchive: its name tells another digest.
        """
        passed = digests.Digests(budget)
        text = _Text()
        for piece in pieces:
            passed.update(piece)
            text.update(piece)
            yield piece
        blob = _BLOB.fullmatch(member.name)
        if blob and blob[1] != passed.whole():
            raise tar_stream.BadArchive(
                f'blob {blob[1][:12]} is damaged: its SHA-256 is another; make the archive anew')
        if member.kind is _Kind.FILE:
            self._digests[member.name] = passed.content()
            if text.data:
                self._remember(member.name, bytes(text.data))

    def check_links(self) -> None:
        """Make sure that links lead to files.

        :raises tar_stream.BadArchive: one does not.
        """
        for name, target in self._links.items():
            if self._kinds.get(target) is not _Kind.FILE:
                raise _bad(name, 'links to no file of the archive; make it with "docker save"')

    def holds(self, name: str) -> bool:
        """Whether it is a file or leads to one."""
        return self._links.get(name, name) in self._digests

    def digest(self, name: str) -> str | None:
        """SHA-256 of what the file holds, uncompressed; None when it is no tar, or damaged."""
        return self._digests.get(self._links.get(name, name))

    def blob(self, digest: str) -> bytes | None:
        """The JSON that has this digest; None when it is not there, or no JSON."""
        return self.texts.get(blob_name(digest))

    def _place(self, name: str, kind: _Kind) -> None:
        """No member in two ways: what the engine unpacks last would win."""
        for parent in itertools.accumulate(name.split('/')[:-1], '{}/{}'.format):
            if self._kinds.setdefault(parent, _Kind.DIRECTORY) is not _Kind.DIRECTORY:
                raise _bad(name, 'lies in a file or link; make the archive with "docker save"')
        if name in self._kinds and not self._kinds[name] is kind is _Kind.DIRECTORY:
            raise _bad(name, 'is there twice; make the archive with "docker save"')
        self._kinds[name] = kind

    def _remember(self, name: str, text: bytes) -> None:
        self._text_bytes += len(text)
        if self._text_bytes > MAX_TEXT_BYTES:
            raise tar_stream.BadArchive(
                f'it holds more than {MAX_TEXT_BYTES // 1024 ** 2} MiB of JSON; make it with '
                '"docker save"')
        self.texts[name] = text


class _Text:
    """The data of a member as long as it may be JSON of sensible size."""

    def __init__(self) -> None:
        self.data: bytearray | None = bytearray()

    def update(self, piece: bytes) -> None:
        if self.data is not None:
            self.data += piece
            if (len(self.data) > image_json.MAX_BYTES
                    or bytes(self.data[:64]).lstrip()[:1] not in (b'', b'{')):
                self.data = None


def _checked_name(member: tar_stream.Member) -> str:
    parts = _parts(member.name)
    if member.name.startswith('/') or '..' in parts:
        raise _bad(member.name, 'points outside the archive; make it with "docker save"')
    if member.kind is _Kind.OTHER:
        raise _bad(member.name, 'is no file, directory or symbolic link; make the archive with '
                   '"docker save"')
    if len(parts) > MAX_DEPTH or _is_long(member.name) or _is_long(member.target):
        raise _bad(member.name, 'has too long a path; make the archive with "docker save"')
    return '/'.join(parts)


def _target(name: str, target: str) -> str:
    """The name of the member a link leads to.

    Old engines save equal layers as links to one another, such as
    ../X/layer.tar. After a name, ".." could lead through another link.
    """
    to = _parts(target)
    base = name.split('/')[:-1]
    while to[:1] == ['..'] and base:
        del to[0], base[-1]
    if target.startswith('/') or '..' in to:
        raise _bad(name, 'is a link that points outside the archive; make it with "docker save"')
    return '/'.join(base + to)


def _parts(name: str) -> list[str]:
    return [part for part in name.split('/') if part not in ('', '.')]


def _is_long(name: str) -> bool:
    return len(name.encode('utf-8', 'surrogateescape')) > MAX_NAME_BYTES


def _bad(name: str, words: str) -> tar_stream.BadArchive:
    return tar_stream.BadArchive(f'member {tar_stream.shown(name)} {words}')
