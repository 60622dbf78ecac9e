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

"""Servers that were being shelved when nova-compute ended.

Nova's start frees servers of which a snapshot was being taken, so that their
owners can do something with them; it does not think of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova.compute import task_states
from oslo_log import log as logging

LOG = logging.getLogger(__name__)

_STATES = (task_states.SHELVING, task_states.SHELVING_IMAGE_PENDING_UPLOAD,
           task_states.SHELVING_IMAGE_UPLOADING, task_states.SHELVING_OFFLOADING)


def release(instances: Iterable[Any]) -> None:
    """Have none of them wait for the end of its shelving, for nobody goes on with it.

    One without an image is stopped, as its shelving has left it. One that was
    being removed from the host is shelved, and can be offloaded again. Nothing
    to do for others.

    :param instances: those of this host, before Nova takes calls for them.
    """
    for instance in instances:
        if instance.task_state in _STATES:
            LOG.warning('Its shelving was interrupted (%s)', instance.task_state,
                        instance=instance)
            instance.task_state = None
            instance.save()
