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

"""What to run, as the JSON that libpod's create call takes; pure.

https://docs.podman.io/en/latest/_static/api.html#tag/containers/operation/ContainerCreateLibpod
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import signal
from typing import Any

from zun_nova import errors
from zun_nova.virt import flavor_quota
from zun_nova.virt import process
from zun_nova.virt import processors as host_processors
from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import podman_answer

# Docker's, which the driver's own refusals count on; runtimes fail in obscure ways below it.
_MEMORY_MIN = 6 * 1024 * 1024
#: Podman keeps images that are from no registry below it.
_STORE = 'localhost/'

#: Files of a server's network, and where containers have them.
NETWORK_FILES: Mapping[str, str] = {
    'hosts': '/etc/hosts', 'resolv.conf': '/etc/resolv.conf', 'hostname': '/etc/hostname'}


@dataclasses.dataclass(frozen=True)
class Network:
    """An open network, as a container joins it."""

    #: Of the namespace.
    path: str
    hostname: str
    #: The directory of NETWORK_FILES.
    home: str


def image_name(reference: str) -> str:
    """The engine's own name of an image that the driver calls so."""
    first, slash, _ = reference.partition('/')
    is_of_registry = bool(slash) and ('.' in first or ':' in first or first == 'localhost')
    return reference if is_of_registry or not slash else _STORE + reference


def reference_of(name: str) -> str:
    """What the driver calls an image of this name."""
    return name.removeprefix(_STORE)


def container(spec: container_spec.ContainerSpec, network: Network | None,
              default_ulimits: Iterable[process.Ulimit] = (),
              cgroup_parent: str | None = None,
              disk_device: str | None = None) -> dict[str, Any]:
    """The request for a server's container.

    :param network: None: no network at all.
    :param default_ulimits: where the spec names none.
    :param cgroup_parent: the control group that gets its own; None: Podman's choice.
    :param disk_device: the disk that the writable layer is on, if any.
    :raises errors.InvalidRequest: it wants limits that cannot be set on this host.
    """
    request = {
        'name': spec.name,
        'image': image_name(spec.image),
        'env': dict(spec.env),
        'labels': dict(spec.labels),
        'annotations': {} if spec.stop_timeout is None else {
            podman_answer.STOP_TIMEOUT: str(spec.stop_timeout)},
        'terminal': spec.tty,
        # With a terminal, so that a console can be attached later.
        'stdin': spec.tty or spec.stdin,
        'create_working_dir': True,
        'restart_policy': 'no',
        # Without, Podman does as it thinks best where the command looks like systemd.
        'systemd': 'false',
        'sysctl': dict(spec.sysctls),
        'r_limits': [{'type': limit.name.upper(), 'soft': _unsigned(limit.soft),
                      'hard': _unsigned(limit.hard)}
                     for limit in _ulimits(spec.ulimits, default_ulimits)],
        'mounts': [*_tmpfs(spec.tmpfs), *_binds(spec.mounts),
                   *_huge_pages(spec.limits.huge_pages)],
        'volumes_from': [spec.volumes_from] if spec.volumes_from else [],
        'read_only_filesystem': spec.read_only,
        'log_configuration': {'driver': 'k8s-file', 'size': spec.log_max_bytes},
    }
    if cgroup_parent is not None:
        request['cgroup_parent'] = cgroup_parent
    return (request | _network(request, network) | _security(spec.security)
            | _limits(spec.limits) | _disk_limits(spec.limits.disk, disk_device)
            | _process(spec))


def refuse(spec: container_spec.ContainerSpec, engine: base.EngineInfo) -> None:
    """What Podman takes at first and cannot start, or passes over.

    :raises errors.InvalidRequest: it asks for such.
    """
    operation = f'create container {spec.name}'
    if spec.runtime not in (None, engine.default_runtime):
        raise errors.InvalidRequest(
            operation, f'Podman here runs all containers with {engine.default_runtime}, '
            f'not with {spec.runtime}')
    if spec.limits.memory_bytes < _MEMORY_MIN:
        raise errors.InvalidRequest(
            operation, 'the flavor has less memory than a container needs (6MB); '
            'choose one with more')


def stop_signal(name: str) -> int:
    """The number of a signal, by its name or number.

    :raises errors.InvalidRequest: there is none.
    """
    try:
        return int(name) if name.isdigit() else signal.Signals[name].value
    except KeyError:
        raise errors.InvalidRequest('create container', f'there is no signal {name}') from None


def _network(request: Mapping[str, Any], network: Network | None) -> dict[str, Any]:
    if network is None:
        return {'netns': {'nsmode': 'none'}}
    return {
        'netns': {'nsmode': 'path', 'value': network.path},
        'hostname': network.hostname,
        # Podman's own hosts file would begin with the host's.
        'use_image_hosts': True,
        'mounts': [*request['mounts'], *(
            _bind(f'{network.home}/{name}', target) for name, target in NETWORK_FILES.items())],
    }


