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

"""Further processes in Docker's containers, and terminals.

https://docs.docker.com/engine/api/v1.41/#tag/Exec
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import re
import selectors
import socket
import struct
import threading
import time
from typing import Any
from urllib import parse

import h11
from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import docker_errors
from zun_nova.virt.runtime import docker_logs
from zun_nova.virt.runtime import hijack
from zun_nova.virt.runtime import streams

LOG = logging.getLogger(__name__)

#: What zun_nova.virt.runtime.sessions.kill does.
Kill = Callable[[int, str], int]

# What ends an attachment when it is typed, and is held back as long as it may be that. Docker's
# own begins with ctrl-p, which shells use; there must be one, so it is what nobody types.
_DETACH_KEYS = ','.join(['ctrl-^', 'ctrl-@'] * 4)
_SEND_TIMEOUT = struct.pack('ll', 30, 0)   # seconds and microseconds, see socket(7)
_CHUNK = 64 * 1024
_PAUSE = 0.02
# Engines say what kept a process from starting in the place of its output; the last is Podman.
_NOT_STARTED = re.compile(
    rb'^(OCI runtime exec failed|unable to find user|unable to find group'
    rb'|Error: [^\n]*(OCI runtime|unable to find))')
_NOT_STARTED_CODES = (126, 127)


class _Late(Exception):
    """The deadline has passed."""


class Streams(streams.Streams):
    """What of Docker runs further processes."""

    _engine: docker_client.Engine
    _kill_session: Kill

    def exec_run(self, name: str, argv: Sequence[str], *, stdin: bytes = b'',
                 user: str | None = None, env: Mapping[str, str] | None = None,
                 timeout: float, max_output: int) -> streams.ExecResult:
        operation = f'run {argv[0]} in container {name}'
        deadline = time.monotonic() + timeout
        container_id, exec_id = self._create_exec(
            name, argv, operation, stdin=bool(stdin), user=user, environment=dict(env or {}))
        output = _Output(max_output)
        try:
            with contextlib.closing(self._start_exec(exec_id, operation, tty=False)) as stream:
                with docker_errors.translate(operation, self._engine.url):
                    for channel, data in docker_logs.frames(_exchange(stream, stdin, deadline)):
                        output.feed(channel, data)
            exit_code = self._exit_code(exec_id, operation, deadline)
        except _Late:
            killed = self._kill_exec(exec_id, container_id, operation)
            raise errors.EngineTimeout(operation, f'it did not end within {timeout:g} s and ' + (
                'was killed' if killed else 'may run on')) from None
        except BaseException:
            self._kill_exec(exec_id, container_id, operation)
            raise
        return _result(operation, exit_code, output)

    def attach(self, name: str) -> streams.Terminal:
        operation = f'attach to container {name}'
        container = self._container(name, operation)
        config = container['Config']
        if not (config['Tty'] and config.get('OpenStdin')):
            raise errors.Unsupported(operation, 'it has no terminal')
        if not container['State']['Running']:   # Docker would wait for its start
            raise errors.Conflict(operation, 'it is not running')
        path = f'/containers/{docker_client.quoted(container["Id"])}'
        query = parse.urlencode({'stream': 1, 'stdin': 1, 'stdout': 1, 'stderr': 1,
                                 'detachKeys': _DETACH_KEYS})
        stream = self._hijack(f'{path}/attach?{query}', {}, operation, docker_errors.KINDS)
        return _Terminal(stream, operation, lambda rows, columns: self._resize(
            operation, lambda client: client.resize(container['Id'], rows, columns)))

    def exec_terminal(self, name: str, argv: Sequence[str], rows: int, columns: int, *,
                      user: str | None = None, env: Mapping[str, str] | None = None
                      ) -> streams.Terminal:
        operation = f'run {argv[0]} in container {name}'
        container_id, exec_id = self._create_exec(
            name, argv, operation, stdin=True, tty=True, user=user, environment=dict(env or {}),
            detach_keys=_DETACH_KEYS)
        terminal = _Terminal(
            self._start_exec(exec_id, operation, tty=True), operation,
            lambda rows, columns: self._resize(
                operation, lambda client: client.exec_resize(exec_id, rows, columns)),
            lambda: self._kill_exec(exec_id, container_id, operation))
        try:
            terminal.resize(rows, columns)
        except BaseException:
            terminal.close()
            raise
        return terminal

    def _resize(self, operation: str, call: Callable[[Any], object]) -> None:
        """What has ended is not there (404), not running (409) or fails in other ways (500)."""
        try:
            with self._engine.ask(f'resize the terminal to {operation}') as client:
                call(client)
        except (errors.EngineUnavailable, errors.EngineTimeout):
            raise
        except errors.EngineError as ex:
            LOG.debug('%s', ex)

    def _container(self, name: str, operation: str) -> Mapping[str, Any]:
        """Docker's answer for the container of exactly this name."""
        with self._engine.ask(operation) as client:
            container: Mapping[str, Any] = client.inspect_container(name)
        if container['Name'] != f'/{name}':
            raise errors.NotFound(operation, f'there is only {container["Name"][1:]}')
        return container

    def _create_exec(self, name: str, argv: Sequence[str], operation: str,
                     **options: Any) -> tuple[str, str]:
        """Returns the container's id and the exec's."""
        container = self._container(name, operation)
        with self._engine.ask(operation) as client:
            answer = client.exec_create(container['Id'], list(argv), **options)
            return container['Id'], answer['Id']

    def _start_exec(self, exec_id: str, operation: str, tty: bool) -> hijack.Stream:
        return self._hijack(
            f'/exec/{docker_client.quoted(exec_id)}/start', {'Detach': False, 'Tty': tty},
            operation, docker_errors.START_KINDS)

    def _hijack(self, path: str, body: Any, operation: str,
                kinds: Mapping[int, type[errors.EngineError]]) -> hijack.Stream:
        with self._engine.ask(operation) as client:
            try:
                return hijack.post(self._engine.url.removeprefix('unix://'),
                                   f'/v{client.api_version}{path}', body, self._engine.timeout)
            except hijack.Refused as ex:
                raise docker_errors.answered(operation, ex.status, ex.message, kinds) from ex
            except h11.RemoteProtocolError as ex:
                raise errors.EngineUnavailable(operation, f'it broke off: {ex}') from ex

    def _exit_code(self, exec_id: str, operation: str, deadline: float) -> int:
        """Wait for it: the end of its output comes a little before, or long before."""
        while True:
            state = self._exec_state(exec_id, operation)
            if not state['Running']:
                code: int = state['ExitCode']
                return code
            if time.monotonic() >= deadline:
                raise _Late
            time.sleep(_PAUSE)

    def _exec_state(self, exec_id: str, operation: str) -> Mapping[str, Any]:
        with self._engine.ask(operation) as client:
            state: Mapping[str, Any] = client.exec_inspect(exec_id)
            return state

    def _kill_exec(self, exec_id: str, container_id: str, operation: str) -> bool:
        """Kill it if it runs; raises nothing, for what went wrong before is what matters.

        :returns: False where it may run on, as in a sandbox.
        """
        try:
            state = self._exec_state(exec_id, operation)
            if not state['Running'] or self._kill_session(state['Pid'], container_id):
                return True
            LOG.warning('Process of container %s may run on: it is out of reach', container_id)
        except errors.NotFound:
            return True   # gone with its container
        except (errors.EngineError, OSError) as ex:
            LOG.warning('Process of container %s may run on: %s', container_id, ex)
        return False


