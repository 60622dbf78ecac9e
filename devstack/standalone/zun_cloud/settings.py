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

"""Where everything lives and what it is called: one frozen value.

Later sources win: the defaults below, ``settings.toml`` in the state directory (written
by the operator), ``choices.json`` beside it (what earlier ``cloud up`` options chose), the
environment, and the command line.

Standard library only: this is read before the virtual environment exists.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import os
import pathlib
import tomllib
import typing

from zun_cloud import errors

HERE = pathlib.Path(__file__).resolve().parent
STANDALONE = HERE.parent
CHECKOUT = STANDALONE.parent.parent
DEFAULT_STATE = pathlib.Path('/var/lib/zun-cloud')

# sun_path is 108 bytes with its NUL; the longest name made below the state directory is
# OVS's "run/99/ovn/ovn-controller.<pid>.ctl".
MAX_STATE_LENGTH = 60

# Offsets from port_base, so that two clouds on one machine differ in one number.
PORTS = {
    'keystone': 0,
    'placement': 1,
    'glance': 2,
    'neutron': 3,
    'nova-api': 4,
    'nova-metadata': 5,
    'nova-serialproxy': 6,
    'cinder': 7,
    'heat': 8,
    'rabbitmq': 10,
    'rabbitmq-dist': 11,
    'epmd': 12,
    'mariadb': 13,
    'memcached': 14,
    'ovsdb': 20,
    'ovn-nb': 21,
    'ovn-sb': 22,
    'openflow': 23,
    'ssh': 24,
    'console': 25,
    # No service: a registry of images that tests and users may run here.
    'registry': 30,
}

# Neutron's back ends, and of ML2/OVS what enforces security groups.
NETWORKS = ('ovn', 'ovs')
FIREWALLS = ('openvswitch', 'iptables_hybrid')

# What runs the containers of a compute host.
ENGINES = ('docker', 'podman')

# Services that a cloud may have besides: `cloud up --with NAME`.
EXTRAS = ('cinder',)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything a command needs to know about one cloud."""

    state: pathlib.Path = DEFAULT_STATE
    computes: int = 1
    extras: tuple[str, ...] = ()
    port_base: int = 15000
    ports: typing.Mapping[str, int] = dataclasses.field(default_factory=dict)
    network: str = 'ovn'
    firewall: str = FIREWALLS[0]
    # Of each compute host in turn, with commas; hosts beyond have the last one.
    engine: str = ENGINES[0]
    # Names of links and cgroups: two clouds on one machine need different ones.
    prefix: str = 'zun'
    integration_bridge: str = 'br-int'
    provider_bridge: str = 'br-zun'
    external_network: str = '172.31.250.0/24'
    management_network: str = '172.31.239.0/24'
    private_network: str = '10.90.0.0/24'
    private_network_v6: str = 'fd00:90:1::/64'
    vlans: str = '100:999'
    region: str = 'RegionOne'
    compute_driver: str = ''
    # HOST:PATH of an NFS server's share for volumes. Without one: a directory of this machine.
    nfs_share: str = ''

    def __post_init__(self) -> None:
        if not 1 <= self.computes <= 99:
            raise errors.CloudError(f'--computes must be between 1 and 99, not {self.computes}')
        if len(str(self.state)) > MAX_STATE_LENGTH:
            raise errors.CloudError(
                f"the state directory's path {self.state} is longer than {MAX_STATE_LENGTH}"
                " characters: unix sockets below it could not be made"
            )
        for name, value, known in (('network', self.network, NETWORKS),
                                   ('firewall', self.firewall, FIREWALLS)):
            if value not in known:
                raise errors.CloudError(f"{name} {value!r} is none of {', '.join(known)}")
        for name in self.engine.split(','):
            if name not in ENGINES:
                raise errors.CloudError(f"engine {name!r} is none of {', '.join(ENGINES)}")
        for name in self.extras:
            if name not in EXTRAS:
                raise errors.CloudError(
                    f"--with {name}: no such service; known: {', '.join(EXTRAS)}")
        if self.firewall != FIREWALLS[0] and self.network != 'ovs':
            raise errors.CloudError(
                f'firewall {self.firewall} needs --network ovs;'
                ' OVN enforces security groups itself')
        if len(self.prefix) > 6:
            raise errors.CloudError(f'prefix {self.prefix!r} is longer than 6 characters')

    def directory(self, *names: str) -> pathlib.Path:
        """A directory below the state directory, made if it is missing."""
        path = self.state.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def venv(self) -> pathlib.Path:
        return self.state / 'venv'

    @property
    def tools(self) -> pathlib.Path:
        return self.state / 'tools'

    @property
    def etc(self) -> pathlib.Path:
        return self.state / 'etc'

    @property
    def log(self) -> pathlib.Path:
        return self.state / 'log'

    @property
    def run(self) -> pathlib.Path:
        return self.state / 'run'

    @property
    def data(self) -> pathlib.Path:
        return self.state / 'data'

    @property
    def cache(self) -> pathlib.Path:
        return self.state / 'cache'

    @property
    def search_path(self) -> str:
        """``PATH`` of every service."""
        return f'{self.venv}/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin'

    def program(self, name: str) -> str:
        """The path of a program of the virtual environment."""
        return str(self.venv / 'bin' / name)

    def port(self, name: str) -> int:
        return self.ports.get(name, self.port_base + PORTS[name])

    def engine_of(self, host: int) -> str:
        """What runs the containers of compute host ``host``."""
        names = self.engine.split(',')
        return names[min(host, len(names)) - 1]

    @property
    def management_bridge(self) -> str:
        return f'{self.prefix}-mgmt'

    @property
    def external_address(self) -> str:
        """The machine's own address on the external network."""
        return str(ipaddress.ip_network(self.external_network)[1])

    def management_address(self, host: int) -> str:
        """The address of compute host ``host`` (1 is the machine itself)."""
        return str(ipaddress.ip_network(self.management_network)[host])

    @property
    def listen(self) -> tuple[str, ...]:
        """The addresses services listen on; the last one every compute host reaches.

        With one host too: services keep the catalogue they got with a token, so the internal
        URLs must not change with the number of hosts.
        """
        return ('127.0.0.1', self.management_address(1))

    def url(self, service: str, path: str = '', *, internal: bool = False) -> str:
        address = self.listen[-1] if internal else self.listen[0]
        return f'http://{address}:{self.port(service)}{path}'

    def log_of(self, service: str) -> pathlib.Path:
        return self.log / f'{service}.log'


