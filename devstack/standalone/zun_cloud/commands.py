"""What each command of ``cloud`` does, once the virtual environment is there."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shlex
import shutil
import time
import typing

from zun_cloud import bringup
from zun_cloud import content
from zun_cloud import credentials
from zun_cloud import errors
from zun_cloud import graph
from zun_cloud import identity
from zun_cloud import rendering
from zun_cloud import services
from zun_cloud import settings as cloud_settings
from zun_cloud import supervise

Choices = typing.Mapping[str, typing.Any]


def run(
    options: argparse.Namespace, settings: cloud_settings.Settings, choices: Choices
) -> int:
    """Run the command the options name; returns the exit code."""
    match options.command:
        case "up":
            with locked(settings):
                cloud_settings.remember(settings, choices)
                return up(settings, server=not options.no_server)
        case "status":
            return status_table(settings)
        case "env":
            return print_environment(settings, options.user)
        case "logs":
            return logs(settings, options.service, follow=options.follow)
        case "restart":
            with locked(settings):
                return restart(settings, options.service)
    raise errors.CloudError(f"{options.command}: not there yet")


@contextlib.contextmanager
def locked(settings: cloud_settings.Settings) -> typing.Iterator[None]:
    """Only one command at a time changes a cloud; others wait."""
    with (settings.directory() / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another `cloud` command", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def up(settings: cloud_settings.Settings, *, server: bool = True) -> int:
    began = float(os.environ.get("ZUN_CLOUD_BEGAN", time.time()))

    def report(name: str, seconds: float) -> None:
        print(f"{time.time() - began:7.1f} s  {name} ({seconds:.1f} s)", flush=True)

    for directory in (settings.etc, settings.log, settings.run, settings.data, settings.cache):
        directory.mkdir(parents=True, exist_ok=True)
    settings.state.chmod(0o711)
    passwords = credentials.load(settings)
    rendering.render(settings, passwords)
    work = bringup.BringUp(settings)
    work.manager.apply(work.services)
    graph.run(work.nodes(), report)
    if server:
        _show_server(settings, work.demo(), report)
    print(f"\nup after {time.time() - began:.1f} s")
    return 0


def _show_server(
    settings: cloud_settings.Settings, demo: typing.Any, report: graph.Report
) -> None:
    began = time.monotonic()
    server = content.first_server(demo)
    report(f"server {server.name} is {server.status}", time.monotonic() - began)
    print(f"\n--- console of {server.name}\n{content.console(demo, server)}---")
    print(f"addresses: {', '.join(content.addresses(server))}")
    cloud = cloud_settings.STANDALONE / "cloud"
    print(f'go on:     eval "$({cloud} env --user demo)"; openstack server list')


def status_table(settings: cloud_settings.Settings) -> int:
    processes = supervise.Manager(settings).processes()
    bad = 0
    for item in services.all_services(settings):
        process = processes.get(item.name)
        well = bool(process and process.up and item.ready())
        bad += not well
        print(f"{item.name:28} {process.pid if process else '-'!s:>8} {item.port or '-'!s:>6} "
              f"{'yes' if well else 'NO'}")
    return 1 if bad else 0


def restart(settings: cloud_settings.Settings, name: str) -> int:
    item = services.find(settings, name)
    manager = supervise.Manager(settings)
    manager.stop(name)
    manager.start(name)
    manager.wait_ready(item)
    return 0


def logs(settings: cloud_settings.Settings, name: str, *, follow: bool) -> int:
    path = settings.log_of(services.find(settings, name).name)
    tail = shutil.which("tail") or "/usr/bin/tail"
    os.execv(tail, [tail, "-n", "200", *(["-F"] if follow else []), str(path)])


def print_environment(settings: cloud_settings.Settings, user: str) -> int:
    values = identity.environment(settings, credentials.load(settings), user)
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")
    print(f'export PATH={shlex.quote(str(settings.venv / "bin"))}:"$PATH"')
    return 0
