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

"""Network namespaces that outlive containers, on Docker.

Docker takes no path of a namespace. So a tiny container, the holder, owns it
and does nothing; the server's container joins it (``container:ID``).

What follows from Docker's own rules, seen on 20.10:

* A container cannot start while its holder does not run: Conflict.
* It joins the holder by id. Once the holder was removed, a container made for
  it can never start again, though a new holder has the same name: Conflict.
* A holder that ended (host restart, killed by hand) and runs again has a new
  namespace. A container that runs on stays in the old one until it is
  restarted; the next one it joins is the new one.
* The holder owns host name, resolv.conf and hosts. They are those of the time
  it was made.
"""

from __future__ import annotations

import threading
import time

from zun_nova import errors
from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import docker_answer
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import docker_errors
from zun_nova.virt.runtime import docker_images
from zun_nova.virt.runtime import docker_request
from zun_nova.virt.runtime import holder


class Networks:
    """The open networks of one engine; see base.Runtime for the contracts."""

    def __init__(self, engine: docker_client.Engine, images: docker_images.Images) -> None:
        self._engine = engine
        self._images = images
        self._loading = threading.Lock()

    def open(self, network: container_spec.NetworkSpec) -> str:
        """Have a running holder; returns the path of its namespace."""
        deadline = time.monotonic() + self._engine.timeout
        while True:
            path = self._find(network.name)
            if path is not None:
                return path
            self._create(network)
            try:
                self._start(network.name)
            except errors.NotFound:
                # Another thread is making it: the name is taken before the
                # container can be found.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def path(self, name: str) -> str:
        """The path of the namespace.

        :raises errors.NotFound: it is not open.
        """
        path = self._find(name)
        if path is None:
            raise errors.NotFound(f'find network {name}', 'it is not open')
        return path

    def close(self, name: str) -> None:
        """Remove the holder, and so the namespace once no container is in it."""
        self._engine.remove_container(docker_request.holder_name(name))

    def _find(self, name: str) -> str | None:
        try:
            with self._engine.ask(f'find network {name}') as client:
                answer = client.inspect_container(docker_request.holder_name(name))
        except errors.NotFound:
            return None
        return docker_answer.network_path(answer)

    def _create(self, network: container_spec.NetworkSpec) -> None:
        """Have a holder, running or not."""
        try:
            self._create_holder(network)
        except errors.NotFound:
            self._load_image()
            self._create_holder(network)

    def _create_holder(self, network: container_spec.NetworkSpec) -> None:
        name = docker_request.holder_name(network.name)
        try:
            with self._engine.ask(f'create network {network.name}') as client:
                client.create_container_from_config(
                    docker_request.holder(network, holder.IMAGE), name)
        except errors.Conflict:
            pass   # the name is taken: it is there, stopped or just made by another thread

    def _start(self, name: str) -> None:
        with self._engine.ask(f'open network {name}', docker_errors.START_KINDS) as client:
            client.start(docker_request.holder_name(name))

    def _load_image(self) -> None:
        with self._loading:
            if self._images.image_id(holder.IMAGE) is not None:
                return   # another thread was quicker
            with self._engine.ask('find the architecture of the engine') as client:
                architecture = client.info()['Architecture']
            if architecture not in holder.ARCHITECTURES:
                raise errors.Unsupported(
                    'open a network', f'there is no holder image for {architecture}')
            self._images.load_image([holder.archive(architecture)], holder.IMAGE)
