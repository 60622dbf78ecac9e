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

"""What stands in the way on this machine, said before anything is started."""

from __future__ import annotations

import pathlib
import typing

import psutil

from zun_cloud import errors
from zun_cloud import leftovers
from zun_cloud import network
from zun_cloud import service as cloud_service
from zun_cloud import settings as cloud_settings


def check(
    settings: cloud_settings.Settings, services: typing.Iterable[cloud_service.Service]
) -> None:
    """To be called while none of the cloud's services run.

    :raises CloudError: a port or the switch belongs to someone else; the message says whom.
    """
    ports = {item.port: item.name for item in services if item.port}
    ports |= {settings.port(name): name for name in ('epmd', 'rabbitmq-dist')}
    own = {item.name for item in leftovers.processes(settings)}
    problems = [
        f'port {port}, for {ports[port]}, is in use by {owner}'
        for port, owner in listeners().items()
        if port in ports and owner.split(' ')[0] not in own
    ]
    if problems:
        raise errors.CloudError(
            '\n'.join([*problems, 'choose other ports with --port-base or settings.toml'])
        )
    _check_switch(settings)


def listeners() -> dict[int, str]:
    """Local TCP ports somebody listens on, with ``pid (name)`` of who does."""
    found = {}
    for connection in psutil.net_connections(kind='tcp'):
        if connection.status == psutil.CONN_LISTEN:
            found[connection.laddr.port] = _process_name(connection.pid)
    return found


def _process_name(pid: int | None) -> str:
    if pid is None:
        return 'an unknown process'
    try:
        return f'{pid} ({psutil.Process(pid).name()})'
    except psutil.NoSuchProcess:
        return f'{pid}'


def _check_switch(settings: cloud_settings.Settings) -> None:
    """A network namespace holds one userspace Open vSwitch: its device has a fixed name."""
    if network.datapath_type() == 'system':
        return
    other = leftovers.switch_daemons()
    if other:
        raise errors.CloudError(
            f'process {other[0]} is another userspace Open vSwitch in this network namespace:\n'
            'stop it, or run this cloud in a namespace of its own with `unshare --net --mount`'
        )
    for name in (settings.integration_bridge, settings.provider_bridge):
        link = pathlib.Path('/sys/class/net', name)
        # A tap of that name is what a switch that was killed leaves; the next one takes it.
        if link.exists() and not (link / 'tun_flags').exists():
            raise errors.CloudError(f"link {name} exists and is not this cloud's")
