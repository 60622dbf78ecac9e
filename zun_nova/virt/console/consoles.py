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

"""Serial consoles of servers: what Nova asks for, and which terminal it is."""

from __future__ import annotations

import shlex
from typing import Any

from nova.console import type as console_type

from zun_nova import errors
from zun_nova.virt import identity
from zun_nova.virt.console import listener
from zun_nova.virt.console import paths
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import streams

# The protocol has no word for the size of the window.
ROWS, COLUMNS = 24, 80
#: Seconds between the driver's answer and the beginning of a token's life, at most.
_SLACK = 60


class Consoles:
    """All of one host.

    :param conf: ConfigOpts with Nova's options and those of zun_nova.conf.
    """

    def __init__(self, runtime: base.Runtime, conf: Any) -> None:
        self._runtime = runtime
        self._address = str(conf.serial_console.proxyclient_address)
        self._lifetime = conf.consoleauth.token_ttl + _SLACK
        self._shell = shlex.split(conf.zun_nova.console_shell)
        self._paths = paths.Paths()
        ours = conf.zun_nova
        self._listener = listener.Listener(
            self._address, ours.console_port,
            listener.Limits(ours.console_sessions, ours.console_sessions_per_server,
                            ours.console_idle_timeout),
            self._paths.server_of, self.open)

    def start(self) -> None:
        """Let terminals be reached; nothing to do when they can be.

        :raises errors.ConsoleUnavailable: the address is not to be had.
        """
        self._listener.start()

    def stop(self) -> None:
        """Close all; may be called again."""
        self._listener.stop()

    def serial(self, instance: Any) -> console_type.ConsoleSerial:
        """Where a terminal of the server is, as long as a token of Nova's lives.

        :raises errors.NotFound: the server has no container.
        """
        self._runtime.inspect(identity.container_name(instance))
        self.start()
        return console_type.ConsoleSerial(
            self._address, self._listener.port,
            self._paths.make(str(instance.uuid), self._lifetime))

    def open(self, uuid: str) -> streams.Terminal:
        """The terminal of the server's process, or a shell where it has none.

        :raises errors.EngineError: there is none, in words for the server's owner.
        """
        name = identity.name_of(uuid)
        operation = 'open a console'
        if not isinstance(self._runtime, streams.Streams):
            raise errors.Unsupported(operation, 'the container engine of the host has no streams')
        try:
            return self._runtime.attach(name)
        except errors.Unsupported:
            return self._runtime.exec_terminal(name, self._shell, ROWS, COLUMNS)
