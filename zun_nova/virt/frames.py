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

"""A stream whose end can be told from a break, with its checksum.

Each piece is preceded by its length (32 bits, big endian). After a length of 0
follows the SHA-256 of all pieces.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import hashlib
import struct
from typing import BinaryIO

#: Longer pieces are not read.
MAX_BYTES = 1024 * 1024
_LENGTH = struct.Struct('>I')


class Broken(Exception):
    """The stream ended before its end, or is damaged."""


def written(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The stream of these pieces."""
    digest = hashlib.sha256()
    for piece in pieces:
        for begin in range(0, len(piece), MAX_BYTES):
            part = piece[begin:begin + MAX_BYTES]
            digest.update(part)
            yield _LENGTH.pack(len(part)) + part
    yield _LENGTH.pack(0) + digest.digest()


def read(stream: BinaryIO) -> Iterator[bytes]:
    """The pieces of a stream.

    :raises Broken: not all of it has come.
    """
    digest = hashlib.sha256()
    while length := _LENGTH.unpack(_exactly(stream, _LENGTH.size))[0]:
        if length > MAX_BYTES:
            raise Broken('it is no stream of a server\'s layer')
        piece = _exactly(stream, length)
        digest.update(piece)
        yield piece
    if _exactly(stream, digest.digest_size) != digest.digest():
        raise Broken('it was damaged on its way')


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise Broken('it was cut off')
    return data
