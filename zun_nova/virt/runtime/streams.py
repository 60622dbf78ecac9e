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

"""Processes beside a container's own, and what goes in and out of them.

Optional beside :class:`zun_nova.virt.runtime.base.Runtime`.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses


@dataclasses.dataclass(frozen=True)
class ExecResult:
    """What a process left."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    #: It wrote more than was wanted; the rest is lost.
    truncated: bool = False


class Terminal(abc.ABC):
    """One side of a terminal in a container.

    One thread may send while another receives, and any may close. Nothing is kept here: who does
    not receive holds up what writes to the terminal, once the engine's own buffer is full.
    """

    @abc.abstractmethod
    def receive(self) -> bytes:
        """What is written to the terminal, at least one byte; b'' at the end or after close().

        :raises errors.StartFailed: what it was to run cannot be started.
        """

    @abc.abstractmethod
    def send(self, data: bytes) -> None:
        """Type this; waits until it is taken. Nothing happens at the end or after close().

        :raises errors.EngineTimeout: it was not, for half a minute.
        """

    @abc.abstractmethod
    def resize(self, rows: int, columns: int) -> None:
        """Tell what runs in it its size; nothing happens when it has ended."""

    @abc.abstractmethod
    def close(self) -> None:
        """Leave, also while other threads wait in it; may be called again.

        What was started for this terminal is killed, with all that belongs to its session; a
        container's own process does not notice.
        """


class Streams(abc.ABC):
    """An engine that runs further processes in containers, and has terminals.

    :class:`zun_nova.errors.Conflict` is raised for a container that is not running or is
    paused, :class:`zun_nova.errors.NotFound` where there is none.
    """

    @abc.abstractmethod
    def exec_run(self, name: str, argv: Sequence[str], *, stdin: bytes = b'',
                 user: str | None = None, env: Mapping[str, str] | None = None,
                 timeout: float, max_output: int) -> ExecResult:
        """Run a program in the container, without a terminal, until it ends.

        What is in argv and env can be seen by others on the host; secrets go into stdin.

        :param argv: the program and its arguments; no shell reads them.
        :param stdin: all it gets to read, then the end of input.
        :param user: name or number as the image knows it; None: the container's own.
        :param env: beside the container's own.
        :param timeout: seconds. What still runs then is killed, with all it has started.
        :param max_output: bytes of stdout and stderr, each, that are kept, from the beginning.
        :raises errors.StartFailed: it cannot be started: not in the image, no such user.
        :raises errors.EngineTimeout: it did not end in time.
        """

    @abc.abstractmethod
    def attach(self, name: str) -> Terminal:
        """The terminal of the container's own process; any number may be attached at a time.

        What was written before is not repeated. It ends with the process.

        :raises errors.Unsupported: the process has no terminal.
        """

    @abc.abstractmethod
    def exec_terminal(self, name: str, argv: Sequence[str], rows: int, columns: int, *,
                      user: str | None = None, env: Mapping[str, str] | None = None) -> Terminal:
        """Run a program in the container, on a terminal of its own.

        :param user, env: as of exec_run.
        :raises errors.StartFailed: it cannot be started; an engine may tell only the first
            receive().
        """
