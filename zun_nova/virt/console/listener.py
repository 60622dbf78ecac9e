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

"""Where nova-serialproxy reaches the terminals of a host's servers.

The proxy connects, sends ``CONNECT PATH HTTP/1.1`` and an empty line, and takes an answer with
200 for the beginning of the terminal. It must get an answer, whatever it is: it waits for the end
of one for ever, at full speed, even when the connection is closed
(nova/console/websocketproxy.py).
"""

from __future__ import annotations

import collections
from collections.abc import Callable
import contextlib
import dataclasses
import socket
import threading
import time

from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt.console import session
from zun_nova.virt.runtime import streams

LOG = logging.getLogger(__name__)

_HEAD_LIMIT = 4096
_HEAD_SECONDS = 10
#: Who has shown no secret yet.
_STRANGERS_LIMIT = 64
_STOP_SECONDS = 10


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much of it there may be."""

    sessions: int
    sessions_per_server: int
    #: Seconds; 0: none.
    idle_timeout: float
    #: Seconds for who connects to say what he wants.
    head_timeout: float = _HEAD_SECONDS
    #: Seconds; see session.STALLED.
    stalled: float = session.STALLED


class Listener:
    """Listens from start() to stop(); a connection has one thread and a session two.

    :param server_of: the uuid of the server that a path opens, None for none.
    :param open_terminal: a server's terminal, by its uuid.
    """

    def __init__(self, address: str, port: int, limits: Limits,
                 server_of: Callable[[str], str | None],
                 open_terminal: Callable[[str], streams.Terminal]) -> None:
        self._address = address
        self._wanted_port = port
        self._limits = limits
        self._server_of = server_of
        self._open_terminal = open_terminal
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._strangers = 0
        self._sessions: dict[session.Session, tuple[str, threading.Thread]] = {}

    @property
    def port(self) -> int:
        """Where it listens, after start()."""
        assert self._socket is not None
        port: int = self._socket.getsockname()[1]
        return port

    def start(self) -> None:
        """Listen; nothing to do when it does.

        :raises errors.ConsoleUnavailable: it cannot.
        """
        with self._lock:
            if self._socket is not None:
                return
            where = f'{self._address}:{self._wanted_port}'
            try:
                family, _, _, _, found = socket.getaddrinfo(
                    self._address, self._wanted_port, type=socket.SOCK_STREAM)[0]
                self._socket = socket.create_server(found[:2], family=family)
            except OSError as ex:
                raise errors.ConsoleUnavailable(
                    where, f'{ex.strerror or ex}. Set [serial_console] proxyclient_address to an '
                    'address of this host and [zun_nova] console_port to a free port') from ex
            self._accepting = threading.Thread(
                target=self._accept, args=(self._socket,), daemon=True, name='console-accept')
            self._accepting.start()
        LOG.info('Serial consoles are at %s:%s', self._address, self.port)

    def stop(self) -> None:
        """Listen no more and end all sessions; may be called again."""
        with self._lock:
            listening, self._socket = self._socket, None
            accepting, self._accepting = self._accepting, None
        if listening is None or accepting is None:
            return
        _close(listening)
        accepting.join(_STOP_SECONDS)
        with self._lock:
            sessions = dict(self._sessions)
        for each in sessions:
            each.end('The compute service of this host was stopped; connect again')
        deadline = time.monotonic() + _STOP_SECONDS
        for _, thread in sessions.values():
            thread.join(max(0, deadline - time.monotonic()))

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                viewer, peer = listening.accept()
            except OSError as ex:
                if listening.fileno() < 0 or self._socket is not listening:
                    return
                LOG.warning('Could not accept a console: %s', ex)
                time.sleep(1)   # such as too many open files
                continue
            with self._lock:
                welcome = self._strangers < _STRANGERS_LIMIT
                self._strangers += welcome
            if welcome:
                threading.Thread(target=self._serve, args=(viewer, peer[0]), daemon=True,
                                 name='console').start()
            else:
                _answer(viewer, '503 Too many connections')
                _close(viewer)

    def _serve(self, viewer: socket.socket, peer: str) -> None:
        try:
            try:
                server = self._authenticate(viewer, peer)
            finally:
                with self._lock:
                    self._strangers -= 1
            if server is not None:
                self._run(viewer, server, peer)
        finally:
            _close(viewer)

    def _authenticate(self, viewer: socket.socket, peer: str) -> str | None:
        """The uuid of the server that may be shown; None after a refusal."""
        path = _requested(viewer, self._limits.head_timeout)
        server = None if path is None else self._server_of(path)
        if server is None:
            LOG.warning('Refused a serial console to %s', peer)
            _answer(viewer, '400 Bad Request' if path is None else '403 Forbidden')
        return server

    def _run(self, viewer: socket.socket, server: str, peer: str) -> None:
        _answer(viewer, '200 OK')
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        viewer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made = session.Session(viewer, lambda: self._open_terminal(server),
                               self._limits.idle_timeout, self._limits.stalled)
        refusal = self._admit(made, server)
        if refusal:
            session.tell(viewer, refusal)
            LOG.warning('Refused a serial console of server %s to %s: %s', server, peer, refusal)
            return
        LOG.info('Serial console of server %s opened by %s', server, peer)
        began = time.monotonic()
        try:
            made.run()
        finally:
            with self._lock:
                del self._sessions[made]
            LOG.info('Serial console of server %s closed by %s after %d s, %d bytes shown and %d '
                     'typed: %s', server, peer, time.monotonic() - began, made.shown, made.typed,
                     made.reason)

    def _admit(self, made: session.Session, server: str) -> str:
        """Count it; returns why not, if not."""
        with self._lock:
            open_now = collections.Counter(known for known, _ in self._sessions.values())
            if self._socket is None:
                return 'The compute service of this host is being stopped'
            if open_now[server] >= self._limits.sessions_per_server:
                return 'This server has as many consoles open as it may have; close another'
            if open_now.total() >= self._limits.sessions:
                return 'This host has as many consoles open as it may have; try later'
            self._sessions[made] = (server, threading.current_thread())
            return ''


def _requested(viewer: socket.socket, seconds: float) -> str | None:
    """The path of a CONNECT request; None when there is none in time, or too much."""
    head = b''
    deadline = time.monotonic() + seconds
    try:
        # Byte by byte from the end of the shortest: what follows is typed already.
        while not head.endswith(b'\r\n\r\n'):
            left = deadline - time.monotonic()
            if left <= 0 or len(head) >= _HEAD_LIMIT:
                return None
            viewer.settimeout(left)
            data = viewer.recv(1)
            if not data:
                return None
            head += data
        method, path, version = head.decode('ascii').split('\r\n')[0].split(' ')
    except (OSError, ValueError):
        return None
    return path if method == 'CONNECT' and version.startswith('HTTP/1.') else None


def _answer(viewer: socket.socket, status: str) -> None:
    with contextlib.suppress(OSError):   # nobody is there
        viewer.settimeout(_HEAD_SECONDS)
        viewer.sendall(f'HTTP/1.1 {status}\r\n\r\n'.encode())


def _close(closing: socket.socket) -> None:
    with contextlib.suppress(OSError):   # the other side was faster
        closing.shutdown(socket.SHUT_RDWR)
    closing.close()
