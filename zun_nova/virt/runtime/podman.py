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

"""Podman as the engine that runs servers."""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import dataclasses
import json
import pathlib
import resource
import time
from typing import Any

from zun_nova import errors
from zun_nova.vif import privileged
from zun_nova.virt import block_device
from zun_nova.virt import process
from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import docker_errors
from zun_nova.virt.runtime import docker_files
from zun_nova.virt.runtime import docker_logs
from zun_nova.virt.runtime import docker_streams
from zun_nova.virt.runtime import podman_answer
from zun_nova.virt.runtime import podman_client
from zun_nova.virt.runtime import podman_events
from zun_nova.virt.runtime import podman_images
from zun_nova.virt.runtime import podman_layers
from zun_nova.virt.runtime import podman_network
from zun_nova.virt.runtime import podman_registry
from zun_nova.virt.runtime import podman_request
from zun_nova.virt.runtime import podman_snapshots

_CHUNK = 64 * 1024
_FIRST_PROCESS = pathlib.Path('/proc/1/status')
_MOUNTINFO = pathlib.Path('/proc/self/mountinfo')
_PID_MAX = pathlib.Path('/proc/sys/kernel/pid_max')
_CAP_SYS_RESOURCE = 1 << 24
_SYSTEMD = pathlib.Path('/run/systemd/system')


