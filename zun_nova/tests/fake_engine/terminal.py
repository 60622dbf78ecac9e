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

"""Terminals of the fake engine's containers: what is typed is shown to all who are attached."""

from __future__ import annotations

import contextlib
import threading

from zun_nova.tests.fake_engine import answers

_STDOUT = 1


class Terminal:
    """One container's.

    :param messages: the container's log.
    :ivar size: rows and columns.
    """

    def __init__(self, messages: list[tuple[int, bytes]]) -> None:
        self._messages = messages
        self._lock = threading.Lock()
        self._viewers: list[answers.Duplex] = []
        #: What else ends with the process.
        self.others: list[answers.Duplex] = []
        self.size = (0, 0)

    def talk(self, duplex: answers.Duplex) -> None:
        """Attach a client until it or the process is gone."""
        with self._lock:
            self._viewers.append(duplex)
        try:
            while data := duplex.receive():
                self.write(data)
        finally:
            with self._lock:
                self._viewers.remove(duplex)

    def write(self, data: bytes) -> None:
        """Show it to everybody."""
        with self._lock:
            self._messages.append((_STDOUT, data))
            viewers = list(self._viewers)
        for duplex in viewers:
            with contextlib.suppress(OSError):
                duplex.send(data)

    def hang_up(self) -> None:
        """The process is gone."""
        with self._lock:
            viewers = [*self._viewers, *self.others]
        for duplex in viewers:
            duplex.close()
