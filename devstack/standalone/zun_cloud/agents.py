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

"""ML2/OVS: Neutron's agents as data, and the namespaces they make.

Every host has the layer 2 agent; the machine also the agents for routers, DHCP and metadata.
"""

from __future__ import annotations

import pathlib

from zun_cloud import health
from zun_cloud import hosts
from zun_cloud import service
from zun_cloud import settings as cloud_settings

# How `openstack network agent list` calls what runs: on every host, and on the machine.
LAYER_2 = 'neutron-openvswitch-agent'
OF_THE_MACHINE = ('neutron-l3-agent', 'neutron-dhcp-agent', 'neutron-metadata-agent')


def config(host: hosts.Host) -> pathlib.Path:
    """The file all agents of a host read."""
    return host.etc / 'neutron_agents.ini'


def firewall(host: hosts.Host) -> pathlib.Path:
    """The file that the layer 2 agent reads besides."""
    return host.etc / 'neutron_firewall.ini'


def state(host: hosts.Host) -> pathlib.Path:
    """Where a host's agents keep what their dnsmasq, haproxy and radvd read."""
    return host.run / 'neutron'


def rpc_server(
    settings: cloud_settings.Settings, files: tuple[pathlib.Path, ...]
) -> service.Service:
    """What the agents talk to: the API answers users only."""
    return service.Service(
        'neutron-rpc', (settings.program('neutron-rpc-server'), *service.config_files(files)),
        ('schema-neutron', 'rabbitmq', 'seed'), files=files, ready=_consumed(settings, 'q-plugin'),
    )


def of_host(host: hosts.Host) -> list[service.Service]:
    """The agents of one host, named ``neutron-<which>-<number>``."""
    found = [_layer_2(host)]
    if host.is_machine:
        found += [
            _agent(host, 'l3', _consumed(host.settings, f'l3_agent.{host.name}')),
            _agent(host, 'dhcp', _consumed(host.settings, f'dhcp_agent.{host.name}')),
            _agent(host, 'metadata', _is_socket(state(host) / 'metadata_proxy')),
        ]
    return found


def _layer_2(host: hosts.Host) -> service.Service:
    settings = host.settings
    files = (config(host), firewall(host))
    # Well when the integration bridge takes its flows from the agent.
    connected = (
        '/usr/bin/ovs-vsctl', '--timeout=2', f'--db=unix:{host.ovsdb_socket}',
        'wait-until', 'Controller', settings.integration_bridge, 'is_connected=true',
    )
    return service.Service(
        f'neutron-ovs-agent-{host.number}',
        (settings.program('neutron-openvswitch-agent'), *service.config_files(files)),
        (f'bridges-{host.number}', 'neutron-rpc'), host.ovs_env, files,
        health.Command(connected), settings.port('openflow'),
    )


def _agent(host: hosts.Host, which: str, ready: health.Check) -> service.Service:
    return service.Service(
        f'neutron-{which}-{host.number}',
        (host.settings.program(f'neutron-{which}-agent'), *service.config_files([config(host)])),
        (f'neutron-ovs-agent-{host.number}',), host.ovs_env, (config(host),), ready,
    )


def _consumed(settings: cloud_settings.Settings, queue: str) -> health.Consumers:
    return health.Consumers(settings.port('rabbitmq'), settings.etc / 'passwords.json', queue)


def _is_socket(path: pathlib.Path) -> health.Command:
    # Not connected to: the agent logs an error for everyone who says nothing.
    return health.Command(('/usr/bin/test', '-S', str(path)))


def wanted(settings: cloud_settings.Settings) -> set[tuple[str, str]]:
    """Every agent there should be: program and host."""
    found = {(LAYER_2, host.name) for host in hosts.all_hosts(settings)}
    return found | {(program, hosts.Host(settings, 1).name) for program in OF_THE_MACHINE}


def service_of(program: str, host: str) -> str:
    """The name of the service that is this agent of this host."""
    which = {LAYER_2: 'ovs-agent'}.get(
        program, program.removeprefix('neutron-').removesuffix('-agent'))
    return f"neutron-{which}-{host.removeprefix('compute')}"


def namespaces(host: hosts.Host) -> list[str]:
    """Names of the namespaces that the DHCP and router agents may have made on this host."""
    path = state(host)
    networks = [entry.name for entry in path.glob('dhcp/*') if entry.is_dir()]
    routers = [entry.stem for entry in path.glob('ns-metadata-proxy/*.conf')]
    # A network without a router has its metadata proxy in its DHCP namespace.
    return sorted({
        *(f'qdhcp-{name}' for name in {*networks, *routers}),
        *(f'qrouter-{name}' for name in routers),
    })
