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

"""From nothing to a cloud with a server in it: every service and task, in order, at once."""

from __future__ import annotations

import functools
import shutil
import typing

from zun_cloud import agents
from zun_cloud import cinder
from zun_cloud import content
from zun_cloud import credentials
from zun_cloud import databases
from zun_cloud import graph
from zun_cloud import hosts
from zun_cloud import identity
from zun_cloud import logins
from zun_cloud import network
from zun_cloud import service as cloud_service
from zun_cloud import services
from zun_cloud import settings as cloud_settings

if typing.TYPE_CHECKING:
    from zun_cloud import supervise


class BringUp:
    """One run of ``cloud up``. May be repeated: what is there is left alone."""

    def __init__(
        self, settings: cloud_settings.Settings, manager: supervise.Manager
    ) -> None:
        self.settings = settings
        self.passwords = credentials.load(settings)
        self.manager = manager
        self.databases = databases.Databases(settings, self.passwords)
        self.services = services.all_services(settings)

    def nodes(self) -> list[graph.Node]:
        """Everything there is to do."""
        found = [
            graph.Node(item.name, functools.partial(self.start, item), item.after)
            for item in self.services
        ]
        found += self._infrastructure_tasks()
        for host in hosts.all_hosts(self.settings):
            found += self._host_tasks(host)
        found += self._content_tasks()
        return found

    def start(self, item: cloud_service.Service) -> None:
        self.manager.start(item.name)
        self.manager.wait_ready(item)

    def _infrastructure_tasks(self) -> list[graph.Node]:
        node = graph.Node
        found = [
            node('directories', self._directories),
            node('mariadb-files', self.databases.make_files, ('directories',)),
            node('databases', self.databases.create, ('mariadb',)),
            node('ssh-keys', lambda: logins.make_keys(self.settings), ('directories',)),
            node('management', lambda: network.make_management_bridge(self.settings)),
            node('seed', lambda: identity.seed(self.settings, self.passwords), ('keystone',)),
        ]
        for schema in databases.schemas(self.settings, self.passwords):
            prepare = functools.partial(self.databases.prepare, schema)
            found.append(node(f'schema-{schema.service}', prepare, ('databases',)))
        return found

    def _directories(self) -> None:
        for name in ('rabbitmq', 'neutron', 'glance/images', 'glance/staging', 'glance/tasks',
                     'keystone', *(cinder.DIRECTORIES if cinder.wanted(self.settings) else ())):
            self.settings.directory('data', *name.split('/'))
        for host in hosts.all_hosts(self.settings):
            host.run.mkdir(parents=True, exist_ok=True)
            (host.directory / 'nova' / 'instances').mkdir(parents=True, exist_ok=True)

    def _host_tasks(self, host: hosts.Host) -> list[graph.Node]:
        node, number = graph.Node, host.number
        found = [
            node(f'off-{number}', lambda: self._forget_power(host), ('directories',)),
            node(f'ovs-files-{number}', lambda: network.make_database_files(host),
                 (f'off-{number}',)),
            node(f'ovs-setup-{number}', lambda: network.configure_switch(host),
                 (f'ovsdb-{number}',)),
            node(f'bridges-{number}', lambda: network.make_provider_bridge(host),
                 (f'ovs-vswitchd-{number}',)),
        ]
        if self.settings.network == 'ovn':
            found.append(node(f'flows-{number}', lambda: network.recompute_flows(host),
                              (f'ovn-controller-{number}',)))
        if not host.is_machine:
            found.append(node(f'power-{number}', lambda: self._power(host),
                              (host.name, 'management', 'bridges-1')))
        return found

    def _forget_power(self, host: hosts.Host) -> None:
        """What a boot left behind must not be taken for this one's.

        Worst is dockerd's pid file: in a new PID namespace its number is soon somebody's.
        """
        if not self._up(f'ovsdb-{host.number}', f'ovs-vswitchd-{host.number}'):
            network.forget_ports(host)
        if host.is_machine:
            if not self._up(host.engine_service):
                (host.run / 'dockerd.pid').unlink(missing_ok=True)
        elif not self._up(host.name):
            shutil.rmtree(host.run, ignore_errors=True)
            host.run.mkdir(parents=True)

    def _up(self, *names: str) -> bool:
        """Whether any of these services runs."""
        return any(self.manager.process(name).up for name in names)

    def _power(self, host: hosts.Host) -> None:
        if host.pid_file.exists():
            return
        pid = self.manager.process(host.name).pid
        network.cable(host, hosts.wait_powered(host, pid or 0))

    def _content_tasks(self) -> list[graph.Node]:
        node = graph.Node
        computes = tuple(f'nova-compute-{host.number}' for host in hosts.all_hosts(self.settings))
        return [
            node('flavors', lambda: content.make_flavors(self.admin()), ('seed', 'nova-api')),
            node('image', lambda: content.make_image(self.admin(), self.settings),
                 ('seed', 'glance')),
            node('networks', self._networks, ('seed', 'neutron', *self._network_agents())),
            node('compute hosts', self._wait_hosts,
                 ('nova-api', 'nova-scheduler', *computes, *self._network_agents())),
            *self._agent_tasks(),
            *self._volume_tasks(),
        ]

    def _agent_tasks(self) -> list[graph.Node]:
        if self.settings.network != 'ovs':
            return []
        every = tuple(agents.service_of(*item) for item in agents.wanted(self.settings))
        return [graph.Node('network agents', self._wait_agents, ('seed', 'neutron', *every))]

    def _volume_tasks(self) -> list[graph.Node]:
        if not cinder.wanted(self.settings):
            return []
        return [
            graph.Node('volume type', lambda: cinder.make_type(self.admin()), ('seed', 'cinder')),
            graph.Node('volume back end', lambda: cinder.wait_pool(self.admin()),
                       ('seed', 'cinder', 'cinder-scheduler', 'cinder-volume')),
        ]

    def _network_agents(self) -> tuple[str, ...]:
        """What a network must wait for to be served."""
        return ('network agents',) if self.settings.network == 'ovs' else ()

    def _wait_agents(self) -> None:
        started = {
            (program, host): self.manager.process(agents.service_of(program, host)).started
            for program, host in agents.wanted(self.settings)
        }
        content.wait_agents(self.admin(), started)

    def _networks(self) -> None:
        content.make_networks(self.admin(), self.settings)
        network.bypass_gateway_mtu(self.settings)

    def _wait_hosts(self) -> None:
        started = {
            host.name: self.manager.process(f'nova-compute-{host.number}').started
            for host in hosts.all_hosts(self.settings)
        }
        admin = self.admin()
        content.retire_hosts(admin, started)
        content.wait_hosts(admin, started)

    def admin(self) -> typing.Any:
        return identity.connect(self.settings, self.passwords, 'admin')

    def demo(self) -> typing.Any:
        return identity.connect(self.settings, self.passwords, 'demo')
