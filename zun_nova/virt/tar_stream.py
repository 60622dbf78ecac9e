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

"""Reads a tar archive of a stranger from a stream, in bounded memory.

Python's tarfile is made for archives of friends: it reads long names and
extended headers into memory whatever size they claim, follows chains of them
by recursion and keeps every member it has seen. So only its parser of single
headers is used here.

Formats: POSIX.1-2001 (pax), POSIX.1-1988 (ustar) and GNU tar's own, see
https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import enum
import re
import tarfile

BLOCK = tarfile.BLOCKSIZE
#: Two empty blocks end an archive.
END = bytes(2 * BLOCK)
#: Room for a long name, and for the times and attributes that pax headers tell besides.
MAX_EXTENSION_BYTES = 64 * 1024
#: A name, a link's target, a pax header of the member and one of the archive may precede one.
MAX_EXTENSIONS = 4
_ENCODING = 'utf-8'
_RECORD = re.compile(rb'([1-9][0-9]{0,6}) ([^=]+)=')
_SIZE = re.compile(r'[0-9]{1,18}')
_EXTENSIONS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE,
               tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)


class BadArchive(Exception):
    """The archive is not what can be made an image of; the text says why and what to do.

    It is shown to the owner behind some other words, so it is short, and all
    that it quotes went through :func:`shown`.
    """


class Kind(enum.Enum):
    FILE = enum.auto()
    DIRECTORY = enum.auto()
    LINK = enum.auto()   # symbolic
    OTHER = enum.auto()


@dataclasses.dataclass(frozen=True)
class Member:
    """One member; its data is read from the Reader."""

    name: str
    kind: Kind
    #: Of its data in bytes; 0 for all but files.
    size: int = 0
    #: Of a symbolic link, as it is written.
    target: str = ''

    def header(self) -> bytes:
        """Its header in an archive of our own making."""
        info = tarfile.TarInfo(self.name)
        info.type = _TYPES[self.kind]
        info.size, info.linkname = self.size, self.target
        info.mode = 0o755 if self.kind is Kind.DIRECTORY else 0o644
        return info.tobuf(tarfile.PAX_FORMAT, _ENCODING, 'surrogateescape')


_TYPES = {Kind.FILE: tarfile.REGTYPE, Kind.DIRECTORY: tarfile.DIRTYPE, Kind.LINK: tarfile.SYMTYPE}
_KINDS = {type_: kind for kind, type_ in _TYPES.items()} | {
    tarfile.AREGTYPE: Kind.FILE, tarfile.CONTTYPE: Kind.FILE}


def file(name: str, data: bytes) -> bytes:
    """A whole member of an archive of our own making."""
    return Member(name, Kind.FILE, len(data)).header() + data + padding(len(data))


def padding(size: int) -> bytes:
    """What follows data of this size, up to the next block."""
    return bytes(-size % BLOCK)


def shown(text: object) -> str:
    """What a stranger wrote, short and in plain ASCII, for an error's text."""
    words = ascii(text)
    return words if len(words) <= 45 else f'{words[:30]}...{words[-12:]}'


class Reader:
    """The members of an archive in their order, once.

    Iterate over it, and over :meth:`data` for the data of the member last
    given; what is not read is skipped.

    :param source: the archive, not compressed. After the last member its rest
        is not read.
    """

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source = _Source(source)
        self._left = 0   # of the present member's data
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        """:raises BadArchive: as soon as it is seen."""
        while (member := self._next()) is not None:
            self._left, self._padding = member.size, -member.size % BLOCK
            yield member
            for _ in self.data():
                pass
            self._source.exactly(self._padding)

    def data(self) -> Iterator[bytes]:
        """The rest of the present member's data, in the pieces in which it comes."""
        while self._left:
            piece = self._source.piece(self._left)
            self._left -= len(piece)
            yield piece

    def _next(self) -> Member | None:
        """The next header with what precedes it; None at the end."""
        extension: dict[str, str] = {}
        for _ in range(MAX_EXTENSIONS + 1):
            info = self._header(first=not extension)
            if info is None:
                return None
            if info.type not in _EXTENSIONS:
                return _member(info, extension)
            extension |= _extension(info, self._extension_data(info))
        raise BadArchive('a member has too many extended headers; make it anew with "docker save"')

    def _header(self, first: bool) -> tarfile.TarInfo | None:
        block = self._source.block()
        if first and (not block or not any(block)):
            return None
        try:
            return tarfile.TarInfo.frombuf(block, _ENCODING, 'surrogateescape')
        except (tarfile.HeaderError, ValueError) as ex:
            raise BadArchive('it is no tar archive, or is damaged or cut short; upload the output '
                             'of "docker save" again') from ex

    def _extension_data(self, info: tarfile.TarInfo) -> bytes:
        if not 0 <= info.size <= MAX_EXTENSION_BYTES:
            raise BadArchive(f'a member has an extended header of {info.size} bytes; at most '
                             f'{MAX_EXTENSION_BYTES} are read')
        data = self._source.exactly(info.size)
        self._source.exactly(-info.size % BLOCK)
        return data


