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

"""Servers booted through Nova's API, one by one and many at once."""

from __future__ import annotations

import datetime
import re
import time
from typing import Any

from zun_bench import cloud as bench_cloud

#: Seconds between two looks; each costs the cloud some 20 ms of processor time.
_LOOK = 0.05
_LOOK_AT_MANY = 0.2
_DEADLINE = 300

_STAMP = re.compile(r'^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) ')
#: Lines of nova-compute's log: what they say the time of.
_MARKS = {
    'claimed': re.compile('Claim successful'),
    'wired': re.compile('Neutron took (?P<seconds>[0-9.]+) s'),
    'spawned': re.compile('Took (?P<seconds>[0-9.]+) seconds to spawn'),
}


class Broken(Exception):
    """A server did not become ACTIVE."""


class Boots:
    """Boots servers on one compute host, as the administrator, who may choose it."""

    def __init__(self, cloud: bench_cloud.Cloud, host: str, log: Any) -> None:
        """:param log: path of its nova-compute's log."""
        self._cloud = cloud
        self._compute = cloud.admin.compute
        self._host = host
        self._log = log

    def one(self) -> tuple[float, dict[str, float]]:
        """Boot a server and delete it; seconds until ACTIVE, and the phases of it."""
        began = time.time()
        server = self._create('bench')
        try:
            self._wait_active(server.id)
            active = time.time()
            return active - began, self._phases(server.id, began, active)
        finally:
            self._delete([server.id])

    def many(self, number: int) -> float:
        """Boot so many servers at once and delete them; seconds until all are ACTIVE."""
        servers: list[str] = []
        try:
            began = time.monotonic()
            for one in range(number):
                servers.append(self._create(f'bench-{one}').id)
            self._wait_all_active(set(servers))
            return time.monotonic() - began
        finally:
            self._delete(servers)

    def _create(self, name: str) -> Any:
        return self._compute.create_server(
            name=name, image_id=self._cloud.image.id, flavor_id=self._cloud.flavor.id,
            networks=[{'uuid': self._cloud.network.id}], host=self._host)

    def _wait_active(self, server_id: str) -> None:
        deadline = time.monotonic() + _DEADLINE
        while True:
            server = self._compute.get_server(server_id)
            if server.status == 'ACTIVE':
                return
            _check(server, deadline)
            time.sleep(_LOOK)

    def _wait_all_active(self, wanted: set[str]) -> None:
        deadline = time.monotonic() + _DEADLINE
        while wanted:
            time.sleep(_LOOK_AT_MANY)
            for server in self._compute.servers(name='bench-'):
                if server.id in wanted and server.status == 'ACTIVE':
                    wanted.discard(server.id)
                elif server.id in wanted:
                    _check(server, deadline)

    def _delete(self, server_ids: list[str]) -> None:
        for server_id in server_ids:
            self._compute.delete_server(server_id, ignore_missing=True)
        deadline = time.monotonic() + _DEADLINE
        left = set(server_ids)
        while left:
            time.sleep(_LOOK_AT_MANY)
            left &= {server.id for server in self._compute.servers(name='bench')}
            if time.monotonic() > deadline:
                raise Broken(f'servers {", ".join(left)} are not deleted')

    def _phases(self, server_id: str, began: float, active: float) -> dict[str, float]:
        marks = _marks(self._log.read_text(errors='replace'), server_id)
        if not {'claimed', 'spawned'} <= marks.keys():
            return {}
        claimed, _ = marks['claimed']
        spawned, took = marks['spawned']
        waited = marks.get('wired', (0.0, 0.0))[1]
        return {
            'API, scheduler, claim': claimed - began,
            'claim to spawn': spawned - took - claimed,
            'spawn, of which': took,
            '  waiting for Neutron to wire the port': waited,
            'spawned to seen ACTIVE': active - spawned,
        }


def _check(server: Any, deadline: float) -> None:
    if server.status == 'ERROR' or time.monotonic() > deadline:
        fault = (server.fault or {}).get('message')
        raise Broken(f'server {server.id} is {server.status}: {fault}')


def _marks(text: str, server_id: str) -> dict[str, tuple[float, float]]:
    """Time and seconds, as far as there are any, of each mark of this server in a log."""
    found = {}
    for line in text.splitlines():
        stamp = _STAMP.match(line)
        if stamp is None or server_id not in line:
            continue
        for name, pattern in _MARKS.items():
            hit = pattern.search(line)
            if hit:
                at = datetime.datetime.strptime(stamp[1], '%Y-%m-%d %H:%M:%S.%f').timestamp()
                found[name] = (at, float(hit.groupdict().get('seconds', 0)))
    return found
