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

"""Docker as the engine that runs servers."""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import dataclasses
import pathlib
from typing import Any

from zun_nova import errors
from zun_nova.vif import privileged
from zun_nova.virt import block_device
from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import docker_answer
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import docker_errors
from zun_nova.virt.runtime import docker_events
from zun_nova.virt.runtime import docker_files
from zun_nova.virt.runtime import docker_images
from zun_nova.virt.runtime import docker_layers
from zun_nova.virt.runtime import docker_limits
from zun_nova.virt.runtime import docker_logs
from zun_nova.virt.runtime import docker_network
from zun_nova.virt.runtime import docker_registry
from zun_nova.virt.runtime import docker_request
from zun_nova.virt.runtime import docker_roots
from zun_nova.virt.runtime import docker_snapshots
from zun_nova.virt.runtime import docker_streams

_MOUNTINFO = pathlib.Path('/proc/self/mountinfo')
_CHUNK = 64 * 1024
# Lines are asked for by number, bytes are wanted: begin with lines of this
# length, then ask for many more.
_LINE_BYTES = 64
_MORE_LINES = 16


class DockerRuntime(
        docker_images.Images, docker_registry.Puller, docker_events.Events,
        docker_snapshots.Snapshots, docker_layers.Layers, docker_limits.Limiter,
        docker_streams.Streams, docker_files.Files, docker_roots.Roots, base.Runtime):
    """Docker 20.10 or newer at a unix socket.

    Connects with the first call, not before.

    :param conf: ConfigOpts with the options of zun_nova.conf.
    :param kill_session: :func:`zun_nova.virt.runtime.sessions.kill`, with the rights it needs.
    """

    def __init__(self, conf: Any,
                 kill_session: docker_streams.Kill = privileged.kill_session) -> None:
        super().__init__(docker_client.Engine(
            conf.zun_nova.docker_url, conf.zun_nova.engine_timeout))
        self._kill_session = kill_session
        self._networks = docker_network.Networks(self._engine, self)
        self._info: base.EngineInfo | None = None

    def info(self) -> base.EngineInfo:
        with self._engine.ask('read what the engine is') as client:
            answer = client.info()
            api_version = client.api_version
        mountinfo = _MOUNTINFO.read_text()
        info = docker_answer.info(answer, api_version, mountinfo)
        mount = block_device.mount_of(info.data_root, mountinfo)
        self._info = dataclasses.replace(info, disk_device=block_device.disk(mount))
        return self._info

    def list(self, labels: Mapping[str, str]) -> list[base.ContainerSummary]:
        wanted = [f'{name}={value}' for name, value in labels.items()]
        with self._engine.ask('list containers') as client:
            rows = client.containers(all=True, filters={'label': wanted})
        return [docker_answer.summary(row) for row in rows]

    def inspect(self, name: str) -> base.ContainerInfo:
        with self._engine.ask(f'inspect container {name}') as client:
            return docker_answer.container(docker_client.inspect(client, name))

    def create(self, spec: container_spec.ContainerSpec) -> str:
        if not spec.files:
            return self._create(spec)
        if spec.read_only:
            return self._create(dataclasses.replace(spec, image=self._image_with_files(spec)))
        container_id = self._create(spec)
        docker_files.put(self._engine, spec.name, spec.files)
        return container_id

    def _create(self, spec: container_spec.ContainerSpec) -> str:
        engine = self._info or self.info()
        request = docker_request.container(
            spec, engine.capabilities.disk_quota, engine.disk_device)
        with self._engine.ask(f'create container {spec.name}') as client:
            answer = client.create_container_from_config(request, spec.name)
        container_id: str = answer['Id']
        return container_id

    def _image_with_files(self, spec: container_spec.ContainerSpec) -> str:
        """Docker puts no files into read-only containers, so they go into an image."""
        name, image = _builder(spec.name), _image_of(spec.name)
        with self._engine.ask(f'create container {name}') as client:
            client.create_container_from_config(docker_request.builder(spec), name)
        with self._engine.ask(f'inspect container {name}') as client:
            docker_files.refuse_volumes(docker_client.inspect(client, name), spec.files)
        docker_files.put(self._engine, name, spec.files)
        with self._engine.ask(f'make an image of container {name}') as client:
            client.commit(name, *image.split(':'))
        self._engine.remove_container(name)
        return image

    def start(self, name: str) -> None:
        operation = f'start container {name}'
        try:
            with self._engine.ask(operation, docker_errors.START_KINDS) as client:
                client.start(docker_client.exact(client, name))
        except errors.NotFound as ex:
            self.inspect(name)   # raises NotFound when it is the container that is missing
            raise errors.Conflict(
                operation, 'the network it was created for was closed; create it anew') from ex

    def stop(self, name: str, timeout: int) -> None:
        if timeout == 0:
            self._kill(name)
            return
        with self._engine.ask(f'stop container {name}') as client:
            # The SDK waits this much longer for the answer. A paused container
            # gets the signal when Docker thaws it.
            client.stop(docker_client.exact(client, name), timeout=timeout)

    def _kill(self, name: str) -> None:
        """Docker's own stop with a timeout of 0 sends the stop signal first."""
        with contextlib.suppress(errors.Conflict):  # it is not running
            with self._engine.ask(f'kill container {name}') as client:
                client.kill(docker_client.exact(client, name))

    def pause(self, name: str) -> None:
        try:
            with self._engine.ask(f'pause container {name}') as client:
                client.pause(docker_client.exact(client, name))
        except errors.Conflict:
            if self.inspect(name).state is not base.State.PAUSED:
                raise

    def unpause(self, name: str) -> None:
        try:
            with self._engine.ask(f'unpause container {name}') as client:
                client.unpause(docker_client.exact(client, name))
        except (errors.NotFound, errors.EngineUnavailable, errors.EngineTimeout):
            raise
        except errors.EngineError:   # that it is not paused is a 500
            if self.inspect(name).state is base.State.PAUSED:
                raise

    def rename(self, name: str, new_name: str) -> None:
        # The image that create() may have made of it goes by its name.
        self._tag(_image_of(name), _image_of(new_name))
        with self._engine.ask(f'rename container {name} to {new_name}') as client:
            client.rename(docker_client.exact(client, name), new_name)
        self.remove_image(_image_of(name))

    def _tag(self, image: str, other: str) -> None:
        with contextlib.suppress(errors.NotFound):
            with self._engine.ask(f'give image {image} another name') as client:
                client.tag(image, *other.split(':'))

    def remove(self, name: str) -> None:
        with contextlib.suppress(errors.NotFound):
            with self._engine.ask(f'remove container {name}') as client:
                docker_client.exact(client, name)
            self._engine.remove_container(name)
        self._engine.remove_container(_builder(name))
        self.remove_image(_image_of(name))

    def logs(self, name: str, max_bytes: int) -> bytes:
        with self._engine.ask(f'read the output of container {name}') as client:
            container = docker_client.inspect(client, name)
            lines = max_bytes // _LINE_BYTES + 1
            seen = -1
            while True:
                tail = self._tail(client, container, lines, max_bytes)
                if tail.total >= max_bytes or tail.total == seen:
                    return tail.bytes()
                seen = tail.total
                lines *= _MORE_LINES

    def open_network(self, network: container_spec.NetworkSpec) -> str:
        return self._networks.open(network)

    def network_path(self, name: str) -> str:
        return self._networks.path(name)

    def close_network(self, name: str) -> None:
        self._networks.close(name)

    def _tail(self, client: Any, container: Mapping[str, Any], lines: int,
              max_bytes: int) -> docker_logs.Tail:
        """The end of the last lines a container wrote."""
        # The SDK's logs() reads the output of a terminal byte by byte.
        tail = docker_logs.Tail(max_bytes)
        with self._engine.stream(
                client, 'GET', f'/containers/{docker_client.quoted(container["Id"])}/logs',
                params={'stdout': '1', 'stderr': '1', 'tail': str(lines)}) as response:
            chunks = response.iter_content(_CHUNK)
            if not container['Config']['Tty']:
                chunks = docker_logs.payloads(chunks)
            for chunk in chunks:
                tail.feed(chunk)
        return tail


def _builder(name: str) -> str:
    """The container in which the image of a read-only container with files is made."""
    return f'{name}-files'


def _image_of(name: str) -> str:
    """That image."""
    return f'zun-nova/files:{name}'
