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

"""What Docker answers, as the runtime interface's own types; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zun_nova.virt import block_device
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import oci

_STATES = {
    'created': base.State.CREATED,
    'running': base.State.RUNNING,
    # Only with a restart policy, which is never set here.
    'restarting': base.State.RUNNING,
    'paused': base.State.PAUSED,
    'exited': base.State.EXITED,
    'removing': base.State.DEAD,
    'dead': base.State.DEAD,
}

# Docker lists containerd's shims among the runtimes; they are no choice of their own.
_SHIM_PREFIX = 'io.containerd.'
_QUOTA_DRIVERS = ('btrfs', 'zfs')
# Mount options of XFS.
_PROJECT_QUOTA = {'pquota', 'prjquota'}
# As /info lists userns-remap.
_USERNS = 'name=userns'
_NEVER = '0001-01-01T00:00:00Z'


def summary(row: Mapping[str, Any]) -> base.ContainerSummary:
    """One row of /containers/json."""
    return base.ContainerSummary(
        id=row['Id'],
        # Links of other containers give it more names, all with a second slash.
        name=next((name[1:] for name in row['Names'] or () if '/' not in name[1:]), ''),
        state=_STATES.get(row['State'], base.State.DEAD),
        labels=row['Labels'] or {},
        image_id=row['ImageID'],
    )


def container(answer: Mapping[str, Any]) -> base.ContainerInfo:
    """The answer to /containers/NAME/json."""
    state = answer['State']
    running = state['Running']
    return base.ContainerInfo(
        id=answer['Id'],
        name=answer['Name'].removeprefix('/'),
        state=_STATES.get(state['Status'], base.State.DEAD),
        labels=answer['Config']['Labels'] or {},
        image_id=answer['Image'],
        pid=state['Pid'] or None,
        exit_code=None if running or state['FinishedAt'] == _NEVER else state['ExitCode'],
        oom_killed=state['OOMKilled'],
        error=state['Error'],
        stop_timeout=answer['Config'].get('StopTimeout'),
        volumes=tuple(sorted(mount['Destination'] for mount in answer.get('Mounts') or ()
                             if mount.get('Type') == 'volume')),
        runtime=answer.get('HostConfig', {}).get('Runtime') or None,
    )


def network_path(answer: Mapping[str, Any]) -> str | None:
    """The namespace that a running holder holds open; None when it does not run."""
    if not answer['State']['Running']:
        return None   # SandboxKey still names the file of the last run
    key: str = answer['NetworkSettings'].get('SandboxKey') or ''
    return key or f'/proc/{answer["State"]["Pid"]}/ns/net'


def info(answer: Mapping[str, Any], api_version: str, mountinfo: str) -> base.EngineInfo:
    """The answer to /info.

    :param mountinfo: content of /proc/self/mountinfo where the engine keeps its data.
    """
    default_runtime = answer['DefaultRuntime']
    special = _special(answer['Runtimes'])
    mount = block_device.mount_of(answer['DockerRootDir'], mountinfo)
    return base.EngineInfo(
        name='docker',
        version=answer['ServerVersion'],
        api_version=api_version,
        architecture=answer['Architecture'],
        cpus=answer['NCPU'],
        memory_bytes=answer['MemTotal'],
        data_root=answer['DockerRootDir'],
        storage_driver=answer['Driver'],
        runtimes=tuple(sorted(
            name for name in answer['Runtimes'] if not name.startswith(_SHIM_PREFIX))),
        default_runtime=default_runtime,
        live_restore=answer['LiveRestoreEnabled'],
        capabilities=base.Capabilities(
            update_limits=oci_runtime(
                default_runtime, answer['Runtimes'].get(default_runtime) or {}).update_limits,
            disk_quota=_disk_quota(answer, mount),
            cdi=bool(answer.get('CDISpecDirs')),
        ),
        remaps_users=_USERNS in (answer.get('SecurityOptions') or ()),
        special=special,
    )


def oci_runtime(name: str, said: Mapping[str, Any]) -> oci.OciRuntime:
    """One of /info's runtimes; one of containerd's shims has a type and no path."""
    return oci.of(name, said.get('path') or said.get('runtimeType') or '',
                  said.get('runtimeArgs') or ())


def _special(runtimes: Mapping[str, Any]) -> dict[str, oci.OciRuntime]:
    """Those that are not as runc."""
    known = {name: oci_runtime(name, said) for name, said in runtimes.items()
             if not name.startswith(_SHIM_PREFIX)}
    return {name: each for name, each in known.items() if each != oci.OciRuntime()}


def _disk_quota(answer: Mapping[str, Any], mount: block_device.Mount) -> bool:
    """Whether the storage driver can limit a writable layer, as far as can be told."""
    if answer['Driver'] in _QUOTA_DRIVERS:
        return True
    status = dict(answer['DriverStatus'] or ())
    return (answer['Driver'] == 'overlay2' and status.get('Backing Filesystem') == 'xfs'
            and not _PROJECT_QUOTA.isdisjoint(mount.options))