def _member(info: tarfile.TarInfo, extension: Mapping[str, str]) -> Member:
    name = extension.get('path', info.name)
    if '\0' in name:
        raise BadArchive(f'the name of member {shown(name)} has a NUL in it')
    if info.type == tarfile.GNUTYPE_SPARSE or any(
            key.startswith('GNU.sparse') for key in extension):
        raise BadArchive(f'member {shown(name)} is a sparse file; make the archive without')
    kind = _KINDS.get(info.type, Kind.OTHER)
    return Member(name, kind, _size(info, name, extension) if kind is Kind.FILE else 0,
                  extension.get('linkpath', info.linkname) if kind is Kind.LINK else '')


def _size(info: tarfile.TarInfo, name: str, extension: Mapping[str, str]) -> int:
    words = extension.get('size', str(info.size))
    if not _SIZE.fullmatch(words):
        raise BadArchive(f'member {shown(name)} says that its size is {shown(words)}')
    return int(words)


def _extension(info: tarfile.TarInfo, data: bytes) -> dict[str, str]:
    """What it says of the member that follows."""
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {'path': _text(data.rstrip(b'\0'))}
    if info.type == tarfile.GNUTYPE_LONGLINK:
        return {'linkpath': _text(data.rstrip(b'\0'))}
    found = records(data)
    if info.type == tarfile.XGLTYPE:
        if {'path', 'linkpath', 'size'} & set(found):
            raise BadArchive('a global header names all members; make it anew with "docker save"')
        return {}
    return found


def records(data: bytes) -> dict[str, str]:
    """The records of a pax header.

    :raises BadArchive: it is damaged.
    """
    found, position = {}, 0
    while position < len(data):
        match = _RECORD.match(data, position)
        end = position + int(match[1]) if match else 0
        if match is None or end <= match.end() or data[end - 1:end] != b'\n':
            raise BadArchive('an extended header in it is damaged; make it anew')
        found[_text(match[2])] = _text(data[match.end():end - 1])
        position = end
    return found


def _text(data: bytes) -> str:
    return data.decode(_ENCODING, 'surrogateescape')


class _Source:
    """Bytes that come in pieces of any size."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b''
        self._position = 0

    def piece(self, most: int) -> bytes:
        """Some bytes, at least one.

        :raises BadArchive: there are none left.
        """
        found = self._some(most)
        if not found:
            raise BadArchive('it is cut short; upload it again')
        return found

    def exactly(self, size: int) -> bytes:
        """So many bytes."""
        found = bytearray()
        while len(found) < size:
            found += self.piece(size - len(found))
        return bytes(found)

    def block(self) -> bytes:
        """A block; nothing at the end, where archives may lack their last blocks."""
        begin = self._some(BLOCK)
        return begin and begin + self.exactly(BLOCK - len(begin))

    def _some(self, most: int) -> bytes:
        while self._position == len(self._rest):
            piece = next(self._pieces, None)
            if piece is None:
                return b''
            self._rest, self._position = piece, 0
        begin = self._position
        self._position = min(len(self._rest), begin + most)
        return bytes(self._rest[begin:self._position])