def _security(security: container_spec.Security) -> dict[str, Any]:
    config: dict[str, Any] = {
        'privileged': security.privileged,
        'cap_add': list(security.cap_add),
        'cap_drop': list(security.cap_drop),
        'no_new_privileges': security.no_new_privileges,
        'devices': [{'path': f'{device.path}:{device.path_inside}:{device.permissions}'}
                    for device in security.devices],
    }
    if security.seccomp_unconfined:
        config['seccomp_profile_path'] = 'unconfined'
    return config


def _limits(limits: container_spec.Limits) -> dict[str, Any]:
    cpu: dict[str, Any] = {'period': limits.cpu_period_us, 'shares': limits.cpu_shares}
    given = {'quota': limits.cpu_quota_us, 'cpus': ','.join(map(str, limits.cpus)),
             'mems': ','.join(map(str, limits.mems))}
    return {'resource_limits': {
        'memory': {'limit': limits.memory_bytes, 'swap': limits.memory_swap_bytes},
        'cpu': cpu | {name: value for name, value in given.items() if value},
        'pids': {'limit': limits.pids},
    }}


def _disk_limits(limits: flavor_quota.DiskLimits, device: str | None) -> dict[str, Any]:
    rates = {
        'throttleReadBpsDevice': limits.read_bytes_sec,
        'throttleWriteBpsDevice': limits.write_bytes_sec,
        'throttleReadIOPSDevice': limits.read_iops_sec,
        'throttleWriteIOPSDevice': limits.write_iops_sec,
    }
    if device is None and any(rates.values()):
        raise errors.InvalidRequest(
            'limit how a server uses the disk', 'the data of the engine is on no disk')
    return {name: {device: {'rate': rate}} for name, rate in rates.items() if rate}


def _huge_pages(wanted: Iterable[host_processors.HugePages]) -> Iterable[dict[str, Any]]:
    for number, pages in enumerate(wanted):
        yield {'type': 'hugetlbfs', 'source': 'hugetlbfs',
               'destination': container_spec.huge_pages_path(pages, number),
               'options': ['nosuid', 'nodev', 'mode=1777', f'pagesize={pages.size_kb}K',
                           f'size={pages.total_bytes}']}


def _process(spec: container_spec.ContainerSpec) -> dict[str, Any]:
    """What the image says where the spec says nothing."""
    given: dict[str, Any] = {
        'entrypoint': None if spec.command is None else list(spec.command),
        'command': None if spec.args is None else list(spec.args),
        'user': spec.user,
        'work_dir': spec.working_dir,
        'stop_signal': None if spec.stop_signal is None else stop_signal(spec.stop_signal),
        'healthconfig': None if spec.healthcheck is None else _healthcheck(spec.healthcheck),
    }
    return {name: value for name, value in given.items() if value is not None}


def _healthcheck(check: process.Healthcheck) -> dict[str, Any]:
    """What is left out is the image's; times are in nanoseconds."""
    if check.disabled:
        return {'Test': ['NONE']}
    config: dict[str, Any] = {
        name: value * 10 ** 9 for name, value in (
            ('Interval', check.interval), ('Timeout', check.timeout),
            ('StartPeriod', check.start_period)) if value is not None}
    if check.command is not None:
        config['Test'] = ['CMD', *check.command]
    if check.retries is not None:
        config['Retries'] = check.retries
    return config


def _ulimits(wanted: Iterable[process.Ulimit],
             default: Iterable[process.Ulimit]) -> Iterable[process.Ulimit]:
    return ({limit.name: limit for limit in default}
            | {limit.name: limit for limit in wanted}).values()


def _unsigned(limit: int) -> int:
    """As libpod takes it: no limit is the largest number."""
    return 2 ** 64 - 1 if limit < 0 else limit


def _tmpfs(mounts: Iterable[process.Tmpfs]) -> Iterable[dict[str, Any]]:
    for mount in mounts:
        options = ['rw', 'nosuid', 'nodev', 'exec' if mount.exec else 'noexec',
                   f'mode={mount.mode:o}', 'notmpcopyup']
        if mount.size_bytes is not None:
            options.append(f'size={mount.size_bytes}')
        yield {'type': 'tmpfs', 'source': 'tmpfs', 'destination': mount.path, 'options': options}


def _binds(mounts: Iterable[container_spec.Mount]) -> Iterable[dict[str, Any]]:
    for mount in mounts:
        yield _bind(mount.source, mount.target, mount.read_only)


def _bind(source: str, target: str, read_only: bool = False) -> dict[str, Any]:
    return {'type': 'bind', 'source': source, 'destination': target,
            'options': ['rbind', 'rprivate', 'ro' if read_only else 'rw']}
