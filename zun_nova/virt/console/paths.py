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

"""Who may open a terminal: the paths that Nova passes from the driver to its proxy."""

from __future__ import annotations

from collections.abc import Callable
import hashlib
import hmac
import re
import secrets
import time

_KEY_BYTES = 32
_PATH = re.compile(r'/console/([0-9a-f-]{36})/([0-9]{1,12})-([0-9a-f]{64})')


class Paths:
    """Makes and checks such paths, without remembering any.

    They are worth nothing after a restart of the service. Any thread may call.

    :param clock: seconds since whenever.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._clock = clock

    def make(self, server: str, seconds: float) -> str:
        """A path by which a terminal of the server can be opened that long, any number of times.

        :param server: its uuid.
        """
        expiry = str(int(self._clock() + seconds) + 1)
        return f'/console/{server}/{expiry}-{self._sign(server, expiry)}'

    def server_of(self, path: str) -> str | None:
        """The server's uuid; None when the path is not one of ours, or too old."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        server, expiry, signature = found.groups()
        genuine = hmac.compare_digest(signature, self._sign(server, expiry))
        return server if genuine and self._clock() < int(expiry) else None

    def _sign(self, server: str, expiry: str) -> str:
        return hmac.new(self._key, f'{server} {expiry}'.encode(), hashlib.sha256).hexdigest()
