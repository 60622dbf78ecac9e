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

"""The power states of all servers, as one list showed them a moment ago.

Nova's periodic task first asks how many servers there are, which is one list,
and then for the state of each: most of the answers are in the list.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import time
from typing import Any

from nova.virt import hardware

from zun_nova.virt import identity
from zun_nova.virt import power
from zun_nova.virt.runtime import base

#: Seconds after which a list says nothing of now. Nova asks for many servers at once.
LASTS = 60.0


class States:
    """Of the servers of one compute service; for any number of threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: tuple[float, dict[str, hardware.InstanceInfo]] = (0.0, {})

    def note(self, rows: Iterable[base.ContainerSummary]) -> None:
        """Remember a list of all servers."""
        self._seen = (self._clock(), {
            row.labels[identity.LABEL_UUID]: power.info_of(row) for row in rows})

    def confirmed(self, instance: Any) -> hardware.InstanceInfo | None:
        """What the last list shows of the server, if Nova holds the same to be true.

        Another state is to be asked for anew: the list may be from before a
        change that Nova has recorded by now.
        """
        when, infos = self._seen
        info = infos.get(str(instance.uuid))
        if info is None or self._clock() - when > LASTS or info.state != instance.power_state:
            return None
        return info
