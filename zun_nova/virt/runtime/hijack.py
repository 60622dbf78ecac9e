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

"""Connections to the engine that stop being HTTP after the first answer.

For what docker's SDK gets wrong: it hands out the socket below a buffer, and
what the engine sent together with its answer is lost in that
(https://github.com/docker/docker-py/issues/425).
"""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

import h11

_CHUNK = 64 * 1024
_WORDS_LIMIT = 64 * 1024


class Refused(Exception):
    """The engine answered with another status than one that begins a stream.

    :ivar message: the engine's words.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Stream:
    """Bytes both ways. One thread may send while another receives."""

    def __init__(self, connection: socket.socket, received: bytes) -> None:
        self.socket = connection
        self._received = received

    def receive(self) -> bytes:
        """What came next, at least one byte; b'' at the end.

        :raises TimeoutError: nothing came within the socket's timeout.
        :raises OSError: the connection broke.
        """
        if self._received:
            received, self._received = self._received, b''
            return received
        return self.socket.recv(_CHUNK)

    def buffered(self) -> bool:
        """There is something to receive that no poll of the socket shows."""
        return bool(self._received)

    def end_input(self) -> None:
        """Tell the other side that no more will be sent; may be called again."""
        with contextlib.suppress(OSError):   # it is gone already
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End it, also while another thread waits in it; may be called again."""
        with contextlib.suppress(OSError):   # the other side was faster
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def post(path: str, target: str, body: Any, timeout: float) -> Stream:
    """Ask the engine for a stream.

    :param path: of the engine's unix socket.
    :param target: of the request, version and query included, quoted.
    :param body: sent as JSON.
    :param timeout: seconds for each step, also of the stream's socket afterwards.
    :raises Refused: it gives none.
    :raises h11.RemoteProtocolError: what answers does not speak HTTP, or ended in the middle.
    :raises OSError: it cannot be reached.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(path)
        return Stream(connection, _negotiate(connection, target, json.dumps(body).encode()))
    except BaseException:
        connection.close()
        raise


def _negotiate(connection: socket.socket, target: str, body: bytes) -> bytes:
    """Send the request and read the answer; returns what came behind it."""
    protocol = h11.Connection(h11.CLIENT)
    request = h11.Request(method='POST', target=target, headers=[
        ('Host', 'docker'), ('Content-Type', 'application/json'), ('Connection', 'Upgrade'),
        ('Upgrade', 'tcp'), ('Content-Length', str(len(body)))])
    connection.sendall(b''.join(protocol.send(event) or b'' for event in (
        request, h11.Data(data=body), h11.EndOfMessage())))
    while True:
        event = _next_event(protocol, connection)
        # Engines that know nothing of upgrades answer 200 and begin all the same.
        if isinstance(event, h11.InformationalResponse | h11.Response):
            if event.status_code in (101, 200):
                return protocol.trailing_data[0]
            if isinstance(event, h11.Response):
                raise Refused(event.status_code, _words(protocol, connection))


def _next_event(protocol: h11.Connection, connection: socket.socket) -> Any:
    while (event := protocol.next_event()) is h11.NEED_DATA:
        protocol.receive_data(connection.recv(_CHUNK))
    return event


def _words(protocol: h11.Connection, connection: socket.socket) -> str:
    """What the engine says of why not."""
    body = b''
    while isinstance(event := _next_event(protocol, connection), h11.Data):
        body = (body + event.data)[:_WORDS_LIMIT]
    try:
        return str(json.loads(body)['message'])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors='replace').strip()