class PodmanRuntime(
        podman_images.Images, podman_registry.Puller, podman_events.Events,
        podman_snapshots.Snapshots, podman_layers.Layers, docker_streams.Streams,
        docker_files.Files, base.Runtime):
    """Podman 4.3 or newer, its service at a unix socket.

    Connects with the first call, not before. What Podman keeps of a container
    is in files, so its service may end and begin at any time.

    :param conf: ConfigOpts with the options of zun_nova.conf and Nova's state_path.
    :param kill_session: :func:`zun_nova.virt.runtime.sessions.kill`, with the rights it needs.
    """

    _engine: podman_client.Engine

    def __init__(self, conf: Any,
                 kill_session: docker_streams.Kill = privileged.kill_session) -> None:
        self._kill_session = kill_session
        self._engine = podman_client.Engine(
            conf.zun_nova.podman_url, conf.zun_nova.engine_timeout)
        self._networks = podman_network.Networks(
            pathlib.Path(conf.state_path, 'zun_nova', 'networks'))
        self._cgroup_parent = conf.zun_nova.podman_cgroup_parent
        self._info: base.EngineInfo | None = None
        #: By name, why a container could not be started.
        self._failures: dict[str, str] = {}

    def info(self) -> base.EngineInfo:
        with self._engine.ask('read what the engine is') as client:
            answer = self._engine.call(client, 'GET', '/info')
        info = podman_answer.info(answer, has_systemd=_SYSTEMD.is_dir())
        mount = block_device.mount_of(info.data_root, _MOUNTINFO.read_text())
        self._info = dataclasses.replace(info, disk_device=block_device.disk(mount))
        return self._info

    def list(self, labels: Mapping[str, str]) -> list[base.ContainerSummary]:
        with self._engine.ask('list containers') as client:
            rows = self._engine.call(client, 'GET', '/containers/json', params={
                'all': 'true', 'filters': _filters(labels)})
        return [*map(podman_answer.summary, rows or ()), *self._networks.list(labels)]

    def inspect(self, name: str) -> base.ContainerInfo:
        with self._engine.ask(f'inspect container {name}') as client:
            return podman_answer.container(
                self._engine.inspect(client, name), self._failures.get(name, ''))

    def create(self, spec: container_spec.ContainerSpec) -> str:
        engine = self._info or self.info()
        podman_request.refuse(spec, engine)
        network = None if spec.network is None else self._networks.joined(spec.network)
        with self._engine.ask(f'create container {spec.name}') as client:
            answer = self._engine.call(
                client, 'POST', '/containers/create',
                json=podman_request.container(
                    spec, network, _default_ulimits(), self._cgroup_parent,
                    engine.disk_device))
        # Also into one that cannot write: it is the process that cannot.
        docker_files.put(self._engine, spec.name, spec.files)
        container_id: str = answer['Id']
        return container_id

    def start(self, name: str) -> None:
        self._failures.pop(name, None)
        try:
            with self._engine.ask(f'start container {name}', docker_errors.START_KINDS) as client:
                self._post(client, name, 'start')
        except errors.StartFailed as ex:
            self._failures[name] = ex.detail
            raise

    def stop(self, name: str, timeout: int) -> None:
        with self._engine.ask(f'stop container {name}') as client:
            container = self._engine.inspect(client, name)
        if podman_answer.container(container, '').pid is None:
            return
        # Frozen processes cannot end, and Podman refuses to try.
        self.unpause(name)
        if timeout and self._signal(name, container['Config']['StopSignal'], timeout):
            return
        if not self._signal(name, 'SIGKILL', self._engine.timeout):
            raise errors.EngineTimeout(f'stop container {name}', 'its processes do not end')

    def _signal(self, name: str, signal: int | str, seconds: float) -> bool:
        """Send it, and wait so long; whether it has ended."""
        deadline = time.monotonic() + seconds
        # Not by libpod's stop: that tells nobody of the signal before the process has ended.
        with contextlib.suppress(errors.Conflict):  # it is not running
            with self._engine.ask(f'signal container {name}') as client:
                self._post(client, name, 'kill', {'signal': str(signal)})
        while self.inspect(name).state not in (base.State.EXITED, base.State.DEAD):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def pause(self, name: str) -> None:
        try:
            with self._engine.ask(f'pause container {name}') as client:
                self._post(client, name, 'pause')
        except errors.Conflict:
            if self.inspect(name).state is not base.State.PAUSED:
                raise

    def unpause(self, name: str) -> None:
        with contextlib.suppress(errors.Conflict):   # it is not paused
            with self._engine.ask(f'unpause container {name}') as client:
                self._post(client, name, 'unpause')

    def rename(self, name: str, new_name: str) -> None:
        with self._engine.ask(f'rename container {name} to {new_name}') as client:
            self._post(client, name, 'rename', {'name': new_name})

    def remove(self, name: str) -> None:
        self._failures.pop(name, None)
        # A frozen process does not end when it is killed.
        with contextlib.suppress(errors.NotFound):
            self.unpause(name)
            self._engine.remove_container(name)

    def logs(self, name: str, max_bytes: int) -> bytes:
        tail = docker_logs.Tail(max_bytes)
        with self._engine.ask(f'read the output of container {name}') as client:
            # All of it, which its size limits: asked for the end alone, Podman leaves out what
            # has no end of line.
            with self._engine.libpod_stream(
                    client, 'GET', f'{self._engine.exact(client, name)}/logs',
                    params={'stdout': 'true', 'stderr': 'true'}) as response:
                for chunk in docker_logs.payloads(response.iter_content(_CHUNK)):
                    tail.feed(chunk)
        return tail.bytes()

    def open_network(self, network: container_spec.NetworkSpec) -> str:
        return self._networks.open(network)

    def network_path(self, name: str) -> str:
        return self._networks.path(name)

    def close_network(self, name: str) -> None:
        self._networks.close(name)

    def _post(self, client: Any, name: str, action: str,
              parameters: Mapping[str, str] | None = None) -> None:
        self._engine.call(client, 'POST', f'{self._engine.exact(client, name)}/{action}',
                          params=parameters)


def _filters(labels: Mapping[str, str]) -> str:
    return json.dumps({'label': [f'{name}={value}' for name, value in labels.items()]})


def _default_ulimits() -> list[process.Ulimit]:
    """The most there can be, on a host where nobody may have more; else none.

    Podman gives servers a million files and processes each, and fails where it
    may not. Such hosts are containers or virtual machines themselves.
    """
    status = _FIRST_PROCESS.read_text()
    bounds = next(int(line.split()[1], 16) for line in status.splitlines() if 'CapBnd' in line)
    if bounds & _CAP_SYS_RESOURCE:
        return []
    files, processes = (resource.getrlimit(kind)[1] for kind in (
        resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
    # Podman's service leaves itself no more than there can be; a namespace may allow more.
    most = int(_PID_MAX.read_text())
    processes = most if processes == resource.RLIM_INFINITY else min(processes, most)
    return [process.Ulimit('nofile', files, files), process.Ulimit('nproc', processes, processes)]
