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

"""Configuration files from templates.

One list says which template becomes which file. Nothing else writes configuration.
"""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import typing

import jinja2

from zun_cloud import agents
from zun_cloud import cinder
from zun_cloud import credentials
from zun_cloud import hosts
from zun_cloud import network
from zun_cloud import settings as cloud_settings

TEMPLATES = cloud_settings.HERE / 'templates'


@dataclasses.dataclass(frozen=True)
class Output:
    """One file to be rendered."""

    template: str
    path: pathlib.Path
    host: hosts.Host | None = None
    mode: int = 0o600
    extra: typing.Mapping[str, typing.Any] = dataclasses.field(default_factory=dict)


def render(settings: cloud_settings.Settings, passwords: typing.Mapping[str, str]) -> None:
    """Write every configuration file. May be repeated: the result depends on nothing else."""
    environment = make_environment()
    for output in [*control_files(settings), *_host_files(settings)]:
        text = render_one(environment, output, settings, passwords)
        output.path.parent.mkdir(parents=True, exist_ok=True)
        credentials.write_private(output.path, text, output.mode)
    # Nova looks for its paste file beside nova.conf and nowhere else.
    shutil.copy(settings.venv / 'etc/nova/api-paste.ini', settings.etc / 'nova/api-paste.ini')


def make_environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (these are configuration files, not HTML)
    )


def render_one(
    environment: jinja2.Environment,
    output: Output,
    settings: cloud_settings.Settings,
    passwords: typing.Mapping[str, str],
) -> str:
    """The text of one file."""
    template = environment.get_template(output.template)
    host = output.host or hosts.Host(settings, 1)
    return template.render(
        s=settings, host=host, passwords=passwords, on_host=output.host is not None, **output.extra
    )


def control_files(settings: cloud_settings.Settings) -> list[Output]:
    """The files of the control plane."""
    etc = settings.etc
    files = [
        Output('keystone.conf', etc / 'keystone/keystone.conf'),
        Output('placement.conf', etc / 'placement/placement.conf'),
        Output('glance-api.conf', etc / 'glance/glance-api.conf'),
        Output('neutron.conf', etc / 'neutron/neutron.conf'),
        Output('ml2_conf.ini', etc / 'neutron/ml2_conf.ini'),
        Output('nova.conf', etc / 'nova/nova.conf'),
        Output('my.cnf', etc / 'my.cnf'),
        Output('rabbitmq.conf', etc / 'rabbitmq.conf'),
    ]
    apis = dict(APIS)
    if cinder.wanted(settings):
        files += _cinder_files(settings)
        apis['cinder'] = cinder.api(settings)
    files += [
        Output('uwsgi.ini', etc / f'uwsgi/{name}.ini',
               extra={'name': name, 'arguments': '', **api})
        for name, api in apis.items()
    ]
    return files


def _cinder_files(settings: cloud_settings.Settings) -> list[Output]:
    etc, programs = settings.etc / 'cinder', cinder.programs(settings)
    files = [
        Output('cinder.conf', etc / 'cinder.conf'),
        Output('nfs_shares', etc / 'shares', extra={'share': cinder.share(settings)}),
    ]
    if not settings.nfs_share:
        files += [Output(f'{name}.sh', programs / name, mode=0o700)
                  for name in ('mount', 'mount.nfs')]
    return files


# The WSGI applications: module, processes, threads.
APIS: dict[str, dict[str, typing.Any]] = {
    # Without threads: Keystone makes its policy enforcer at the first request, without a lock,
    # and refuses with 403 what another thread asks meanwhile.
    'keystone': {'module': 'keystone.wsgi.api', 'processes': 3, 'threads': 1},
    'placement': {'module': 'placement.wsgi.api', 'processes': 1, 'threads': 8},
    'glance': {'module': 'glance.wsgi.api', 'processes': 1, 'threads': 8},
    'neutron': {'module': 'neutron.wsgi.api', 'processes': 1, 'threads': 8},
    'nova-api': {'module': 'nova.wsgi.osapi_compute', 'processes': 1, 'threads': 8},
    'nova-metadata': {'module': 'nova.wsgi.metadata', 'processes': 1, 'threads': 4},
}


def _host_files(settings: cloud_settings.Settings) -> list[Output]:
    files = []
    for host in hosts.all_hosts(settings):
        files += [
            Output('nova.conf', host.etc / 'nova.conf', host),
            *_network_files(host),
            *_engine_files(host),
            Output('sshd_config', host.etc / 'sshd_config', host),
        ]
        if not host.is_machine:
            files += [
                Output('host-init.sh', host.etc / 'init.sh', host, 0o700),
                Output('host-enter.sh', host.enter_script, host, 0o700),
            ]
    return files


def _engine_files(host: hosts.Host) -> list[Output]:
    if host.engine == 'docker':
        return [Output('containerd.toml', host.etc / 'containerd.toml', host),
                Output('docker.json', host.etc / 'docker.json', host),
                Output('crun.sh', host.etc / 'crun', host, 0o700)]
    return [Output('containers.conf', host.etc / 'containers.conf', host),
            Output('podman.sh', host.etc / 'podman.sh', host, 0o700),
            Output('crun.sh', host.etc / 'crun', host, 0o700)]


def _network_files(host: hosts.Host) -> list[Output]:
    if host.settings.network == 'ovs':
        return [
            Output('neutron_agents.ini', agents.config(host), host,
                   extra={'datapath': network.datapath_type()}),
            Output('neutron_firewall.ini', agents.firewall(host), host),
        ]
    return [Output('ovn_metadata_agent.ini', host.etc / 'ovn_metadata_agent.ini', host)]
