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

"""The fake engine behind a real HTTP server on a unix socket."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import http.server
import pathlib
import re
import select
import shutil
import socket
import socketserver
import tempfile
import threading
import time
from typing import Any
from urllib import parse

import fixtures

from zun_nova.tests.fake_engine import answers
from zun_nova.tests.fake_engine import container
from zun_nova.tests.fake_engine import engine


@dataclasses.dataclass
class _Fault:
    """What goes wrong with the next request that matches."""

    method: str
    path: re.Pattern[str]
    status: int | None
    message: str
    close: bool
    lose_answer: bool
    delay: float
    times: int


class FakeEngine(fixtures.Fixture):  # type: ignore[misc]  # fixtures has no types
    """A Docker engine to talk to, at :attr:`url`.

    :ivar url: unix:///...; the same after stop() and start().
    :ivar engine: its state; info and version may be changed.
    :ivar requests: (method, path) of every request, paths without API version.
    """

    def _setUp(self) -> None:
        # Not the test's own temporary directory: a socket's path is short.
        directory = pathlib.Path(tempfile.mkdtemp(prefix='fake-engine-', dir='/tmp'))
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self._socket = directory / 'docker.sock'
        sandboxes = directory / 'netns'
        sandboxes.mkdir()
        self.url = f'unix://{self._socket}'
        self.engine = engine.Engine(sandboxes)
        self.requests: list[tuple[str, str]] = []
        self._faults: list[_Fault] = []
        self._server: _Server | None = None
        self.start()
        self.addCleanup(self.stop)

    @property
    def containers(self) -> dict[str, container.Container]:
        """By name, holders of networks among them."""
        return self.engine.containers

    def start(self) -> None:
        """Listen; what was there before stop() is still there."""
        self._socket.unlink(missing_ok=True)
        self._server = _Server(str(self._socket), self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Cut all connections and listen no more; containers run on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.close()
            self._server = None
            self._socket.unlink(missing_ok=True)

    def fail_next(self, method: str, path: str, *, status: int | None = None, message: str = '',
                  close: bool = False, lose_answer: bool = False, delay: float = 0,
                  times: int = 1) -> None:
        """Let the next requests go wrong.

        :param path: regular expression for all of the path, without API version.
        :param status: is answered instead of doing it.
        :param close: the connection is closed instead of doing it.
        :param lose_answer: it is done, then the connection is closed.
        :param delay: seconds before anything else happens.
        """
        self._faults.append(_Fault(
            method, re.compile(path), status, message, close, lose_answer, delay, times))

    def kill_session(self, leader: int, container_id: str) -> int:
        """In the place of zun_nova.virt.runtime.sessions.kill."""
        return self.engine.execs.kill(leader, container_id)

    def fault_for(self, method: str, path: str) -> _Fault | None:
        """Take the fault that this request meets."""
        for fault in self._faults:
            if fault.method == method and fault.path.fullmatch(path):
                fault.times -= 1
                if not fault.times:
                    self._faults.remove(fault)
                return fault
        return None


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: str, fake: FakeEngine) -> None:
        super().__init__(path, _Handler)
        self.fake = fake
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        self.server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that go away are part of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server: _Server

    def do_GET(self) -> None:
        fake = self.server.fake
        split = parse.urlsplit(self.path)
        path = re.sub(r'^/v\d+\.\d+', '', parse.unquote(split.path))
        fake.requests.append((self.command, path))
        fault = fake.fault_for(self.command, path)
        if fault is not None:
            time.sleep(fault.delay)
            if fault.close:
                self.close_connection = True
                return
        body = self._body()
        if body is None:   # cut off: Docker does not do half a request
            self.close_connection = True
            return
        if fault is not None and fault.status is not None:
            self._send(answers.of_json({'message': fault.message}, fault.status))
            return
        query = dict(parse.parse_qsl(split.query, keep_blank_values=True))
        if 'X-Registry-Auth' in self.headers:
            query['X-Registry-Auth'] = self.headers['X-Registry-Auth']
        answer = fake.engine.call(self.command, path, query, body)
        if fault is not None and fault.lose_answer:
            self.close_connection = True
            return
        self._send(answer)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET   # noqa: N815 - the base class names them so

    def address_string(self) -> str:
        return 'unix'

    def log_message(self, format: str, *args: Any) -> None:   # the base class names it so
        """Nothing: the tests' output is not the place."""

    def _send(self, answer: answers.Answer) -> None:
        if answer.talk is not None:
            self.close_connection = True
            duplex = _Duplex(self.rfile, self.connection)
            answer.talk(duplex)
            duplex.send(b'')
            return
        self.send_response(answer.status)
        self.send_header('Content-Type', answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.pieces is not None:
            self._send_pieces(answer.pieces)
            return
        if answer.status not in (204, 304):
            self.send_header('Content-Length', str(len(answer.body)))
        self.end_headers()
        if answer.status not in (204, 304) and self.command != 'HEAD':
            self.wfile.write(answer.body)

    def _send_pieces(self, pieces: Iterator[bytes]) -> None:
        """Chunked, to its end or until the client goes away or the engine is stopped."""
        self.close_connection = True
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        for piece in pieces:
            if piece:
                self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
            elif select.select([self.connection], [], [], 0)[0]:
                return   # it has nothing more to say: this is its end
        self.wfile.write(b'0\r\n\r\n')

    def _body(self) -> bytes | None:
        """The request's body; None when the client went away in the middle."""
        if self.headers.get('Transfer-Encoding', '').lower() != 'chunked':
            length = int(self.headers.get('Content-Length') or 0)
            body = self.rfile.read(length)
            return body if len(body) == length else None
        pieces: list[bytes] = []
        while True:
            line = self.rfile.readline()
            if not line.endswith(b'\r\n'):
                return None
            size = int(line.split(b';')[0], 16)
            piece = self.rfile.read(size + 2)
            if len(piece) != size + 2:
                return None
            if not size:
                return b''.join(pieces)
            pieces.append(piece[:-2])


class _Duplex:
    """Holds the headers back until there is something to send with them, as Docker may."""

    def __init__(self, reader: Any, connection: socket.socket) -> None:
        self._reader = reader
        self._connection = connection
        self._head = (b'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n'
                      b'Content-Type: application/vnd.docker.raw-stream\r\n\r\n')

    def send(self, data: bytes) -> None:
        head, self._head = self._head, b''
        self._connection.sendall(head + data)

    def receive(self) -> bytes:
        self.send(b'')
        data: bytes = self._reader.read1(64 * 1024)
        return data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.send(b'')
            self._connection.shutdown(socket.SHUT_RDWR)
