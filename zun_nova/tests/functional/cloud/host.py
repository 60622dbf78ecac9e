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
"""What servers leave on the compute host, counted."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
from typing import Any

import docker

from zun_nova.virt import identity


@dataclasses.dataclass(frozen=True)
class Traces:
    """Everything a server consists of on its host, by name."""

    containers: frozenset[str]
    #: Host ends of ports.
    links: frozenset[str]
    switch_ports: frozenset[str]
    #: Root file systems and network namespaces among them.
    mounts: frozenset[str]

    def since(self, before: Traces) -> dict[str, frozenset[str]]:
        """What has come since, by kind; empty when nothing has."""
        new = {
            field.name: getattr(self, field.name) - getattr(before, field.name)
            for field in dataclasses.fields(self)
        }
        return {kind: names for kind, names in new.items() if names}


class ComputeHost:
    """A compute host of the standalone cloud, seen from its own machine.

    :param host: a zun_cloud.hosts.Host that is the machine itself.
    """

    def __init__(self, host: Any) -> None:
        self.name = host.name
        self._host = host
        self.engine = docker.APIClient(base_url=host.docker_url, version='auto', timeout=60)

    def container(self, server_id: str) -> dict[str, Any]:
        """What the engine knows of a server's container."""
        info: dict[str, Any] = self.engine.inspect_container(identity.NAME_PREFIX + server_id)
        return info

    def inside(self, server_id: str, *command: str) -> str:
        """Run a program of the host in the network of a server; returns what it prints.

        :raises subprocess.CalledProcessError: it did not exit with 0.
        """
        pid = self.container(server_id)['State']['Pid']
        done = subprocess.run(
            ['nsenter', f'--net=/proc/{pid}/ns/net', *command],
            check=True, capture_output=True, text=True, timeout=60)
        return done.stdout

    def traces(self) -> Traces:
        rows = self.engine.containers(all=True, filters={
            'label': f'{identity.LABEL_HOST}={self.name}'})
        return Traces(
            containers=frozenset(name for row in rows for name in row['Names']),
            links=frozenset(
                path.name for path in pathlib.Path('/sys/class/net').glob('tap*')),
            switch_ports=frozenset(self.ovs('list-ports', self._host.settings.integration_bridge)),
            mounts=frozenset(
                line.split()[4] for line in
                pathlib.Path('/proc/self/mountinfo').read_text().splitlines()),
        )

    def ovs(self, *arguments: str) -> list[str]:
        """The lines ovs-vsctl prints."""
        done = subprocess.run(
            ['ovs-vsctl', '--timeout=10', f'--db=unix:{self._host.ovsdb_socket}', *arguments],
            check=True, capture_output=True, text=True)
        return done.stdout.split()
