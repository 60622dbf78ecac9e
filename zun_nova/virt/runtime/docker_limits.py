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

"""How a Docker engine changes the limits of containers.

https://docs.docker.com/engine/api/v1.41/#tag/Container/operation/ContainerUpdate
"""

from __future__ import annotations

from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import docker_request
from zun_nova.virt.runtime import limits


class Limiter(limits.Limiter):
    """See limits.Limiter for the contracts."""

    _engine: docker_client.Engine

    def update_limits(self, name: str, limits: container_spec.Limits) -> None:
        operation = f'change the limits of container {name}'
        with self._engine.ask(operation) as client:
            container_id = docker_client.inspect(client, name)['Id']
            # The SDK's update_container() knows no limit of processes.
            with self._engine.stream(
                    client, 'POST', f'/containers/{container_id}/update',
                    json=docker_request.changed_limits(limits)) as response:
                response.json()
