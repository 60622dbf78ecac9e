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

"""Uncompresses what strangers compressed, in bounded memory and to a bounded size."""

from __future__ import annotations

import bz2
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import itertools
import lzma
import re
import sys
from typing import Protocol
import zlib

from zun_nova.virt import tar_stream

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Of what comes out at a time: a kilobyte can hold gigabytes.
PIECE_BYTES = 256 * 1024
#: The most that "xz -9" needs.
_XZ_MEMORY_BYTES = 80 * 1024 * 1024
#: 32 MiB; "zstd --ultra -22 --long" can ask for 2 GiB.
_ZSTD_WINDOW_LOG = 25
_ERRORS = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError)


class Damaged(tar_stream.BadArchive):
    """What is compressed cannot be uncompressed."""

    def __init__(self) -> None:
        super().__init__('its compressed data is damaged or cut short; upload it again')


class _Decompressor(Protocol):
    """What bz2, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's decompressor, in their way."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self.needs_input = not self._zlib.unconsumed_tail and len(found) < max_length
        return found


def _zstd() -> _Decompressor:
    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)


_METHODS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b'\x1f\x8b\x08', _Gzip), (b'\x28\xb5\x2f\xfd', _zstd),
    (b'BZh', bz2.BZ2Decompressor), (b'\xfd7zXZ\0', _xz))
#: Frames without data, with which zstd may begin.
_SKIPPABLE = re.compile(rb'[\x50-\x5f]\x2a\x4d\x18')
MAGIC_BYTES = max(len(magic) for magic, _ in _METHODS)


class Budget:
    """How many bytes may still come out of an archive and of what is in it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0

    def use(self, size: int) -> None:
        """:raises tar_stream.BadArchive: it is used up."""
        self._used += size
        if self._used > self._size:
            raise tar_stream.BadArchive(
                f'it unpacks to more than {self._size / 1024 ** 3:.3g} GiB, the limit of this '
                'cloud; use a smaller image')


def uncompressed(pieces: Iterable[bytes], budget: Budget) -> Iterator[bytes]:
    """The same bytes, or what they are compressed from; in pieces of bounded size.

    :raises Damaged: it cannot be.
    :raises tar_stream.BadArchive: there is more of it than the budget allows.
    """
    rest = iter(pieces)
    begin = b''
    while len(begin) < MAGIC_BYTES and (piece := next(rest, None)) is not None:
        begin += piece
    given = itertools.chain((begin,), rest)
    make = method(begin)
    for piece in given if make is None else _decompressed(given, make):
        budget.use(len(piece))
        yield piece


def method(begin: bytes) -> Callable[[], _Decompressor] | None:
    """What uncompresses what begins so; None when it is not compressed.

    :param begin: MAGIC_BYTES or more, unless it is shorter.
    """
    if _SKIPPABLE.match(begin):
        return _zstd
    return next((make for magic, make in _METHODS if begin.startswith(magic)), None)


def _decompressed(pieces: Iterable[bytes], make: Callable[[], _Decompressor]) -> Iterator[bytes]:
    streams = Streams(make)
    for piece in pieces:
        yield from streams.feed(piece)
    if not streams.complete:
        raise Damaged


class Streams:
    """Compressed streams one after the other, as parallel compressors write them."""

    def __init__(self, make: Callable[[], _Decompressor]) -> None:
        self._make = make
        self._current: _Decompressor | None = make()

    @property
    def complete(self) -> bool:
        """Whether none is left in the middle."""
        return self._current is None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the data holds."""
        while data:
            if self._current is None:
                data = data.lstrip(b'\0')   # tools of tapes fill up with zeros
                if not data:
                    return
                self._current = self._make()
            yield from _uncompress(self._current, data)
            if not self._current.eof:
                return
            data, self._current = self._current.unused_data, None


def _uncompress(stream: _Decompressor, data: bytes) -> Iterator[bytes]:
    while True:
        try:
            found = stream.decompress(data, PIECE_BYTES)
        except _ERRORS as ex:
            raise Damaged from ex
        if found:
            yield found
        if stream.eof or stream.needs_input:
            return
        data = b''
