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

"""Is a service well? Small checks of what a client of it would see."""

from __future__ import annotations

import dataclasses
import http.client
import json
import pathlib
import socket
import typing

from zun_cloud import shell


class Check(typing.Protocol):
    """One question with a yes or no; it must not block for more than ten seconds."""

    def __call__(self) -> bool: ...


@dataclasses.dataclass(frozen=True)
class Running:
    """Nothing to ask: the process manager's word is enough."""

    def __call__(self) -> bool:
        return True


@dataclasses.dataclass(frozen=True)
class Tcp:
    """Something accepts connections."""

    port: int
    address: str = '127.0.0.1'

    def __call__(self) -> bool:
        try:
            with socket.create_connection((self.address, self.port), timeout=2):
                return True
        except OSError:
            return False


@dataclasses.dataclass(frozen=True)
class Http:
    """An API answers, with anything but a server error."""

    port: int
    path: str = '/'

    def __call__(self) -> bool:
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=8)
        try:
            connection.request('GET', self.path)
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@dataclasses.dataclass(frozen=True)
class Unix:
    """Something listens on a unix socket."""

    path: pathlib.Path

    def __call__(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            try:
                client.connect(str(self.path))
            except OSError:
                return False
            return True


@dataclasses.dataclass(frozen=True)
class Consumers:
    """Someone takes messages from a queue of the broker.

    nova-compute asks the conductor once when it starts and then waits ten seconds: better
    to know that somebody listens.

    :param passwords: the file that holds the broker's password.
    """

    port: int
    passwords: pathlib.Path
    queue: str

    def __call__(self) -> bool:
        import amqp  # type: ignore[import-untyped]  # only in the cloud's environment

        password = json.loads(self.passwords.read_text())['rabbitmq']
        try:
            with amqp.Connection(
                f'127.0.0.1:{self.port}', 'openstack', password, connect_timeout=5,
                read_timeout=5, write_timeout=5,
            ) as connection:
                declared = connection.channel().queue_declare(self.queue, passive=True)
                return int(declared.consumer_count) > 0
        except (OSError, amqp.exceptions.AMQPError):
            return False


@dataclasses.dataclass(frozen=True)
class Command:
    """A program ends with exit code 0."""

    command: tuple[str, ...]
    env: typing.Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __call__(self) -> bool:
        return shell.succeeds(self.command, env=self.env)
