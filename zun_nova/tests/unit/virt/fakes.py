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

"""Stand-ins for Nova's objects, with the attributes that pure code reads."""

from __future__ import annotations

import types
from typing import Any

UUID = '6d6a3a0e-6f0a-4f57-9d09-3d3a1a0f1c11'
IMAGE_ID = 'cedef40a-ed67-4d10-800e-17455edce175'


def flavor(**changes: Any) -> types.SimpleNamespace:
    values = {'name': 'container.small', 'vcpus': 2, 'memory_mb': 256, 'swap': 0,
              'root_gb': 1, 'ephemeral_gb': 0, 'extra_specs': {}}
    return types.SimpleNamespace(**(values | changes))


def instance(**changes: Any) -> types.SimpleNamespace:
    values = {'uuid': UUID, 'name': 'instance-00000001', 'hostname': 'web',
              'project_id': 'project', 'user_id': 'user', 'image_ref': IMAGE_ID,
              'task_state': None, 'metadata': {}, 'system_metadata': {}, 'user_data': None,
              'flavor': flavor(), 'numa_topology': None, 'trusted_certs': None}
    return types.SimpleNamespace(**(values | changes))
