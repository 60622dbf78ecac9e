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

"""What runs on a compute host, as data: switch, network service, engine, nova-compute."""

from __future__ import annotations

import dataclasses

from zun_cloud import agents
from zun_cloud import cinder
from zun_cloud import health
from zun_cloud import hosts
from zun_cloud import logins
from zun_cloud import service

# Daemons log to the process manager, which keeps and rotates it.
OVS_LOGGING = ('-vsyslog:off', '-vfile:off', '-vconsole:info')


def of_host(host: hosts.Host) -> list[service.Service]:
    """The services of one host, named ``<service>-<number>``."""
    found = [*_power(host), *_switch(host), *_network(host), *_engine(host), *logins.of_host(host),
             _compute(host)]
    return [_placed(host, item) for item in found]


def _placed(host: hosts.Host, item: service.Service) -> service.Service:
    """The service as it must be started to run on that host."""
    if host.is_machine or item.name == host.name:
        return dataclasses.replace(item, host=host.number)
    # A power cut must last until someone switches the host on again.
    return dataclasses.replace(
        item, host=host.number, command=host.inside(*item.command), restart=False,
        after=(*item.after, f'power-{host.number}'),
    )


def _power(host: hosts.Host) -> list[service.Service]:
    """The namespaces of a host that is not the machine itself."""
    if host.is_machine:
        return []
    command = (
        '/usr/bin/unshare', '--net', '--mount', '--uts', '--ipc', '--pid', '--fork',
        '--kill-child', '--mount-proc', '--propagation', 'private',
        '/bin/sh', str(host.etc / 'init.sh'),
    )
    return [service.Service(
        host.name, command, (f'off-{host.number}',),
        restart=False,
    )]


def _switch(host: hosts.Host) -> list[service.Service]:
    number, run, port = host.number, host.run, host.settings.port('ovsdb')
    ovsdb = (
        '/usr/sbin/ovsdb-server', str(host.directory / 'conf.db'),
        f'--remote=punix:{host.ovsdb_socket}',
        '--remote=db:Open_vSwitch,Open_vSwitch,manager_options',
        f'--remote=ptcp:{port}:127.0.0.1',
        f'--pidfile={run}/ovs/ovsdb-server.pid', f'--unixctl={run}/ovs/ovsdb-server.ctl',
        *OVS_LOGGING,
    )
    vswitchd = (
        '/usr/sbin/ovs-vswitchd', f'unix:{host.ovsdb_socket}',
        f'--pidfile={run}/ovs/ovs-vswitchd.pid', f'--unixctl={run}/ovs/ovs-vswitchd.ctl',
        *OVS_LOGGING,
    )
    return [
        service.Service(f'ovsdb-{number}', ovsdb, (f'ovs-files-{number}',), host.ovs_env,
                        ready=health.Unix(host.ovsdb_socket), port=port),
        service.Service(f'ovs-vswitchd-{number}', vswitchd, (f'ovs-setup-{number}',), host.ovs_env,
                        ready=health.Unix(run / 'ovs/ovs-vswitchd.ctl')),
    ]


def _network(host: hosts.Host) -> list[service.Service]:
    """What wires ports on this host."""
    if host.settings.network == 'ovs':
        return agents.of_host(host)
    return [_controller(host), _metadata(host)]


def wires_ports(host: hosts.Host) -> str:
    """The service a port on this host cannot do without."""
    name = 'neutron-ovs-agent' if host.settings.network == 'ovs' else 'ovn-controller'
    return f'{name}-{host.number}'


def _controller(host: hosts.Host) -> service.Service:
    controller = (
        '/usr/bin/ovn-controller', f'unix:{host.ovsdb_socket}',
        f'--pidfile={host.run}/ovn/ovn-controller.pid',
        *OVS_LOGGING,
    )
    bridge = ('/usr/bin/ovs-vsctl', '--timeout=5', f'--db=unix:{host.ovsdb_socket}',
              'br-exists', host.settings.integration_bridge)
    return service.Service(
        f'ovn-controller-{host.number}', controller, (f'bridges-{host.number}', 'ovn-sb'),
        host.ovs_env, ready=health.Command(bridge),
    )


def _engine(host: hosts.Host) -> list[service.Service]:
    return _docker(host) if host.engine == 'docker' else [_podman(host)]


def _docker(host: hosts.Host) -> list[service.Service]:
    number, run, data = host.number, host.run, host.directory
    containerd = ('/usr/bin/containerd', '--config', str(host.etc / 'containerd.toml'))
    dockerd = (
        '/usr/sbin/dockerd', '--config-file', str(host.etc / 'docker.json'),
        '--data-root', str(data / 'docker'), '--exec-root', str(run / 'docker'),
        '--pidfile', str(run / 'dockerd.pid'), '--host', host.engine_url,
        '--containerd', str(host.containerd_socket),
        '--bridge=none', '--iptables=false', '--ip6tables=false',
        f'--cgroup-parent={host.cgroup}', '--exec-opt', 'native.cgroupdriver=cgroupfs',
    )
    return [
        service.Service(f'containerd-{number}', containerd, (f'off-{number}',),
                        files=(host.etc / 'containerd.toml',),
                        ready=health.Unix(host.containerd_socket)),
        service.Service(f'dockerd-{number}', dockerd, (f'containerd-{number}',),
                        files=(host.etc / 'docker.json',), ready=health.Unix(host.engine_socket),
                        stop_seconds=20),
    ]


def _podman(host: hosts.Host) -> service.Service:
    config, runtime = host.etc / 'containers.conf', host.etc / 'crun'
    command = (
        '/usr/bin/podman', '--root', str(host.directory / 'podman'),
        # Lost in a power cut: that is how Podman notices one.
        '--runroot', str(host.run / 'podman'), '--tmpdir', str(host.run / 'libpod'),
        'system', 'service', '--time', '0', host.engine_url,
    )
    return service.Service(
        host.engine_service, (str(host.etc / 'podman.sh'), *command), (f'off-{host.number}',),
        {'CONTAINERS_CONF': str(config)}, (config, runtime, host.etc / 'podman.sh'),
        health.Unix(host.engine_socket),
    )


def _metadata(host: hosts.Host) -> service.Service:
    config = host.etc / 'ovn_metadata_agent.ini'
    return service.Service(
        f'neutron-metadata-{host.number}',
        (host.settings.program('neutron-ovn-metadata-agent'), f'--config-file={config}'),
        (f'ovn-controller-{host.number}',), files=(config,),
    )


def _compute(host: hosts.Host) -> service.Service:
    config = host.etc / 'nova.conf'
    settings = host.settings
    # Calls made before it listens are lost: Nova does not keep them.
    listens = health.Consumers(
        settings.port('rabbitmq'), settings.etc / 'passwords.json', f'compute.{host.name}')
    return service.Service(
        f'nova-compute-{host.number}',
        (settings.program('nova-compute'), f'--config-file={config}'),
        ('seed', 'rabbitmq', 'placement', 'nova-conductor', host.engine_service,
         wires_ports(host)),
        {'OS_NOVA_DISABLE_EVENTLET_PATCHING': '1', **cinder.search_path(settings)},
        (config,), listens, stop_seconds=8,
    )
