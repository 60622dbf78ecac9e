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

"""Where Docker keeps the root file systems of containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zun_nova import errors
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import roots

DRIVER = 'overlay2'


class Roots(roots.Roots):
    """See roots.Roots for the contracts."""

    _engine: docker_client.Engine

    def root_layers(self, name: str) -> roots.Layers:
        operation = f'find the root of container {name}'
        with self._engine.ask(operation) as client:
            answer = client.inspect_container(name)
        if answer['Name'] != f'/{name}':
            raise errors.NotFound(operation, f'there is only {answer["Name"][1:]}')
        return layers(answer, operation)


def layers(answer: Mapping[str, Any], operation: str = 'find the root') -> roots.Layers:
    """What Docker's answer for a container says; pure.

    :raises errors.Unsupported: it says nothing, as engines that keep images in containerd do.
    """
    graph = answer.get('GraphDriver') or {}
    driver, data = graph.get('Name'), graph.get('Data') or {}
    if driver != DRIVER or not data:
        raise errors.Unsupported(
            operation, f'the storage driver {driver or "of containerd"} of the engine does not '
            f'say where it is; only {DRIVER} does')
    return roots.Layers(tuple(data['LowerDir'].split(':')), data['UpperDir'], data['WorkDir'])
