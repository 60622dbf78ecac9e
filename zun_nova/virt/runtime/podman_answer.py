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

"""What Podman answers, as the runtime interface's own types; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zun_nova.virt.runtime import base

#: ContainerSpec.stop_timeout: Podman itself notes ten seconds where none was given.
STOP_TIMEOUT = 'org.openstack.zun.stop_timeout'

_STATES = {
    'configured': base.State.CREATED,
    'created': base.State.CREATED,
    'initialized': base.State.CREATED,
    'running': base.State.RUNNING,
    'stopping': base.State.RUNNING,
    'paused': base.State.PAUSED,
    # Ended, and not yet cleaned up.
    'stopped': base.State.EXITED,
    'exited': base.State.EXITED,
    'removing': base.State.DEAD,
}

_NEVER = '0001-01-01T00:00:00Z'
_ALIVE = (base.State.RUNNING, base.State.PAUSED)

#: By Go's name, as Docker and the kernel call it.
_ARCHITECTURES = {'amd64': 'x86_64', 'arm64': 'aarch64'}


def summary(row: Mapping[str, Any]) -> base.ContainerSummary:
    """One row of /containers/json."""
    return base.ContainerSummary(
        id=row['Id'],
        name=next(iter(row['Names'] or ()), ''),
        state=_STATES.get(row['State'], base.State.DEAD),
        labels=row['Labels'] or {},
        image_id=row['ImageID'],
    )


def container(answer: Mapping[str, Any], error: str) -> base.ContainerInfo:
    """The answer to /containers/NAME/json.

    :param error: why the last start failed, which Podman forgets.
    """
    said = answer['State']
    state = _STATES.get(said['Status'], base.State.DEAD)
    ended = state not in _ALIVE and not said['FinishedAt'].startswith(_NEVER[:-1])
    grace = (answer['Config'].get('Annotations') or {}).get(STOP_TIMEOUT)
    return base.ContainerInfo(
        id=answer['Id'],
        name=answer['Name'],
        state=state,
        labels=answer['Config']['Labels'] or {},
        image_id=answer['Image'],
        pid=said['Pid'] if state in _ALIVE else None,
        exit_code=said['ExitCode'] if ended else None,
        oom_killed=said['OOMKilled'],
        error=error or said.get('Error') or '',
        stop_timeout=None if grace is None else int(grace),
        volumes=tuple(sorted(mount['Destination'] for mount in answer.get('Mounts') or ()
                             if mount['Type'] == 'volume')),
    )


def info(answer: Mapping[str, Any], has_systemd: bool) -> base.EngineInfo:
    """The answer to /info.

    :param has_systemd: it runs on the host.
    """
    host, version, store = answer['host'], answer['version'], answer['store']
    runtime = host['ociRuntime']['name']
    return base.EngineInfo(
        name='podman',
        version=version['Version'],
        api_version=version['APIVersion'],
        architecture=_ARCHITECTURES.get(host['arch'], host['arch']),
        cpus=host['cpus'],
        memory_bytes=host['memTotal'],
        data_root=store['graphRoot'],
        storage_driver=store['graphDriverName'],
        # The service runs all with one, whatever a container asks for.
        runtimes=(runtime,),
        default_runtime=runtime,
        # No daemon holds the containers.
        live_restore=True,
        capabilities=base.Capabilities(
            # Podman 4 forgets the new limits with the next start.
            update_limits=False,
            # With the older one conmon learns it too late, when at all.
            tells_out_of_memory=host['cgroupVersion'] == 'v2',
            # Its timers look whether containers are well.
            healthcheck=has_systemd,
        ),
    )
