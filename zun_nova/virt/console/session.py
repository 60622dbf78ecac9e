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

"""One person at one terminal."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import select
import socket
import threading
import time

from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt.runtime import streams

LOG = logging.getLogger(__name__)

#: Seconds somebody may take to receive what there is; what writes to the terminal waits so long.
STALLED = 30

_CHUNK = 16 * 1024


class Session:
    """Carries bytes between a connection and a terminal, in two threads.

    What one side does not take is not read from the other: nothing piles up.

    :param viewer: the connection; closed in the end.
    :param open_terminal: gets the terminal, which is closed in the end.
    :param idle_timeout: seconds without a byte either way; 0: for ever.
    :param stalled: seconds for :data:`STALLED`.
    """

    def __init__(self, viewer: socket.socket, open_terminal: Callable[[], streams.Terminal],
                 idle_timeout: float, stalled: float = STALLED) -> None:
        self._viewer = viewer
        self._open_terminal = open_terminal
        self._idle_timeout = idle_timeout
        self._stalled = stalled
        self._active = time.monotonic()
        #: Why it ended.
        self.reason = ''
        self._ending = threading.Lock()
        #: Bytes shown and typed.
        self.shown = self.typed = 0

    def run(self) -> None:
        """Returns when it has ended; the person was told why, if still there."""
        self._viewer.settimeout(self._stalled)
        try:
            terminal = self._open_terminal()
        except errors.EngineError as ex:
            self.end(str(ex))
            return
        outward = threading.Thread(target=self._show, args=(terminal,), daemon=True,
                                   name='console-show')
        outward.start()
        try:
            self._type(terminal)
        finally:
            terminal.close()
            outward.join()

    def end(self, reason: str) -> None:
        """End it, from any thread; may be called again. The first reason counts."""
        with self._ending:
            if self.reason:
                return
            self.reason = reason
        tell(self._viewer, reason)
        self._wake()

    def _show(self, terminal: streams.Terminal) -> None:
        """Until the terminal or the person is gone."""
        try:
            while data := terminal.receive():
                self._viewer.sendall(data)
                self.shown += len(data)
                self._active = time.monotonic()
            self.end('What ran in this terminal has ended')
        except errors.EngineError as ex:
            self.end(str(ex))
        except TimeoutError:
            self._leave(f'it did not take what was shown for {self._stalled:g} s')
        except OSError as ex:
            self._leave(str(ex))

    def _type(self, terminal: streams.Terminal) -> None:
        """Until the person is gone, or idle for too long."""
        while True:
            try:
                data = self._viewer.recv(_CHUNK)
            except TimeoutError:
                if self._is_idle():
                    self.end(f'Nothing happened here for {self._idle_timeout:g} s')
                    return
                continue
            except OSError as ex:
                self._leave(str(ex))
                return
            if not data:
                self._leave('left')
                return
            self._active = time.monotonic()
            self.typed += len(data)
            try:
                terminal.send(data)
            except errors.EngineTimeout as ex:
                self.end(str(ex))
                return

    def _leave(self, reason: str) -> None:
        """There is nobody to tell."""
        with self._ending:
            self.reason = self.reason or reason
        self._wake()

    def _wake(self) -> None:
        """Who waits in the connection."""
        with contextlib.suppress(OSError):   # the other side was faster
            self._viewer.shutdown(socket.SHUT_RDWR)

    def _is_idle(self) -> bool:
        idle = time.monotonic() - self._active
        return bool(self._idle_timeout) and idle >= self._idle_timeout


def tell(viewer: socket.socket, message: str) -> None:
    """Show a line of ours to who is there; what cannot be sent at once is lost."""
    poll = select.poll()
    with contextlib.suppress(OSError, ValueError):   # nobody is there
        poll.register(viewer, select.POLLOUT)
        if poll.poll(0):
            viewer.send(f'\r\n[{message}]\r\n'.encode())
