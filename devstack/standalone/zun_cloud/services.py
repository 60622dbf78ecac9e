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

"""What runs: every service of the cloud as data. Nothing here acts."""

from __future__ import annotations

import pathlib
import typing

from zun_cloud import agents
from zun_cloud import cinder
from zun_cloud import errors
from zun_cloud import health
from zun_cloud import host_services
from zun_cloud import hosts
from zun_cloud import service
from zun_cloud import settings as cloud_settings


def all_services(settings: cloud_settings.Settings) -> list[service.Service]:
    """Every service of this cloud, in an order in which they may be started."""
    found = [*_infrastructure(settings), *_control_plane(settings)]
    for host in hosts.all_hosts(settings):
        found += host_services.of_host(host)
    if cinder.wanted(settings):
        found += cinder.services(settings)
    return found


def find(settings: cloud_settings.Settings, name: str) -> service.Service:
    """The service of that name.

    :raises CloudError: there is none; the message lists those there are.
    """
    known = {item.name: item for item in all_services(settings)}
    if name not in known:
        raise errors.CloudError(f"no service {name!r}; known: {', '.join(sorted(known))}")
    return known[name]


def _infrastructure(settings: cloud_settings.Settings) -> list[service.Service]:
    ovn = _ovn(settings) if settings.network == 'ovn' else []
    return [_mariadb(settings), _rabbitmq(settings), _memcached(settings), *ovn]


def _mariadb(settings: cloud_settings.Settings) -> service.Service:
    config = settings.etc / 'my.cnf'
    return service.Service(
        'mariadb', ('/usr/sbin/mariadbd', f'--defaults-file={config}'), ('mariadb-files',),
        files=(config,), ready=health.Unix(settings.run / 'mariadb.sock'),
        port=settings.port('mariadb'), stop_seconds=30,
    )


def _rabbitmq(settings: cloud_settings.Settings) -> service.Service:
    home = settings.data / 'rabbitmq'
    config = settings.etc / 'rabbitmq.conf'
    # The server itself: Debian's wrapper in /usr/sbin switches user. Few schedulers, and none
    # that wait busily, or an idle broker costs a tenth of a CPU.
    env = {
        'HOME': str(home),
        'ERL_EPMD_PORT': str(settings.port('epmd')),
        'ERL_EPMD_ADDRESS': '127.0.0.1',
        'RABBITMQ_NODENAME': f'{settings.prefix}@localhost',
        'RABBITMQ_DIST_PORT': str(settings.port('rabbitmq-dist')),
        'RABBITMQ_MNESIA_BASE': str(home / 'mnesia'),
        'RABBITMQ_LOG_BASE': str(home / 'log'),
        'RABBITMQ_LOGS': '-',
        'RABBITMQ_CONFIG_FILE': str(config),
        'RABBITMQ_ENABLED_PLUGINS_FILE': str(home / 'enabled_plugins'),
        'RABBITMQ_PID_FILE': str(settings.run / 'rabbitmq.pid'),
        'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none',
    }
    return service.Service(
        'rabbitmq', ('/usr/lib/rabbitmq/bin/rabbitmq-server',),
        ('directories', 'management'), env, (config,),
        health.Tcp(settings.port('rabbitmq')), settings.port('rabbitmq'), stop_seconds=20,
    )


def _memcached(settings: cloud_settings.Settings) -> service.Service:
    port = settings.port('memcached')
    command = ('/usr/bin/memcached', '-u', 'root', '-l', '127.0.0.1', '-p', str(port), '-m', '64')
    return service.Service('memcached', command, ready=health.Tcp(port), port=port)


