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

"""Databases and their schemas.

Schemas are most of the work of a first start, so what one start made is kept in the cache
as SQL for the next ``reset``; only tables go there, taken before anything secret is in them.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
import pathlib
import subprocess
import typing

from zun_cloud import cinder
from zun_cloud import errors
from zun_cloud import settings as cloud_settings
from zun_cloud import shell

# Nova's cell mappings as templates: Nova fills them from its own configuration, so that no
# password is in the database and a changed port needs no update.
CELL_DATABASE = '{scheme}://{username}:{password}@{hostname}:{port}/%s?{query}'
CELL_TRANSPORT = '{scheme}://{username}:{password}@{hostname}:{port}/'


@dataclasses.dataclass(frozen=True)
class Schema:
    """How one service gets its tables.

    :param module: holds the ``main`` of its manage command.
    :param sync: groups of command lines that make the tables (see ``manage``).
    :param copies: databases that begin with the tables of another one: {copy: original}.
    :param upgrade: instead of sync and copies, where there are tables and data already.
    :param setup: command lines for what depends on this cloud's passwords and ports.
    """

    service: str
    databases: tuple[str, ...]
    module: str
    sync: list[list[list[str]]]
    copies: typing.Mapping[str, str] = dataclasses.field(default_factory=dict)
    upgrade: list[list[list[str]]] = dataclasses.field(default_factory=list)
    setup: list[list[list[str]]] = dataclasses.field(default_factory=list)


def schemas(
    settings: cloud_settings.Settings, passwords: typing.Mapping[str, str]
) -> list[Schema]:
    """Every service that has a database."""
    etc = settings.etc
    placement = ['placement-manage', f'--config-file={etc}/placement/placement.conf']
    glance = ['glance-manage', f'--config-file={etc}/glance/glance-api.conf']
    neutron = ['neutron-db-manage', f'--config-file={etc}/neutron/neutron.conf',
               f'--config-file={etc}/neutron/ml2_conf.ini']
    found = [
        _keystone(settings, passwords),
        _nova(settings),
        Schema('neutron', ('neutron',), 'neutron.db.migration.cli',
               [[[*neutron, 'upgrade', 'heads']]]),
        Schema('glance', ('glance',), 'glance.cmd.manage', [[[*glance, 'db_sync']]]),
        Schema('placement', ('placement',), 'placement.cmd.manage',
               [[[*placement, 'db', 'sync']]]),
    ]
    if cinder.wanted(settings):
        manage = ['cinder-manage', f'--config-file={etc}/cinder/cinder.conf']
        found.append(Schema('cinder', ('cinder',), 'cinder.cmd.manage',
                            [[[*manage, 'db', 'sync']]]))
    return found


def _keystone(
    settings: cloud_settings.Settings, passwords: typing.Mapping[str, str]
) -> Schema:
    manage = ['keystone-manage', f'--config-file={settings.etc}/keystone/keystone.conf']
    owner = ['--keystone-user', 'root', '--keystone-group', 'root']
    bootstrap = [
        *manage, 'bootstrap', '--bootstrap-password', passwords['admin'],
        '--bootstrap-admin-url', settings.url('keystone', '/v3'),
        '--bootstrap-internal-url', settings.url('keystone', '/v3', internal=True),
        '--bootstrap-public-url', settings.url('keystone', '/v3'),
        '--bootstrap-region-id', settings.region,
    ]
    keys = [[*manage, 'fernet_setup', *owner], [*manage, 'credential_setup', *owner]]
    return Schema('keystone', ('keystone',), 'keystone.cmd.manage', [[[*manage, 'db_sync']]],
                  setup=[keys, [bootstrap]])


def _nova(settings: cloud_settings.Settings) -> Schema:
    manage = ['nova-manage', f'--config-file={settings.etc}/nova/nova.conf']
    map_cell0 = [*manage, 'cell_v2', 'map_cell0',
                 '--database_connection', CELL_DATABASE % 'nova_cell0']
    cell1 = [*manage, 'cell_v2', 'create_cell', '--name', 'cell1',
             '--database_connection', CELL_DATABASE % 'nova', '--transport-url', CELL_TRANSPORT]
    api = [*manage, 'api_db', 'sync']
    return Schema(
        'nova', ('nova_api', 'nova', 'nova_cell0'), 'nova.cmd.manage',
        [[api, [*manage, 'db', 'sync', '--local_cell']]],
        copies={'nova_cell0': 'nova'}, setup=[[map_cell0], [cell1]],
        # Without --local_cell cell0 as well, whose servers and services are its own.
        upgrade=[[api], [[*manage, 'db', 'sync']]],
    )


class Databases:
    """MariaDB's files, its databases and what is in them."""

    def __init__(
        self, settings: cloud_settings.Settings, passwords: typing.Mapping[str, str]
    ) -> None:
        self._settings = settings
        self._passwords = passwords
        self._socket = settings.run / 'mariadb.sock'

    def make_files(self) -> None:
        """The server's own tables, unless they are there."""
        target = self._settings.data / 'mysql'
        if (target / 'mysql').is_dir():
            return
        target.mkdir(parents=True, exist_ok=True)
        # root needs no password but must be root on this machine: it comes by the socket.
        shell.run([
            'mariadb-install-db', '--no-defaults', f'--datadir={target}', '--user=root',
            '--auth-root-authentication-method=socket', '--auth-root-socket-user=root',
            '--skip-test-db', '--skip-name-resolve',
        ])

    def create(self) -> None:
        """The databases and the user all services share. May be repeated."""
        names = [name for schema in self._schemas() for name in schema.databases]
        lines = [
            f'CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4;' for name in names
        ]
        password = self._passwords['database']
        for host in ('127.0.0.1', 'localhost'):
            lines += [
                f"CREATE USER IF NOT EXISTS openstack@'{host}';",
                f"ALTER USER openstack@'{host}' IDENTIFIED BY '{password}';",
                f"GRANT ALL ON *.* TO openstack@'{host}';",
            ]
        self._sql('\n'.join(lines))

    def prepare(self, schema: Schema) -> None:
        """Bring one service's databases to where its programs can start. May be repeated."""
        stamps = self._settings.directory('data', 'schema')
        tables = stamps / f'{schema.service}.tables'
        if _read(tables) != self._revision:
            self._make_tables(schema, fresh=not tables.exists())
            tables.write_text(self._revision)
        setup = stamps / f'{schema.service}.setup'
        wanted = hashlib.sha256(json.dumps(schema.setup).encode()).hexdigest()
        if schema.setup and _read(setup) != wanted:
            # Nova refuses to map a second cell of the same name; everything else may repeat.
            if not (schema.service == 'nova' and setup.exists()):
                self._manage(schema, schema.setup)
            setup.write_text(wanted)

    def _schemas(self) -> list[Schema]:
        return schemas(self._settings, self._passwords)

    def _make_tables(self, schema: Schema, *, fresh: bool) -> None:
        files = {name: self._cache / f'{name}.sql.gz' for name in schema.databases}
        if fresh and all(path.exists() for path in files.values()):
            for name, path in files.items():
                self._sql(gzip.decompress(path.read_bytes()).decode(), name)
            return
        if not fresh:
            self._manage(schema, schema.upgrade or schema.sync)
            return
        self._manage(schema, schema.sync)
        for copy, original in schema.copies.items():
            self._sql(self._dump(original), copy)
        self._cache.mkdir(parents=True, exist_ok=True)
        for name, path in files.items():
            temporary = path.with_suffix('.new')
            temporary.write_bytes(gzip.compress(self._dump(name).encode(), 1))
            temporary.replace(path)

    @property
    def _revision(self) -> str:
        """Changes with the versions of the services, and so possibly with their tables."""
        text = (cloud_settings.STANDALONE / 'constraints.txt').read_bytes()
        return hashlib.sha256(text).hexdigest()[:16]

    @property
    def _cache(self) -> pathlib.Path:
        return self._settings.cache / f'schema-{self._revision}'

    def _manage(self, schema: Schema, groups: list[list[list[str]]]) -> None:
        log = self._settings.log / f'schema-{schema.service}.log'
        command = [
            str(self._settings.venv / 'bin/python'), '-m', 'zun_cloud.manage',
            schema.module, json.dumps(groups),
        ]
        env = {
            **os.environ,
            'PYTHONPATH': str(cloud_settings.STANDALONE),
            'OS_NOVA_DISABLE_EVENTLET_PATCHING': '1',
        }
        with log.open('a') as stream:
            done = subprocess.run(
                command, env=env, stdin=subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.STDOUT, timeout=600, check=False,
            )
        if done.returncode:
            raise errors.CloudError(f"{schema.service}'s databases could not be prepared", log)

    def _sql(self, text: str, database: str = '') -> None:
        command = ['mariadb', '--no-defaults', f'--socket={self._socket}', '--user=root', database]
        shell.run([word for word in command if word], stdin=text, timeout=120)

    def _dump(self, database: str) -> str:
        return shell.run([
            'mariadb-dump', '--no-defaults', f'--socket={self._socket}', '--user=root',
            '--skip-comments', '--single-transaction', database,
        ])


def _read(path: pathlib.Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
