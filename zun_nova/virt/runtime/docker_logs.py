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

"""A container's output: Docker's framing of it, and its end in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import struct

# https://docs.docker.com/engine/api/v1.41/#tag/Container/operation/ContainerAttach
_HEADER = struct.Struct('>BxxxL')


STDOUT = 1
STDERR = 2


def frames(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """What was written and to which of both outputs, out of Docker's multiplexed stream.

    :param chunks: the stream, cut anywhere.
    """
    header = b''
    channel = left = 0
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            if left:
                yield channel, bytes(view[:left])
                taken = min(left, len(view))
                left -= taken
            else:
                taken = _HEADER.size - len(header)
                header += bytes(view[:taken])
                if len(header) == _HEADER.size:
                    channel, left = _HEADER.unpack(header)
                    header = b''
            view = view[taken:]


def payloads(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same; the order of stdout and stderr is kept, the difference is not."""
    for _, data in frames(chunks):
        yield data


class Tail:
    """Keeps the last bytes of what is fed to it."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._kept = bytearray()
        #: Bytes fed so far.
        self.total = 0

    def feed(self, data: bytes) -> None:
        """Add data at the end."""
        self.total += len(data)
        self._kept += data
        if len(self._kept) > 2 * self._max:   # not at every call: it moves all that is kept
            del self._kept[:-self._max]

    def bytes(self) -> bytes:
        """The last max_bytes, or less when less was fed."""
        return bytes(self._kept[-self._max:])
