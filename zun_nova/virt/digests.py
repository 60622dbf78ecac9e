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

"""What must be known of a file of an archive, told while its bytes pass by."""

from __future__ import annotations

import hashlib
from typing import Any

from zun_nova.virt import compression
from zun_nova.virt import layer_scan


class Digests:
    """SHA-256 of a file and of what it holds when it is compressed, as hexadecimal digits.

    Any file may be a layer: which are is known only when all have passed.
    """

    def __init__(self, budget: compression.Budget) -> None:
        self._budget = budget
        self._begin: bytes | None = b''
        self._whole = hashlib.sha256()
        self._content: Any = self._whole
        self._streams: compression.Streams | None = None
        self._tar = layer_scan.Scanner()

    def update(self, piece: bytes) -> None:
        """The next bytes.

        :raises tar_stream.BadArchive: there is more of it than the budget allows.
        """
        self._whole.update(piece)
        if self._begin is not None:
            self._begin += piece
            if len(self._begin) < compression.MAGIC_BYTES:
                return
            make = compression.method(self._begin)
            if make is not None:
                self._streams, self._content = compression.Streams(make), hashlib.sha256()
            piece, self._begin = self._begin, None
        if self._content is self._whole:
            self._budget.use(self._tar.update(piece))
        elif self._streams is not None:
            self._uncompress(self._streams, piece)

    def whole(self) -> str:
        """Of the file as it is."""
        return self._whole.hexdigest()

    def content(self) -> str | None:
        """Of what it holds; None when it is damaged, or no tar that can be read safely."""
        if self._tar.broken or not (self._streams is None or self._streams.complete):
            return None
        return str(self._content.hexdigest())

    def _uncompress(self, streams: compression.Streams, piece: bytes) -> None:
        try:
            for found in streams.feed(piece):
                self._content.update(found)
                self._budget.use(len(found) + self._tar.update(found))
        except compression.Damaged:   # no matter unless a layer is wanted of it
            self._streams, self._tar.broken = None, True
