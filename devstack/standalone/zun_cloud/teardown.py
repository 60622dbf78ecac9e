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

"""Stop a cloud, and clean up after one that did not stop by itself."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import shutil
import signal
import time
import typing

import docker
import docker.errors
import requests

from zun_cloud import errors
from zun_cloud import firewall
from zun_cloud import health
from zun_cloud import hosts
from zun_cloud import leftovers
from zun_cloud import network
from zun_cloud import settings as cloud_settings
from zun_cloud import shell
from zun_cloud import supervise

Report = typing.Callable[[str, float], None]

# The parents of containers, which outlive their engine with them.
SHIMS = ('/containerd-shim-runc-v2', '/conmon')

# What stops after the services that talk to it; everything else stops first, at once.
LAST = ('ovn-', 'ovs', 'mariadb', 'rabbitmq', 'memcached', 'containerd', 'dockerd', 'podman',
        'compute')


def down(settings: cloud_settings.Settings, report: Report) -> list[leftovers.Found]:
    """Stop everything and remove what it made on the machine; data stays.

    :returns: what is left nevertheless.
    """
    manager = supervise.Manager(settings)
    if manager.is_running():
        _stop_services(settings, manager, report)
    clean(settings, keep_containers=False)
    return leftovers.find(settings)


def clean(settings: cloud_settings.Settings, *, keep_containers: bool) -> None:
    """Remove what processes that are gone, or nobody looks after, left on the machine.

    :param keep_containers: leave containers and their shims, for an engine that takes them
        over when it starts again.
    """
    if not keep_containers:
        _release_volumes(settings)
    _end_processes(settings, keep_containers=keep_containers)
    # The process manager's own files of a run that was killed.
    for name in ('supervisor.sock', 'supervisord.pid'):
        (settings.run / name).unlink(missing_ok=True)
    if keep_containers:
        return
    for item in leftovers.namespaces(settings):
        shell.run(['ip', 'netns', 'delete', item.name], check=False)
    for item in leftovers.links(settings):
        shell.run(['ip', 'link', 'delete', item.name], check=False)
    if leftovers.filters(settings):
        firewall.clear()
    shell.run(['ip', 'route', 'delete', 'unreachable', settings.external_network], check=False)
    _unmount(settings)
    for item in leftovers.loops(settings):
        shell.run(['losetup', '--detach', item.name], check=False)
    for item in leftovers.cgroups(settings):
        _remove_cgroup(pathlib.Path(item.name))


def _stop_services(
    settings: cloud_settings.Settings, manager: supervise.Manager, report: Report
) -> None:
    # What the process manager really has, also from an `up` with other options.
    everything = list(manager.processes())
    first = [name for name in everything if not name.startswith(LAST)]
    second = [name for name in everything if name.startswith(LAST)]
    _timed(report, 'OpenStack services stopped', lambda: manager.stop(*first))
    _timed(report, 'containers stopped', lambda: _stop_all_containers(settings))
    _timed(report, 'bridges removed', lambda: _remove_bridges(settings))
    _timed(report, 'databases, switches and engines stopped', lambda: manager.stop(*second))
    manager.shutdown()


def _timed(report: Report, name: str, action: typing.Callable[[], None]) -> None:
    began = time.monotonic()
    action()
    report(name, time.monotonic() - began)


def _stop_all_containers(settings: cloud_settings.Settings) -> None:
    """They outlive dockerd, and the engines are the cloud's own: all of theirs are the cloud's.

    They are not removed: to a server this is its host being switched off, and `cloud up`
    switches it on again.
    """
    sockets = [host.socket_of(engine) for host in hosts.possible_hosts(settings)
               for engine in cloud_settings.ENGINES]
    running = [path for path in sockets if health.Unix(path)()]
    with concurrent.futures.ThreadPoolExecutor(max(1, len(running))) as pool:
        list(pool.map(_stop_containers, running))


def _stop_containers(socket: pathlib.Path) -> None:
    client = docker.APIClient(base_url=f'unix://{socket}', version='auto', timeout=60)
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda item: _stop_container(client, item), client.containers()))
    except requests.exceptions.RequestException as exc:
        raise errors.CloudError(f'the engine at {socket}: {exc}') from exc
    finally:
        client.close()


def _stop_container(client: docker.APIClient, item: typing.Mapping[str, typing.Any]) -> None:
    try:
        if item['State'] == 'paused':
            client.unpause(item['Id'])
        client.stop(item['Id'], timeout=3)
    except docker.errors.APIError as exc:
        # 404 and 409: it ended, or someone else removes it.
        if exc.status_code not in (404, 409):
            raise errors.CloudError(f"container {item['Names']}: {exc.explanation}") from exc


def _remove_bridges(settings: cloud_settings.Settings) -> None:
    """While the switch runs: a kernel datapath would keep them when it ends."""
    host = hosts.Host(settings, 1)
    if not health.Unix(host.run / 'ovs/ovs-vswitchd.ctl')():
        return
    # The switch's ports tell which they are, so before it forgets those.
    for item in leftovers.hybrid_links(settings):
        shell.run(['ip', 'link', 'delete', item.name], check=False)
    for bridge in network.bridges(host):
        network.vsctl(host, '--if-exists', 'del-br', bridge)


def _end_processes(settings: cloud_settings.Settings, *, keep_containers: bool) -> None:
    """End what carries the cloud's mark: first politely, after a second for good.

    The services have ended by now; this is helpers they left behind, which keep no state.
    """
    for sig, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        targets = _targets(settings, keep_containers=keep_containers)
        for item in targets:
            _signal(int(item.name), sig)
        while targets and time.monotonic() < deadline:
            time.sleep(0.1)
            targets = _targets(settings, keep_containers=keep_containers)
        if not targets:
            return


def _targets(
    settings: cloud_settings.Settings, *, keep_containers: bool
) -> list[leftovers.Found]:
    found = [item for item in leftovers.processes(settings) if not leftovers.own_process(item)]
    if not keep_containers:
        return found
    inside = leftovers.container_processes(settings)
    return [
        item for item in found
        if item.name not in inside and not item.detail.split(' ')[0].endswith(SHIMS)
    ]


def _signal(pid: int, sig: signal.Signals) -> None:
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        return


def _release_volumes(settings: cloud_settings.Settings) -> None:
    """Unmount file systems of volumes while the programs run that some of them are read by."""
    mountinfo = pathlib.Path('/proc/self/mountinfo').read_text()
    for item in leftovers.mounts(settings, mountinfo):
        if item.detail.startswith('/dev/loop'):
            shell.run(['umount', item.name], check=False)
    for item in leftovers.loops(settings):
        shell.run(['losetup', '--detach', item.name], check=False)


def _unmount(settings: cloud_settings.Settings) -> None:
    mountinfo = pathlib.Path('/proc/self/mountinfo').read_text()
    for item in leftovers.mounts(settings, mountinfo):
        shell.run(['umount', '--lazy', item.name], check=False)


def _remove_cgroup(path: pathlib.Path) -> None:
    """A control group and all below it; the kernel refuses while a process is in one."""
    for directory, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(directory)
        except OSError:
            continue


def forget(settings: cloud_settings.Settings) -> None:
    """Delete the data of a cloud that is down; virtual environment and caches stay."""
    for path in (settings.data, settings.etc, settings.run, settings.log):
        shutil.rmtree(path, ignore_errors=True)
    (settings.state / 'choices.json').unlink(missing_ok=True)
