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

"""The commands of ``cloud``.

Runs twice: with the machine's Python, which may have to make the virtual environment first,
and then, from there, with everything the cloud is made of.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import typing

from zun_cloud import errors
from zun_cloud import install
from zun_cloud import settings as cloud_settings


def main(argv: typing.Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        return _dispatch(options)
    except errors.CloudError as exc:
        print(exc.report(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('cloud: interrupted; `cloud up` goes on from here', file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='cloud', description='One OpenStack cloud on one machine.'
    )
    parser.add_argument('--state-dir', metavar='DIR', help='where everything lives')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    up = commands.add_parser('up', help='install, start and fill whatever is missing')
    up.add_argument('--computes', type=int, metavar='N', help='number of compute hosts')
    up.add_argument('--with', dest='extras', action='append', metavar='NAME,...',
                    help=f"services besides: {', '.join(cloud_settings.EXTRAS)}")
    up.add_argument('--network', choices=cloud_settings.NETWORKS,
                    help="Neutron's back end: OVN, or Open vSwitch with agents")
    up.add_argument('--firewall', choices=cloud_settings.FIREWALLS,
                    help='what enforces security groups with --network ovs')
    up.add_argument('--engine', metavar='NAME,...',
                    help='what runs the containers of each compute host: docker or podman')
    up.add_argument('--port-base', type=int, metavar='PORT', help='first port of the services')
    up.add_argument('--no-server', action='store_true', help='boot no first server')
    commands.add_parser('status', help='what runs; exit code 0 only when all is well')
    commands.add_parser('down', help='stop everything; data stays')
    commands.add_parser('reset', help='stop everything and forget the data')
    commands.add_parser('leftovers', help='what a cloud that is down left on the machine')
    logs = commands.add_parser('logs', help="a service's log")
    logs.add_argument('service')
    logs.add_argument('-f', '--follow', action='store_true')
    restart = commands.add_parser('restart', help='restart one service')
    restart.add_argument('service')
    env = commands.add_parser('env', help='shell lines for the openstack client')
    env.add_argument('--user', choices=('admin', 'demo'), default='admin')
    commands.add_parser('tempest', help='write a tempest.conf for this cloud; prints its path')
    test = commands.add_parser('test', help='run the test suites')
    test.add_argument('names', nargs='*', metavar='SUITE')
    return parser


def _dispatch(options: argparse.Namespace) -> int:
    extras = getattr(options, 'extras', None)
    choices = {
        'computes': getattr(options, 'computes', None),
        'extras': extras and cloud_settings.names_in(extras),
        'network': getattr(options, 'network', None),
        'firewall': getattr(options, 'firewall', None),
        'engine': getattr(options, 'engine', None),
        'port_base': getattr(options, 'port_base', None),
    }
    settings = cloud_settings.load(options.state_dir, choices)
    if sys.prefix != str(settings.venv):
        return _first_stage(options, settings)
    from zun_cloud import commands

    return commands.run(options, settings, choices)


def _first_stage(  # noqa: RET503  (exec does not return)
    options: argparse.Namespace, settings: cloud_settings.Settings
) -> int:
    """Install if the command may, then go on inside the virtual environment."""
    began = os.environ.setdefault('ZUN_CLOUD_BEGAN', str(time.time()))
    if options.command in ('up', 'test'):
        install.check_disk(settings)
        install.everything(settings, lambda name, seconds: _report(float(began), name, seconds))
    python = settings.venv / 'bin/python'
    if not python.exists():
        if options.command in ('down', 'reset', 'leftovers', 'status'):
            print(f'no cloud in {settings.state}')
            return 3 if options.command == 'status' else 0
        raise errors.CloudError(f'no cloud in {settings.state}; `cloud up` makes one')
    environment = {**os.environ, 'PYTHONPATH': str(cloud_settings.STANDALONE)}
    os.execve(python, [str(python), '-m', 'zun_cloud', *sys.argv[1:]], environment)  # noqa: S606


def _report(began: float, name: str, seconds: float) -> None:
    print(f'{time.time() - began:7.1f} s  {name} ({seconds:.1f} s)', flush=True)