def _ovn(settings: cloud_settings.Settings) -> list[service.Service]:
    """OVN's two databases and the daemon between them."""
    host = hosts.Host(settings, 1)
    run, data = host.run / 'ovn', host.directory
    found = []
    for which in ('nb', 'sb'):
        name = f'ovn-{which}'
        remotes = [f'--remote=punix:{run}/ovn{which}_db.sock']
        port = settings.port(name)
        remotes += [f'--remote=ptcp:{port}:{address}' for address in settings.listen]
        command = (
            '/usr/sbin/ovsdb-server', str(data / f'ovn{which}_db.db'), *remotes,
            f'--unixctl={run}/ovn{which}_db.ctl', f'--pidfile={run}/ovn{which}_db.pid',
            '-vsyslog:off', '-vfile:off',
        )
        found.append(service.Service(
            name, command, ('ovs-files-1', 'management'), env=host.ovs_env,
            ready=health.Tcp(port), port=port,
        ))
    northd = (
        '/usr/bin/ovn-northd',
        f'--pidfile={run}/ovn-northd.pid', f'--unixctl={run}/ovn-northd.ctl',
        f'--ovnnb-db=unix:{run}/ovnnb_db.sock', f'--ovnsb-db=unix:{run}/ovnsb_db.sock',
        '-vsyslog:off', '-vfile:off',
    )
    found.append(service.Service(
        'ovn-northd', northd, ('ovn-nb', 'ovn-sb'), host.ovs_env,
        ready=health.Unix(run / 'ovn-northd.ctl'),
    ))
    return found


def _control_plane(settings: cloud_settings.Settings) -> list[service.Service]:
    etc = settings.etc
    nova = (etc / 'nova/nova.conf',)
    nova_env = {'OS_NOVA_CONFIG_DIR': str(etc / 'nova'), 'OS_NOVA_DISABLE_EVENTLET_PATCHING': '1'}
    return [
        service.uwsgi(settings, 'keystone', ('schema-keystone', 'memcached'),
              {'OS_KEYSTONE_CONFIG_DIR': str(etc / 'keystone')},
              (etc / 'keystone/keystone.conf',)),
        service.uwsgi(settings, 'placement', ('schema-placement',),
              {'OS_PLACEMENT_CONFIG_DIR': str(etc / 'placement')},
              (etc / 'placement/placement.conf',)),
        service.uwsgi(settings, 'glance', ('schema-glance',),
              {'OS_GLANCE_CONFIG_DIR': str(etc / 'glance')}, (etc / 'glance/glance-api.conf',)),
        *_neutron(settings),
        # The APIs connect to the broker when they need it, and import while it starts.
        service.uwsgi(settings, 'nova-api', ('schema-nova',), nova_env, nova),
        service.uwsgi(settings, 'nova-metadata', ('schema-nova',), nova_env, nova),
        *_nova_workers(settings, nova, nova_env),
    ]


def _neutron(settings: cloud_settings.Settings) -> list[service.Service]:
    files = (settings.etc / 'neutron/neutron.conf', settings.etc / 'neutron/ml2_conf.ini')
    env = {
        'OS_NEUTRON_CONFIG_DIR': str(settings.etc / 'neutron'),
        'OS_NEUTRON_CONFIG_FILES': 'neutron.conf;ml2_conf.ini',
    }
    if settings.network == 'ovs':
        return [
            service.uwsgi(settings, 'neutron', ('schema-neutron',), env, files),
            agents.rpc_server(settings, files),
        ]
    return [
        service.uwsgi(settings, 'neutron', ('schema-neutron', 'ovn-nb', 'ovn-sb'), env, files),
        service.Service(
            'neutron-ovn-maintenance',
            (settings.program('neutron-ovn-maintenance-worker'), *service.config_files(files)),
            ('neutron',), files=files,
        ),
    ]


def _nova_workers(
    settings: cloud_settings.Settings,
    files: tuple[pathlib.Path, ...],
    env: typing.Mapping[str, str],
) -> list[service.Service]:
    found = [
        service.Service(
            f'nova-{name}', (settings.program(f'nova-{name}'), *service.config_files(files)),
            ('schema-nova', 'rabbitmq', 'seed', 'placement'), env, files,
            health.Consumers(settings.port('rabbitmq'), settings.etc / 'passwords.json', name),
        )
        # Both ask Placement for a client at start and end when Keystone does not know them.
        for name in ('conductor', 'scheduler')
    ]
    # The console proxies still need eventlet.
    port = settings.port('nova-serialproxy')
    found.append(service.Service(
        'nova-serialproxy', (settings.program('nova-serialproxy'), *service.config_files(files)),
        ('schema-nova',), {}, files, health.Tcp(port), port,
    ))
    return found
