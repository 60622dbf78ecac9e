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

"""What an engine tells by itself: containers that start, end, freeze.

Optional beside :class:`zun_nova.virt.runtime.base.Runtime`. An engine without
it is asked by Nova's periodic task instead, every ten minutes.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import enum


class Change(enum.Enum):
    """What happened to a container."""

    STARTED = 'started'
    #: Somebody sends it a signal through the engine; its own end may follow.
    SIGNALLED = 'signalled'
    STOPPED = 'stopped'
    PAUSED = 'paused'
    UNPAUSED = 'unpaused'
    #: The kernel killed a process in it, not always the first.
    OUT_OF_MEMORY = 'out of memory'
    REMOVED = 'removed'


@dataclasses.dataclass(frozen=True)
class Event:
    """One change of one container."""

    change: Change
    #: The container's.
    name: str
    labels: Mapping[str, str]
    #: Seconds since the epoch, by the engine's clock.
    time: float
    #: Of the run that ended; None unless STOPPED.
    exit_code: int | None = None


class Stream(abc.ABC):
    """Events as they happen. Read by one thread, closed by any."""

    @abc.abstractmethod
    def __iter__(self) -> Iterator[Event]:
        """The events, in order; ends after close().

        :raises errors.EngineUnavailable: the engine ended it.
        :raises errors.EngineTimeout: nothing came within the runtime's deadline. The engine may be
            well and have nothing to tell, or it may hang: watch anew.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """End it, also while another thread waits in it; may be called again."""


class Events(abc.ABC):
    """An engine that tells."""

    @abc.abstractmethod
    def watch(self, labels: Mapping[str, str]) -> Stream:
        """Begin to watch the containers that carry all these labels.

        Whatever happens after the call began is in the stream: a list asked
        for after it has returned, and the stream, together miss nothing.
        """
