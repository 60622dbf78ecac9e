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

"""Why servers are not suspended.

It would take a checkpoint of their processes (CRIU). Docker has that as an experiment only,
without terminals and open connections, not for OCI runtimes with a sandbox, and CRIU does not
work on every kernel. To freeze them and call it suspended would keep their memory and their place
on the host, which is what pause says.
"""

from __future__ import annotations

from typing import Any

from nova import exception
from oslo_log import log as logging
import oslo_messaging

from zun_nova.virt import exits

LOG = logging.getLogger(__name__)

#: The action that tells owners, beside Nova's own that says no more than "Error".
ACTION = 'suspend_refused'

REASON = ('Containers cannot be suspended; nothing has changed. "pause" freezes the server in '
          'memory, "stop" keeps its disk and "shelve" moves it off the host')


class CannotSuspend(
        exception.InstanceSuspendFailure,   # type: ignore[misc]  # Nova has no types
        NotImplementedError):
    """Nova resets the server for the second base, and writes down the words for the first."""


def refuse(instance: Any) -> None:
    """Raise CannotSuspend, after telling the server's owner why; adds an action at each call."""
    try:
        exits.record(instance.uuid, instance.project_id, REASON, ACTION)
    except (exception.NovaException, oslo_messaging.MessagingException):
        LOG.exception('Could not note why the server was not suspended', instance=instance)
    raise CannotSuspend(reason=REASON)  # type: ignore[call-arg]  # likewise
