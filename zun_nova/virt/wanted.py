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

"""Whether a server that is being made is still wanted.

Nova lets a build end before it deletes the server, so a build that takes long
looks by itself.
"""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from nova import exception
from nova import objects
from nova.compute import task_states
from oslo_log import log as logging
import oslo_messaging

LOG = logging.getLogger(__name__)

#: Seconds between two looks.
SECONDS = 5.0
_DELETED = (task_states.DELETING, task_states.SOFT_DELETING)


class Wanted:
    """Of one server, for one thread.

    :param instance: Nova's Instance; is not changed.
    """

    def __init__(self, context: Any, instance: Any,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._instance = instance
        self._clock = clock
        self._looked = clock()

    def check(self) -> None:
        """Go on; may be called as often as one likes.

        :raises nova.exception.NovaException: of a kind that ends a build in silence:
            somebody deletes the server, or it is gone.
        """
        now = self._clock()
        if now - self._looked < SECONDS:
            return
        self._looked = now
        try:
            instance = objects.Instance.get_by_uuid(
                self._context, self._instance.uuid, expected_attrs=[])
        except oslo_messaging.MessagingException as ex:
            LOG.debug('Cannot see whether the server is still wanted: %s', ex,
                      instance=self._instance)
            return
        if instance.task_state in _DELETED:
            raise exception.UnexpectedDeletingTaskStateError(
                instance_uuid=instance.uuid, expected={'task_state': [task_states.SPAWNING]},
                actual={'task_state': instance.task_state})
