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

"""Keeps servers of different projects from sharing this host, where a flavor says so.

The scheduler's filter (:mod:`zun_nova.scheduler.same_tenant`) chooses hosts by
what it knows, which is never the very latest. Here, on the host, nothing is in
between: whoever comes is checked and counted in under one lock, so of two
tenants that race for an empty host one gets it.

Who is here is read from the labels of all containers, those of networks and
those set aside too. Who is still without any, because it is being built or
rebuilt, is remembered. A server in state ERROR after a failed rebuild keeps
its place until it is deleted or nova-compute restarts.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import threading
from typing import Any

from nova.compute import task_states

from zun_nova import errors
from zun_nova.virt import flavor_config
from zun_nova.virt import identity
from zun_nova.virt.runtime import base

_REBUILDING = (task_states.REBUILDING, task_states.REBUILD_BLOCK_DEVICE_MAPPING,
               task_states.REBUILD_SPAWNING)


@dataclasses.dataclass(frozen=True)
class Occupant:
    """A server, as far as it matters to its neighbours."""

    project_id: str
    #: Its flavor wants neighbours of the same project only.
    apart: bool


def check(comer: Occupant, neighbours: Iterable[Occupant]) -> None:
    """Whether it may live beside these; pure.

    :raises errors.OtherTenant: it may not, for its own sake or for theirs.
    """
    others = [each for each in neighbours if each.project_id != comer.project_id]
    if others and comer.apart:
        raise errors.OtherTenant(
            f'The flavor keeps other projects\' servers from the host '
            f'({flavor_config.SAME_TENANT}), and this one has some')
    if any(each.apart for each in others):
        raise errors.OtherTenant(
            f'This host is another project\'s alone, by the flavor of its servers '
            f'({flavor_config.SAME_TENANT})')


class Tenants:
    """Who is on one host; safe to use from many threads."""

    def __init__(self, runtime: base.Runtime, host: str) -> None:
        self._runtime = runtime
        self._host = host
        self._lock = threading.Lock()
        #: By uuid: who was let in, and may not have a container yet.
        self._let_in: dict[str, Occupant] = {}

    def let_in(self, instance: Any) -> None:
        """Count the server in; may be called again. :meth:`let_go` takes it back.

        :raises errors.OtherTenant: it may not live beside those that are here.
        """
        uuid, comer = str(instance.uuid), _occupant(instance)
        with self._lock:
            if self._let_in.get(uuid) == comer:
                return   # who came since was checked against it
            there = self._here() | self._let_in
            check(comer, (each for other, each in there.items() if other != uuid))
            self._let_in[uuid] = comer

    def let_go(self, instance: Any) -> None:
        """It has containers that speak for it, or will have none; may be called again."""
        with self._lock:
            self._let_in.pop(str(instance.uuid), None)

    @contextlib.contextmanager
    def entering(self, instance: Any) -> Iterator[None]:
        """Around the making of the server's container.

        :raises errors.OtherTenant: as let_in().
        """
        self.let_in(instance)
        try:
            yield
        except BaseException:
            if not self.rebuilds(instance):
                self.let_go(instance)
            raise
        self.let_go(instance)

    def leaving(self, instance: Any) -> None:
        """The server's containers are about to be removed; a rebuild keeps its place."""
        if self.rebuilds(instance):
            with self._lock:
                self._let_in[str(instance.uuid)] = _occupant(instance)
        else:
            self.let_go(instance)

    def rebuilds(self, instance: Any) -> bool:
        """Whether it is being made again where it is; an evacuated one comes from elsewhere."""
        return instance.host == self._host and instance.task_state in _REBUILDING

    def owner(self) -> str | None:
        """The project that has this host to itself now, None when there is none such."""
        with self._lock:
            there = self._here() | self._let_in
        return next((each.project_id for each in there.values() if each.apart), None)

    def _here(self) -> dict[str, Occupant]:
        rows = self._runtime.list(identity.all_of(self._host))
        return {row.labels[identity.LABEL_UUID]: _labelled(row.labels) for row in rows}


def _occupant(instance: Any) -> Occupant:
    return Occupant(instance.project_id or '',
                    flavor_config.keeps_tenants_apart(instance.flavor.extra_specs))


def _labelled(labels: Mapping[str, str]) -> Occupant:
    return Occupant(labels.get(identity.LABEL_PROJECT, ''),
                    labels.get(identity.LABEL_SAME_TENANT) == identity.TRUE)
