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

"""Cinder with its NFS driver: ``cloud up --with cinder``.

Volumes are files in an NFS share. As long as no server's share is set (``nfs_share``), a directory
of this machine is the share, and what ``mount -t nfs`` runs binds it: all of Cinder and os-brick
is run, but of the kernel's NFS nothing.
"""

from __future__ import annotations

import pathlib
import time
import typing

from zun_cloud import errors
from zun_cloud import health
from zun_cloud import service
from zun_cloud import settings as cloud_settings

# What every volume is unless its owner asks for another type; the back end's name too.
TYPE = 'nfs'
# Cinder's own name for the place its volume service runs at: volumes belong to it.
HOST = 'cinder'
# Below the cloud's data.
DIRECTORIES = ('cinder/share', 'cinder/mnt', 'cinder/conversion')


def wanted(settings: cloud_settings.Settings) -> bool:
    return 'cinder' in settings.extras


def share(settings: cloud_settings.Settings) -> str:
    """The NFS share that holds the volumes, as ``HOST:PATH``."""
    return settings.nfs_share or f'127.0.0.1:{settings.data}/cinder/share'


def programs(settings: cloud_settings.Settings) -> pathlib.Path:
    """Stand-ins for programs this machine lacks, for the cloud's services only."""
    return settings.etc / 'cinder/bin'


def search_path(settings: cloud_settings.Settings) -> dict[str, str]:
    """What the environment of a service needs that mounts the share."""
    if not wanted(settings):
        return {}
    return {'PATH': f'{programs(settings)}:{settings.search_path}'}


def services(settings: cloud_settings.Settings) -> list[service.Service]:
    config = settings.etc / 'cinder/cinder.conf'
    return [
        service.uwsgi(settings, 'cinder', ('schema-cinder',), {}, (config,)),
        _worker(settings, 'scheduler', 'cinder-scheduler', (config,)),
        # Its messages come by a queue of the back end, once the share is mounted.
        _worker(settings, 'volume', f'cinder-volume.{HOST}@{TYPE}',
                (config, settings.etc / 'cinder/shares')),
    ]


def api(settings: cloud_settings.Settings) -> dict[str, typing.Any]:
    """Its WSGI application, which reads the server's arguments as if they were its own."""
    return {'module': 'cinder.wsgi.api', 'processes': 1, 'threads': 8,
            'arguments': f'--config-file={settings.etc}/cinder/cinder.conf'}


def _worker(
    settings: cloud_settings.Settings, name: str, queue: str, files: tuple[pathlib.Path, ...]
) -> service.Service:
    return service.Service(
        f'cinder-{name}',
        (settings.program(f'cinder-{name}'), *service.config_files(files[:1])),
        ('schema-cinder', 'directories', 'rabbitmq', 'seed'),
        search_path(settings), files,
        health.Consumers(settings.port('rabbitmq'), settings.etc / 'passwords.json', queue),
        stop_seconds=8,
    )


def make_type(admin: typing.Any) -> None:
    """The type of all volumes that ask for none. May be repeated."""
    storage = admin.block_storage
    if storage.find_type(TYPE) is None:
        storage.create_type(name=TYPE, extra_specs={'volume_backend_name': TYPE})


def wait_pool(admin: typing.Any, timeout: float = 90) -> None:
    """Wait until the scheduler has heard of the back end: before, it finds room for no volume."""
    deadline = time.monotonic() + timeout
    while not list(admin.block_storage.backend_pools()):
        if time.monotonic() > deadline:
            raise errors.CloudError(f"Cinder's scheduler knows no back end after {timeout:.0f} s")
        time.sleep(0.3)
