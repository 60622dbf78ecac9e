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

"""How compute hosts log in to one another, as migrations need it.

All have one key of their own, made on the spot. What it may do on a host is what the forced
command in that host's ``authorized_keys`` does: take what a server has written.
"""

from __future__ import annotations

import pathlib

from zun_cloud import credentials
from zun_cloud import health
from zun_cloud import hosts
from zun_cloud import service
from zun_cloud import settings as cloud_settings
from zun_cloud import shell

#: For its privilege separation; the directory's name is compiled in.
_EMPTY = '/run/sshd'


def files(settings: cloud_settings.Settings) -> pathlib.Path:
    """Where the keys are: ``host_key`` is that of all servers, ``key`` is Nova's."""
    return settings.etc / 'ssh'


def of_host(host: hosts.Host) -> list[service.Service]:
    """The ssh server; a single host needs none."""
    if host.settings.computes == 1:
        return []
    config = host.etc / 'sshd_config'
    command = ('/bin/sh', '-c', f'mkdir -p {_EMPTY} && exec /usr/sbin/sshd -D -e -f {config}')
    port = host.settings.port('ssh')
    return [service.Service(
        f'sshd-{host.number}', command, ('ssh-keys', 'management', f'off-{host.number}'),
        files=(config,), ready=health.Tcp(port, host.address), port=port)]


def make_keys(settings: cloud_settings.Settings) -> None:
    """Have the keys, and who is known by them. May be repeated."""
    directory = files(settings)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ('host_key', 'key'):
        if not (directory / f'{name}.pub').exists():
            (directory / name).unlink(missing_ok=True)
            shell.run(('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', name, '-f',
                       str(directory / name)))
    public = (directory / 'host_key.pub').read_text()
    known = [f'[{host.address}]:{settings.port("ssh")} {public}'
             for host in hosts.all_hosts(settings)]
    credentials.write_private(directory / 'known_hosts', ''.join(known))
    for host in hosts.all_hosts(settings):
        host.etc.mkdir(parents=True, exist_ok=True)
        receive = f'{settings.program("zun-nova-receive")} --directory {arrivals(host)}'
        credentials.write_private(
            host.etc / 'authorized_keys',
            f'restrict,command="{receive}" {(directory / "key.pub").read_text()}')


def arrivals(host: hosts.Host) -> pathlib.Path:
    """Where zun_nova expects what comes from other hosts."""
    return host.directory / 'nova/instances/zun_nova/received'
