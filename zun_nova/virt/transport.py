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

"""Brings layers of servers to other hosts, as nova.conf says.

By ssh, as operators know it from libvirt: nova-compute's user of one host logs
in to that of the other and starts :mod:`zun_nova.receive` there. Or through a
directory that all hosts share.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import os
import pathlib
import re
import select
import shlex
import subprocess
import time
from typing import Any

from oslo_log import log as logging

from zun_nova import errors
from zun_nova import receive
from zun_nova.virt import frames
from zun_nova.virt import received

LOG = logging.getLogger(__name__)

SSH = 'ssh'
SHARED = 'shared'
_MIB = 1024 ** 2
#: Seconds between two words on how far a transfer is.
_REPORT_SECONDS = 10.0
#: What ssh itself exits with when it fails.
_SSH_FAILED = 255
_NOT_FOUND = 127

#: What ssh says, and what to do about it.
_CURES = (
    (re.compile(r'Permission denied'),
     "it refuses the key; put the public key of this host's Nova user into its authorized_keys"),
    (re.compile(r'Host key verification failed|host key .* has changed', re.I),
     'its host key is not known or has changed; put it into known_hosts of the Nova user'),
    (re.compile(r'Connection refused'), 'no ssh server answers there; start it, or open its port'),
    (re.compile(r'timed out|No route to host|unreachable|Could not resolve|not responding'),
     'it cannot be reached; is it up, and its ssh port open for this host?'),
    (re.compile(r'closed|reset|Broken pipe', re.I), 'the connection was cut off; try again'),
)


class Transport(abc.ABC):
    """The way to other hosts."""

    @abc.abstractmethod
    def check(self, host: str) -> None:
        """Make sure that something could be sent there now.

        :param host: its address, as Nova knows it.
        :raises errors.TransferFailed: it could not.
        """

    @abc.abstractmethod
    def send(self, host: str, name: str, pieces: Iterable[bytes], limit: int) -> str:
        """Have a file there, whole and on its disk; returns its SHA-256.

        May be called again: what was there under the name is replaced.

        :param name: of received.name_of().
        :param limit: of its size in bytes.
        :raises errors.TransferFailed: nothing is there under the name.
        """

    @abc.abstractmethod
    def note(self, host: str, name: str, text: str) -> None:
        """Have a text there under the name of a file, which goes with it; may be called again.

        :raises errors.TransferFailed: the host does not take it.
        """

    @abc.abstractmethod
    def drop(self, host: str, name: str) -> None:
        """Have no such file there.

        :raises errors.TransferFailed: the host does not do it.
        """


def of(conf: Any) -> Transport:
    """The one that nova.conf chooses."""
    options = conf.zun_nova
    if options.migration_transport == SHARED:
        return Shared(received.Store(directory(conf)))
    command = [*shlex.split(options.migration_ssh_command), '-o', 'BatchMode=yes',
               '-o', f'ConnectTimeout={options.migration_ssh_connect_timeout}',
               '-o', 'ServerAliveInterval=10', '-o', 'ServerAliveCountMax=6']
    if options.migration_ssh_user:
        command += ['-l', options.migration_ssh_user]
    return Ssh(command, options.migration_timeout)


def directory(conf: Any) -> pathlib.Path:
    """Where layers arrive on this host."""
    return pathlib.Path(conf.instances_path, received.DIRECTORY)


class Shared(Transport):
    """All hosts have the same directory."""

    def __init__(self, store: received.Store) -> None:
        self._store = store

    def check(self, host: str) -> None:
        try:
            self._store.check()
        except received.Refused as ex:
            raise errors.TransferFailed(host, str(ex)) from ex

    def send(self, host: str, name: str, pieces: Iterable[bytes], limit: int) -> str:
        try:
            return self._store.put(name, reported(pieces, host), limit)
        except received.Refused as ex:
            raise errors.TransferFailed(host, str(ex)) from ex

    def note(self, host: str, name: str, text: str) -> None:
        try:
            self._store.note(name, text)
        except received.Refused as ex:
            raise errors.TransferFailed(host, str(ex)) from ex

    def drop(self, host: str, name: str) -> None:
        self._store.drop(name)


class Ssh(Transport):
    """Another process for each thing that is done.

    :param command: ssh with its options, without host.
    :param timeout: seconds without progress after which it has failed.
    """

    def __init__(self, command: Iterable[str], timeout: float) -> None:
        self._command = tuple(command)
        self._timeout = timeout

    def check(self, host: str) -> None:
        self._run(host, ['check'])

    def send(self, host: str, name: str, pieces: Iterable[bytes], limit: int) -> str:
        return self._run(host, ['put', name, str(limit)], frames.written(reported(pieces, host)))

    def note(self, host: str, name: str, text: str) -> None:
        self._run(host, ['note', name], frames.written([text.encode()]))

    def drop(self, host: str, name: str) -> None:
        self._run(host, ['drop', name])

    def _run(self, host: str, words: list[str], data: Iterable[bytes] = ()) -> str:
        """Have the other host do something with the data; returns what it says."""
        command = [*self._command, '--', host, shlex.join([receive.PROGRAM, *words])]
        try:
            process = subprocess.Popen(  # noqa: S603  the operator's program, no shell
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as ex:
            raise errors.TransferFailed(
                host, f'cannot run {command[0]}: {ex.strerror}; install it, or correct [zun_nova] '
                'migration_ssh_command') from ex
        with process:
            try:
                self._feed(process, data)
                said, complained = process.communicate(timeout=self._timeout)
            except (subprocess.TimeoutExpired, TimeoutError) as ex:
                raise errors.TransferFailed(
                    host, f'no progress for {self._timeout} s (migration_timeout)') from ex
            finally:
                process.kill()
        if process.returncode:
            LOG.warning('%s exited with %s: %s', shlex.join(command), process.returncode,
                        complained.decode(errors='replace'))
            raise errors.TransferFailed(
                host, why(process.returncode, complained.decode(errors='replace')))
        return str(said.decode().strip())

    def _feed(self, process: subprocess.Popen[bytes], data: Iterable[bytes]) -> None:
        """Write to its standard input, which blocks when it takes nothing."""
        assert process.stdin is not None   # a pipe, above
        number = process.stdin.fileno()
        os.set_blocking(number, False)
        try:
            for piece in data:
                rest = memoryview(piece)
                while rest:
                    if not select.select([], [number], [], self._timeout)[1]:
                        raise TimeoutError
                    rest = rest[os.write(number, rest):]
        except BrokenPipeError:
            pass   # it has ended, and says why


def why(code: int, words: str) -> str:
    """What a failure means for people, with its cure; pure.

    :param code: what ssh exited with.
    :param words: what it wrote to stderr.
    """
    ours = f'{receive.PROGRAM}: '
    for line in words.splitlines():
        if line.startswith(ours):
            return f'the host there says: {line.removeprefix(ours)}'
    if code == _NOT_FOUND:
        return f'the host has no {receive.PROGRAM}; install zun-nova there, or name its path in ' \
               'authorized_keys'
    if code == _SSH_FAILED:
        for pattern, cure in _CURES:
            if pattern.search(words):
                return cure
    return f'ssh failed with exit code {code}; the log of nova-compute has its words'


def reported(pieces: Iterable[bytes], host: str,
             clock: Callable[[], float] = time.monotonic) -> Iterator[bytes]:
    """The same pieces; logs from time to time how many have passed."""
    began = told = clock()
    total = 0
    for piece in pieces:
        yield piece
        total += len(piece)
        if clock() - told >= _REPORT_SECONDS:
            told = clock()
            LOG.info('Sent %.0f MiB of what the server has written to %s, %.1f MiB/s',
                     total / _MIB, host, total / _MIB / (told - began))
    LOG.info('Sent all of what the server has written to %s: %.1f MiB in %.1f s', host,
             total / _MIB, clock() - began)
