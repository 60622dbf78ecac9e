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

"""Compute hosts of the standalone cloud, and what servers leave on them."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import docker

from zun_nova.virt import identity


class ComputeHost:
    """A compute host, seen from inside, whether it is the machine or has its own namespaces.

    :param host: a zun_cloud.hosts.Host.
    """

    def __init__(self, host: Any) -> None:
        self.name: str = host.name
        self._host = host
        self.engine = docker.APIClient(base_url=host.engine_url, version='auto', timeout=60)

    def run(self, *command: str) -> str:
        """Run a program on the host; returns what it prints.

        :raises subprocess.CalledProcessError: it did not exit with 0.
        """
        done = subprocess.run(self._host.inside(*command), check=True, capture_output=True,
                              text=True, timeout=60)
        return done.stdout

    def container(self, server_id: str) -> dict[str, Any]:
        """What the engine knows of a server's container."""
        info: dict[str, Any] = self.engine.inspect_container(identity.NAME_PREFIX + server_id)
        return info

    def in_server(self, server_id: str, *command: str) -> str:
        """Run a program of the host in the network of a server."""
        pid = self.container(server_id)['State']['Pid']
        return self.run('nsenter', f'--net=/proc/{pid}/ns/net', *command)

    def start_in_server(self, server_id: str, *command: str) -> subprocess.Popen[str]:
        """Start a program of the host in the network of a server, in the background."""
        pid = self.container(server_id)['State']['Pid']
        return subprocess.Popen(
            self._host.inside('nsenter', f'--net=/proc/{pid}/ns/net', *command),
            stdout=subprocess.PIPE, text=True)

    def traces(self) -> set[str]:
        """Everything that servers consist of on this host: kind, host and name."""
        rows = self.engine.containers(all=True, filters={
            'label': f'{identity.LABEL_HOST}={self.name}'})
        links = [link['ifname'] for kind in ('veth', 'bridge') for link in json.loads(
            self.run('ip', '-json', 'link', 'show', 'type', kind)) if link]
        mounts = self.run('cat', '/proc/self/mountinfo').splitlines()
        bridge = self._host.settings.integration_bridge
        found = {
            'container': [name[1:] for row in rows for name in row['Names']],
            'link': [link for link in links if link.startswith('tap')],
            # Of ports that iptables filter.
            'bridge-link': [link for link in links if link.startswith(('qbr', 'qvb', 'qvo'))],
            # Others are OVN's own, made with the first server on the host.
            'port': [port for port in self._ovs('list-ports', bridge)
                     if port.startswith(('tap', 'qvo'))],
            # Root file systems and network namespaces among them.
            'mount': [line.split()[4] for line in mounts],
        }
        return {f'{kind} {name} on {self.name}' for kind in found for name in found[kind]}

    def _ovs(self, *arguments: str) -> list[str]:
        return self.run('ovs-vsctl', '--timeout=10', f'--db=unix:{self._host.ovsdb_socket}',
                        *arguments).split()