def load(
    state: str | None = None,
    overrides: typing.Mapping[str, typing.Any] | None = None,
    environ: typing.Mapping[str, str] = os.environ,
) -> Settings:
    """The settings of the cloud in ``state``.

    :param overrides: what the command line chose; None values are ignored.
    :raises CloudError: an unknown name or a value of the wrong type.
    """
    where = pathlib.Path(state or environ.get('ZUN_CLOUD_STATE') or DEFAULT_STATE).absolute()
    values: dict[str, typing.Any] = {'state': where}
    values.update(_read_toml(where / 'settings.toml'))
    values.update(_read_choices(where / 'choices.json'))
    values.update(_from_environment(environ))
    values.update({k: v for k, v in (overrides or {}).items() if v is not None})
    return build(values)


def build(values: typing.Mapping[str, typing.Any]) -> Settings:
    """Settings from plain values, with unknown names and wrong types refused."""
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    clean = {}
    for name, value in values.items():
        if name not in fields:
            known = ', '.join(sorted(fields))
            raise errors.CloudError(f'unknown setting {name!r}; known: {known}')
        clean[name] = _convert(name, value, fields[name].type)
    unknown = set(clean.get('ports', {})) - set(PORTS)
    if unknown:
        raise errors.CloudError(f"unknown ports {sorted(unknown)}; known: {', '.join(PORTS)}")
    return Settings(**clean)


def remember(settings: Settings, choices: typing.Mapping[str, typing.Any]) -> None:
    """Keep what an option of ``cloud up`` chose for the commands that follow."""
    path = settings.directory() / 'choices.json'
    kept = _read_choices(path)
    kept.update({k: v for k, v in choices.items() if v is not None})
    temporary = path.with_suffix('.new')
    temporary.write_text(json.dumps(kept, indent=1) + '\n')
    temporary.replace(path)


def _convert(name: str, value: typing.Any, kind: typing.Any) -> typing.Any:
    try:
        if kind == 'int':
            return int(value)
        if kind == 'pathlib.Path':
            return pathlib.Path(value)
        if kind == 'tuple[str, ...]':
            return tuple(value)
        if kind.startswith('typing.Mapping'):
            return {str(k): int(v) for k, v in dict(value).items()}
        return str(value)
    except (TypeError, ValueError) as exc:
        raise errors.CloudError(f'setting {name} = {value!r}: {exc}') from exc


def _read_toml(path: pathlib.Path) -> dict[str, typing.Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as exc:
        raise errors.CloudError(f'{path}: {exc}') from exc


def _read_choices(path: pathlib.Path) -> dict[str, typing.Any]:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}


def _from_environment(environ: typing.Mapping[str, str]) -> dict[str, typing.Any]:
    """``ZUN_CLOUD_PORT_BASE=16000`` and the like; the structured ones stay in the file.

    ``ZUN_CLOUD_WITH`` is the list of extras, with commas; empty for none of them.
    """
    structured = {'state', 'ports', 'extras'}
    names = [f.name for f in dataclasses.fields(Settings) if f.name not in structured]
    found = {name: environ.get(f'ZUN_CLOUD_{name.upper()}') for name in names}
    values: dict[str, typing.Any] = {name: value for name, value in found.items() if value}
    if 'ZUN_CLOUD_WITH' in environ:
        values['extras'] = names_in([environ['ZUN_CLOUD_WITH']])
    return values


def names_in(lists: typing.Iterable[str]) -> tuple[str, ...]:
    """The names in lists with commas, each once."""
    return tuple(dict.fromkeys(name for text in lists for name in text.split(',') if name))
