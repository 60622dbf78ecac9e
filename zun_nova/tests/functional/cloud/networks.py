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

"""What tests of servers' networks need: networks of their own, and talk between servers."""

from __future__ import annotations

from collections.abc import Mapping
import json
import subprocess
from typing import Any
import uuid

from zun_nova.tests.functional.cloud import base

#: Connects to ARGV[1] port ARGV[2] within three seconds.
CONNECT = ('import socket, sys; '
           'socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()')


class NetworkCase(base.CloudTest):
    """Makes networks and ports, and looks at servers' interfaces from the host."""

    def network(self, *subnets: Mapping[str, Any], **attributes: Any) -> Any:
        """A network of the demo project with these subnets; their names are given."""
        made = self.demo.network.create_network(
            name=f'test-{uuid.uuid4().hex[:8]}', **attributes)
        self.addCleanup(self.demo.network.delete_network, made.id)
        for subnet in subnets:
            self.demo.network.create_subnet(**{
                'network_id': made.id, 'ip_version': 6 if ':' in subnet['cidr'] else 4, **subnet})
        return made

    def port(self, network: Any, **attributes: Any) -> Any:
        made = self.demo.network.create_port(network_id=network.id, **attributes)
        # Owners may not delete a port that is bound.
        self.addCleanup(self.admin.network.delete_port, made.id)
        return made

    def subnet(self, network: Any, cidr: str) -> Any:
        """The network's subnet of this address range."""
        return next(iter(self.demo.network.subnets(network_id=network.id, cidr=cidr)))

    def ports(self, server: Any) -> list[Any]:
        return list(self.demo.network.ports(device_id=server.id))

    def address(self, server: Any, version: int = 4) -> str:
        """The first fixed IP of this version."""
        mark = ':' if version == 6 else '.'
        return next(str(fixed['ip_address']) for port in self.ports(server)
                    for fixed in port.fixed_ips if mark in fixed['ip_address'])

    def security_group(self, *rules: Mapping[str, Any]) -> Any:
        """A group that lets nothing in but by these rules."""
        made = self.demo.network.create_security_group(name=f'test-{uuid.uuid4().hex[:8]}')
        self.addCleanup(self.demo.network.delete_security_group, made.id)
        for rule in rules:
            self.allow(made, **rule)
        return made

    def allow(self, group: Any, **rule: Any) -> None:
        self.demo.network.create_security_group_rule(
            **{'security_group_id': group.id, 'direction': 'ingress', 'ethertype': 'IPv4', **rule})

    def floating_ip(self, server: Any) -> str:
        """A floating IP of the server's first port."""
        public = self.demo.network.find_network('public', ignore_missing=False)
        made = self.demo.network.create_ip(
            floating_network_id=public.id, port_id=self.ports(server)[0].id,
            fixed_ip_address=self.address(server))
        self.addCleanup(self.demo.network.delete_ip, made.id)
        return str(made.floating_ip_address)

    # -- from inside

    def links(self, server: Any) -> dict[str, Any]:
        """The server's interfaces by name, as ``ip -json address`` describes them."""
        rows = json.loads(self.in_server(server, 'ip', '-json', 'address', 'show'))
        return {row['ifname']: row for row in rows if row['ifname'] != 'lo'}

    def addresses(self, server: Any, name: str) -> set[str]:
        return {row['local'] for row in self.links(server)[name]['addr_info']
                if row['scope'] == 'global'}

    def macs(self, server: Any) -> dict[str, str]:
        """MAC by the name of the interface."""
        return {name: str(link['address']) for name, link in self.links(server).items()}

    def routes(self, server: Any, version: str = '-4') -> dict[str, tuple[str | None, str]]:
        """Gateway and interface by destination; of several the one that counts."""
        rows = json.loads(self.in_server(server, 'ip', '-json', version, 'route', 'show'))
        rows.sort(key=lambda row: -row.get('metric', 0))
        return {row['dst']: (row.get('gateway'), row['dev']) for row in rows}

    def file(self, server: Any, path: str) -> list[str]:
        """The lines of a file as the server's process sees it."""
        pid = self.container(server)['State']['Pid']
        return self.host_of(server).run('cat', f'/proc/{pid}/root{path}').splitlines()

    def ping(self, server: Any, address: str, *options: str) -> None:
        self.in_server(server, 'ping', '-c', '3', '-W', '3', *options, address)

    def connects(self, server: Any, address: str, port: int) -> bool:
        """Whether a TCP connection from the server comes about."""
        try:
            self.in_server(server, 'python3', '-c', CONNECT, address, str(port))
        except subprocess.CalledProcessError:
            return False
        return True
