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

"""What each command of ``cloud`` does, once the virtual environment is there."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import functools
import itertools
import os
import shlex
import shutil
import sys
import time
import typing

import keystoneauth1.exceptions
import openstack.exceptions

from zun_cloud import bringup
from zun_cloud import content
from zun_cloud import credentials
from zun_cloud import errors
from zun_cloud import flavour
from zun_cloud import graph
from zun_cloud import identity
from zun_cloud import install
from zun_cloud import leftovers
from zun_cloud import preflight
from zun_cloud import rendering
from zun_cloud import services
from zun_cloud import settings as cloud_settings
from zun_cloud import sibling
from zun_cloud import status
from zun_cloud import suites
from zun_cloud import supervise
from zun_cloud import teardown
from zun_cloud import tempest

Choices = typing.Mapping[str, typing.Any]


def run(
    options: argparse.Namespace, settings: cloud_settings.Settings, choices: Choices
) -> int:
    """Run the command the options name; returns the exit code."""
    match options.command:
        case 'up':
            with locked(settings):
                flavour.check(settings)
                cloud_settings.remember(settings, choices)
                return up(settings, server=not options.no_server)
        case 'status':
            return status_table(settings)
        case 'env':
            return print_environment(settings, options.user)
        case 'logs':
            return logs(settings, options.service, follow=options.follow)
        case 'restart':
            with locked(settings):
                return restart(settings, options.service)
        case 'down':
            with locked(settings):
                return down(settings)
        case 'reset':
            with locked(settings):
                return reset(settings)
        case 'tempest':
            print(tempest.write(settings))
            return 0
        case 'test':
            return test(settings, options.names)
        case 'leftovers':
            return print_leftovers(leftovers.find(settings))
    raise errors.CloudError(f'{options.command}: not there yet')


@contextlib.contextmanager
def locked(settings: cloud_settings.Settings) -> typing.Iterator[None]:
    """Only one command at a time changes a cloud; others wait."""
    with (settings.directory() / 'lock').open('w') as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print('waiting for another `cloud` command', flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def up(settings: cloud_settings.Settings, *, server: bool = True) -> int:
    began = float(os.environ.get('ZUN_CLOUD_BEGAN', time.time()))

    def report(name: str, seconds: float) -> None:
        print(f'{time.time() - began:7.1f} s  {name} ({seconds:.1f} s)', flush=True)

    for directory in (settings.etc, settings.log, settings.run, settings.data, settings.cache):
        directory.mkdir(parents=True, exist_ok=True)
    settings.state.chmod(0o711)
    flavour.check(settings)
    flavour.note(settings)
    passwords = credentials.load(settings)
    rendering.render(settings, passwords)
    work = bringup.BringUp(settings, supervise.Manager(settings))
    if not work.manager.is_running():
        # What a process manager that was killed left behind, or ports would be taken.
        teardown.clean(settings, keep_containers=True)
        preflight.check(settings, work.services)
    work.manager.apply(work.services)
    try:
        graph.run(work.nodes(), report)
        if server:
            _show_server(settings, work.demo(), report)
    except (openstack.exceptions.SDKException, keystoneauth1.exceptions.ClientException) as exc:
        raise errors.CloudError(f'an API refused: {exc}') from exc
    print(f'\nup after {time.time() - began:.1f} s')
    return 0


def _show_server(
    settings: cloud_settings.Settings, demo: typing.Any, report: graph.Report
) -> None:
    began = time.monotonic()
    server = content.first_server(demo)
    report(f'server {server.name} is {server.status}', time.monotonic() - began)
    print(f'\n--- console of {server.name}\n{content.console(demo, server)}---')
    print(f"addresses: {', '.join(content.addresses(demo, server))}")
    cloud = cloud_settings.STANDALONE / 'cloud'
    print(f'go on:     eval "$({cloud} env --user demo)"; openstack server list')


def status_table(settings: cloud_settings.Settings) -> int:
    found = status.rows(settings)
    print(status.table(found))
    return 0 if all(row.healthy for row in found) else 1


def down(settings: cloud_settings.Settings) -> int:
    """Stop everything; exit code 1 when something is left nevertheless."""
    began = time.monotonic()

    def report(name: str, seconds: float) -> None:
        print(f'{time.monotonic() - began:7.1f} s  {name} ({seconds:.1f} s)', flush=True)

    return print_leftovers(teardown.down(settings, report))


def reset(settings: cloud_settings.Settings) -> int:
    if down(settings):
        raise errors.CloudError('data stays: something of the cloud is still there')
    teardown.forget(settings)
    return 0


def test(settings: cloud_settings.Settings, names: typing.Sequence[str]) -> int:
    """Run the suites; the cloud comes up for those that need it and goes down again.

    A cloud that was up before stays up, and then leftovers are not looked for. Suites for
    another back end of Neutron run on a cloud beside it, after it is down.
    """
    chosen = suites.choose(names)
    install.test_tools(settings)
    total = suites.Result()
    for suite in [item for item in chosen if not item.computes]:
        total.add(suites.run(settings, suite, {}))
    on_cloud = [item for item in chosen if item.computes]
    for cloud, group in itertools.groupby(
        on_cloud, key=lambda item: sibling.of(settings, item.network)
    ):
        if cloud == settings:
            total.add(_test_on_cloud(cloud, list(group), _up_for_test))
        elif supervise.Manager(settings).is_running():
            reason = f'the cloud in {settings.state} is up: `cloud down` before this suite'
            total.skipped.update({item.name: reason for item in group})
        else:
            begin = functools.partial(_up_beside, settings)
            total.add(_test_on_cloud(cloud, list(group), begin))
    print(f'\n{total.summary()}')
    return 1 if total.failed or not total.passed else 0


def _up_beside(first: cloud_settings.Settings, settings: cloud_settings.Settings) -> int:
    sibling.share(first, settings)
    return _up_for_test(settings, server=False)


def _up_for_test(settings: cloud_settings.Settings, *, server: bool = True) -> int:
    # A suite's cloud may need more than the one this command was begun for.
    install.packages(settings, lambda name, seconds: print(f'{name} ({seconds:.1f} s)'))
    return up(settings, server=server)


def _test_on_cloud(
    settings: cloud_settings.Settings, chosen: typing.Sequence[suites.Suite],
    begin: typing.Callable[[cloud_settings.Settings], int],
) -> suites.Result:
    total = suites.Result()
    was_up = supervise.Manager(settings).is_running()
    now: cloud_settings.Settings | None = None
    for suite in chosen:
        if not was_up:
            # What a user's first command does, whatever was chosen here before.
            settings = dataclasses.replace(
                settings, computes=suite.computes, firewall=suite.firewall,
                engine=suite.engine, extras=suite.extras)
        if settings != now:
            now = settings
            if not _as_test(total, settings, f'up for {suite.name}', begin):
                break
        # Not under the lock: tests restart services with this very command.
        total.add(suites.run(settings, suite, _environment(settings)))
    if not was_up:
        _as_test(total, settings, 'down', down)
    return total


def _environment(settings: cloud_settings.Settings) -> dict[str, str]:
    """What brings `cloud`, called by a test, to the same settings."""
    names = ('state', 'computes', 'network', 'firewall', 'engine')
    found = {f'ZUN_CLOUD_{name.upper()}': str(getattr(settings, name)) for name in names}
    return {**found, 'ZUN_CLOUD_WITH': ','.join(settings.extras)}


def _as_test(
    total: suites.Result, settings: cloud_settings.Settings, name: str,
    command: typing.Callable[[cloud_settings.Settings], int],
) -> bool:
    """Run a command that changes the cloud and count it as one test; whether it went well."""
    print(f'\n=== cloud {name}', flush=True)
    os.environ['ZUN_CLOUD_BEGAN'] = str(time.time())
    why = ''
    try:
        with locked(settings):
            if command(settings) != 0:
                why = 'what it printed says why'
    except errors.CloudError as exc:
        why = exc.report()
        print(why, file=sys.stderr)
    total.add(suites.Result(failed={f'cloud {name}': why}) if why else suites.Result(passed=1))
    return not why


def print_leftovers(found: list[leftovers.Found]) -> int:
    if found:
        print(f'left on the machine:\n{leftovers.table(found)}')
        return 1
    print('nothing is left on the machine')
    return 0


def restart(settings: cloud_settings.Settings, name: str) -> int:
    item = services.find(settings, name)
    manager = supervise.Manager(settings)
    manager.stop(name)
    manager.start(name)
    manager.wait_ready(item)
    return 0


def logs(settings: cloud_settings.Settings, name: str, *, follow: bool) -> int:
    path = settings.log_of(services.find(settings, name).name)
    tail = shutil.which('tail') or '/usr/bin/tail'
    command = [tail, '-n', '200', *(['-F'] if follow else []), str(path)]
    os.execv(tail, command)  # noqa: S606


def print_environment(settings: cloud_settings.Settings, user: str) -> int:
    values = identity.environment(settings, credentials.load(settings), user)
    for name, value in values.items():
        print(f'export {name}={shlex.quote(value)}')
    print(f'export PATH={shlex.quote(str(settings.venv / "bin"))}:"$PATH"')
    return 0
