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

"""What to run, as the JSON that Docker's create call takes; pure.

https://docs.docker.com/engine/api/v1.41/#tag/Container/operation/ContainerCreate
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from zun_nova import errors
from zun_nova.virt import flavor_quota
from zun_nova.virt import process
from zun_nova.virt import processors as host_processors
from zun_nova.virt import spec as container_spec

# Output is kept in two files, so that half of it is left right after a rotation.
_LOG_FILES = 2
_LOG_FILE_MIN = 4096

# The holder does nothing; this is what runc itself needs while it starts one.
# No OomScoreAdj: below 0 it needs CAP_SYS_RESOURCE, and the kernel takes a
# process of one page last anyway.
_HOLDER_MEMORY = 16 * 1024 * 1024
_HOLDER_PIDS = 16


def holder_name(network: str) -> str:
    """The container that holds the network namespace of this name."""
    return f'{network}-net'


def container(spec: container_spec.ContainerSpec, disk_quota: bool,
              disk_device: str | None = None) -> dict[str, Any]:
    """The request for a server's container.

    Its own process is pid 1: images expect that (an init system refuses
    anything else), though a process without handler of its stop signal then
    takes the whole grace time to stop.

    :param disk_quota: the engine can limit the writable layer.
    :param disk_device: the disk that the writable layer is on, if any.
    :raises errors.InvalidRequest: it wants limits that cannot be set on this host.
    """
    request = {
        'Image': spec.image,
        'Env': [f'{name}={value}' for name, value in spec.env.items()],
        'Labels': dict(spec.labels),
        'Tty': spec.tty,
        # With a terminal, so that a console can be attached later.
        'OpenStdin': spec.tty or spec.stdin,
        'HostConfig': _host_config(spec, disk_quota, disk_device),
    }
    request |= _given({
        'Entrypoint': _listed(spec.command),
        'Cmd': _listed(spec.args),
        'User': spec.user,
        'WorkingDir': spec.working_dir,
        'StopSignal': spec.stop_signal,
        'StopTimeout': spec.stop_timeout,
        'Healthcheck': spec.healthcheck and _healthcheck(spec.healthcheck),
    })
    return request


def builder(spec: container_spec.ContainerSpec) -> dict[str, Any]:
    """The request for a container that never runs, to make another image of the spec's.

    What a commit takes from it into the image must be what the spec says
    anyway, or the image's own.
    """
    return _given({
        'Image': spec.image,
        'Entrypoint': _listed(spec.command),
        'Cmd': _listed(spec.args),
        'HostConfig': {'NetworkMode': 'none', 'LogConfig': {'Type': 'none', 'Config': {}}},
    })


def holder(network: container_spec.NetworkSpec, image: str) -> dict[str, Any]:
    """The request for the container that holds a network namespace.

    Host name and name servers are its: Docker refuses them in containers that
    join a namespace, and gives those the holder's.
    """
    return {
        'Image': image,
        'Hostname': network.hostname,
        # As pid 1 it takes no other; an engine that stops need not wait for it.
        'StopSignal': 'SIGKILL',
        'Labels': dict(network.labels),
        'HostConfig': {
            'NetworkMode': 'none',
            # Without any, Docker would copy the host's resolv.conf. To the
            # resolver this one says the same as an empty file.
            'Dns': list(network.dns_servers) or ['127.0.0.1'],
            'DnsSearch': list(network.dns_search),
            'ExtraHosts': [
                f'{name}:{address}' for address in network.addresses
                for name in dict.fromkeys((network.hostname, *network.aliases))],
            'IpcMode': 'none',
            'ReadonlyRootfs': True,
            'CapDrop': ['ALL'],
            'SecurityOpt': ['no-new-privileges'],
            'Memory': _HOLDER_MEMORY,
            'MemorySwap': _HOLDER_MEMORY,
            'PidsLimit': _HOLDER_PIDS,
            'RestartPolicy': {'Name': 'no'},
            'LogConfig': {'Type': 'none', 'Config': {}},
            # Sandboxing runtimes keep their own network stack: only runc makes
            # a namespace of the kernel, whatever the engine's default is.
            'Runtime': 'runc',
        },
    }


def _host_config(spec: container_spec.ContainerSpec, disk_quota: bool,
                 disk_device: str | None) -> dict[str, Any]:
    network = 'none' if spec.network is None else f'container:{holder_name(spec.network)}'
    config: dict[str, Any] = {
        'NetworkMode': network,
        'RestartPolicy': {'Name': 'no'},
        'Init': False,
        'ReadonlyRootfs': spec.read_only,
        'Tmpfs': _tmpfs(spec.tmpfs),
        'Mounts': [*map(_bind, spec.mounts), *_huge_pages(spec.limits.huge_pages)],
        'VolumesFrom': [spec.volumes_from] if spec.volumes_from else [],
        'Sysctls': dict(spec.sysctls),
        'Ulimits': [{'Name': limit.name, 'Soft': limit.soft, 'Hard': limit.hard}
                    for limit in spec.ulimits],
        'LogConfig': _log_config(spec.log_max_bytes),
    }
    return (config | _security(spec.security) | _limits(spec.limits, disk_quota)
            | _disk_limits(spec.limits.disk, disk_device) | _given({'Runtime': spec.runtime}))


def _security(security: container_spec.Security) -> dict[str, Any]:
    options = {'no-new-privileges': security.no_new_privileges,
               'seccomp=unconfined': security.seccomp_unconfined}
    return _given({'DeviceRequests': _cdi(security.cdi)}) | {
        'Privileged': security.privileged,
        'CapAdd': list(security.cap_add),
        'CapDrop': list(security.cap_drop),
        'SecurityOpt': [option for option, given in options.items() if given],
        'Devices': [{'PathOnHost': device.path, 'PathInContainer': device.path_inside,
                     'CgroupPermissions': device.permissions} for device in security.devices],
    }


def _cdi(names: tuple[str, ...]) -> list[dict[str, Any]] | None:
    return [{'Driver': 'cdi', 'DeviceIDs': list(names)}] if names else None


def _limits(limits: container_spec.Limits, disk_quota: bool) -> dict[str, Any]:
    config: dict[str, Any] = {
        'Memory': limits.memory_bytes,
        'MemorySwap': limits.memory_swap_bytes,
        'CpuPeriod': limits.cpu_period_us,
        'CpuQuota': limits.cpu_quota_us,
        'CpuShares': limits.cpu_shares,
        'PidsLimit': limits.pids,
        'CpusetCpus': ','.join(map(str, limits.cpus)),
        'CpusetMems': ','.join(map(str, limits.mems)),
    }
    if disk_quota and limits.disk_bytes:
        config['StorageOpt'] = {'size': str(limits.disk_bytes)}
    return config


def changed_limits(limits: container_spec.Limits) -> dict[str, Any]:
    """The request that gives a container which exists other limits."""
    return _limits(limits, disk_quota=False)


def _disk_limits(limits: flavor_quota.DiskLimits, device: str | None) -> dict[str, Any]:
    rates = {
        'BlkioDeviceReadBps': limits.read_bytes_sec,
        'BlkioDeviceWriteBps': limits.write_bytes_sec,
        'BlkioDeviceReadIOps': limits.read_iops_sec,
        'BlkioDeviceWriteIOps': limits.write_iops_sec,
    }
    if device is None and any(rates.values()):
        raise errors.InvalidRequest(
            'limit how a server uses the disk', 'the data of the engine is on no disk')
    return {name: [{'Path': device, 'Rate': rate}] for name, rate in rates.items() if rate}


def _bind(mount: container_spec.Mount) -> dict[str, Any]:
    return {'Type': 'bind', 'Source': mount.source, 'Target': mount.target,
            'ReadOnly': mount.read_only,
            # Engines before 25 know no other way.
            **({} if mount.recursive else {'BindOptions': {'ReadOnlyNonRecursive': True}})}


def _huge_pages(
        wanted: Iterable[host_processors.HugePages]) -> Iterator[dict[str, Any]]:
    """Anonymous volumes: mounted at each start, and removed with the container.

    The engine sets no limit of huge pages in control groups; the file system has one.
    """
    for number, pages in enumerate(wanted):
        target = container_spec.huge_pages_path(pages, number)
        options = {'type': 'hugetlbfs', 'device': 'hugetlbfs', 'o': (
            f'mode=1777,pagesize={pages.size_kb}K,size={pages.total_bytes}')}
        yield {'Type': 'volume', 'Target': target, 'VolumeOptions': {
            # What the image has there is no reason to fail.
            'NoCopy': True, 'DriverConfig': {'Name': 'local', 'Options': options}}}


def _healthcheck(check: process.Healthcheck) -> dict[str, Any]:
    """What is left out is the image's; times are in nanoseconds."""
    if check.disabled:
        return {'Test': ['NONE']}
    seconds = {'Interval': check.interval, 'Timeout': check.timeout,
               'StartPeriod': check.start_period}
    return _given({
        'Test': None if check.command is None else ['CMD', *check.command],
        'Retries': check.retries,
    }) | {name: value * 10 ** 9 for name, value in _given(seconds).items()}


def _tmpfs(mounts: Iterable[process.Tmpfs]) -> dict[str, str]:
    """Options of mount(8) by path; the engine adds nosuid and nodev."""
    made = {}
    for mount in mounts:
        options = ['exec' if mount.exec else 'noexec', f'mode={mount.mode:o}']
        if mount.size_bytes is not None:
            options.append(f'size={mount.size_bytes}')
        made[mount.path] = ','.join(options)
    return made


def _log_config(max_bytes: int) -> dict[str, Any]:
    size = max(max_bytes // _LOG_FILES, _LOG_FILE_MIN)
    return {'Type': 'json-file', 'Config': {'max-size': str(size), 'max-file': str(_LOG_FILES)}}


def _listed(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