class _Terminal(streams.Terminal):
    """See streams.Terminal.

    :param resize: called with rows and columns.
    :param end: called once, after the stream was closed.
    """

    def __init__(self, stream: hijack.Stream, operation: str, resize: Callable[[int, int], None],
                 end: Callable[[], object] = lambda: None) -> None:
        self._stream = stream
        self._operation = operation
        self._resize = resize
        self._end = end
        self._closing = threading.Lock()
        self._closed = False
        self._silent = True
        stream.socket.settimeout(None)   # people think for as long as they like
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIMEOUT)

    def receive(self) -> bytes:
        try:
            data = self._stream.receive()
        except OSError:   # closed, by us or by an engine that ended
            return b''
        if self._silent and _NOT_STARTED.match(data):
            raise errors.StartFailed(self._operation, docker_errors.plain(data.decode()))
        self._silent = False
        return data

    def send(self, data: bytes) -> None:
        try:
            self._stream.socket.sendall(data)
        except BlockingIOError:
            raise errors.EngineTimeout(
                self._operation, 'what runs in this terminal takes no input') from None
        except OSError:
            pass   # likewise

    def resize(self, rows: int, columns: int) -> None:
        self._resize(rows, columns)

    def close(self) -> None:
        with self._closing:
            closed, self._closed = self._closed, True
        if not closed:
            self._stream.close()
            self._end()


class _Output:
    """The beginning of both outputs."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.kept = {docker_logs.STDOUT: bytearray(), docker_logs.STDERR: bytearray()}
        self.truncated = False

    def feed(self, channel: int, data: bytes) -> None:
        kept = self.kept[channel]
        left = self._limit - len(kept)
        kept += data[:left]
        self.truncated = self.truncated or len(data) > left


def _exchange(stream: hijack.Stream, stdin: bytes, deadline: float) -> Iterator[bytes]:
    """Send all of stdin, while receiving; yields what comes, to its end.

    :raises _Late: it took too long.
    """
    left = memoryview(stdin)
    stream.socket.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(stream.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while True:
            ready = _wait(selector, 0 if stream.buffered() else deadline - time.monotonic())
            if ready & selectors.EVENT_WRITE:
                left = _send(stream, left)
                if not left:
                    stream.end_input()
                    selector.modify(stream.socket, selectors.EVENT_READ)
            if ready & selectors.EVENT_READ or stream.buffered():
                data = _receive(stream)
                if not data:
                    return
                yield data
            elif time.monotonic() >= deadline:
                raise _Late


def _wait(selector: selectors.BaseSelector, seconds: float) -> int:
    return next((events for _, events in selector.select(max(0, seconds))), 0)


def _send(stream: hijack.Stream, data: memoryview) -> memoryview:
    """What is left to be sent; nothing when nobody reads it any more."""
    try:
        return data[stream.socket.send(data[:_CHUNK]):] if data else data
    except BlockingIOError:
        return data
    except (BrokenPipeError, ConnectionResetError):
        return data[:0]


def _receive(stream: hijack.Stream) -> bytes:
    try:
        return stream.receive()
    except ConnectionResetError:   # Docker closed with some of stdin unread: the process has ended
        return b''


def _result(operation: str, exit_code: int, output: _Output) -> streams.ExecResult:
    stdout, stderr = (bytes(output.kept[channel])
                      for channel in (docker_logs.STDOUT, docker_logs.STDERR))
    if exit_code in _NOT_STARTED_CODES:
        for text in (stdout, stderr):
            if _NOT_STARTED.match(text):
                raise errors.StartFailed(operation, docker_errors.plain(text.decode()))
    return streams.ExecResult(exit_code, stdout, stderr, output.truncated)
