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

"""Why a server's process ended, for its owner to read.

Nova shows the fault of a server only while the server is in ERROR, which one
whose process ended is not: it is SHUTOFF. So the reason becomes an action of
the server, ``exit``, whose message ``openstack server event list --long`` and
``openstack server event show`` print, beside what its owner did.
"""

from __future__ import annotations

import signal

from nova import context as nova_context
from nova import objects
from oslo_utils import timeutils

ACTION = 'exit'

_KILLED = 128
_MESSAGE_LENGTH = 255


def reason(code: int, oom_killed: bool) -> str:
    """What an exit code says, in words.

    :param code: 128 and a signal's number when a signal ended the process.
    :param oom_killed: the kernel killed a process of the server, not
        necessarily the first.
    """
    said = f'Exit code {code}: {_meaning(code, oom_killed)}'
    if oom_killed and code != _KILLED + signal.SIGKILL:
        return f'{said}; a process of it was killed because the memory of the flavor was used up'
    return said


def _meaning(code: int, oom_killed: bool) -> str:
    if code == 0:
        return 'completed'
    if code == _KILLED + signal.SIGKILL and oom_killed:
        return 'out of memory, killed because the memory of the flavor was used up'
    try:
        return f'killed by {signal.Signals(code - _KILLED).name}'
    except ValueError:
        return 'error'


def record(uuid: str, project_id: str | None, message: str, action: str = ACTION) -> None:
    """Add an action to the server's; one more each time it is called.

    :raises nova.exception.NovaException: Nova's conductor could not.
    """
    context = nova_context.get_admin_context()
    now = timeutils.utcnow()
    objects.InstanceAction(
        context, action=action, instance_uuid=uuid, request_id=context.request_id,
        user_id=None, project_id=project_id, start_time=now, finish_time=now,
        message=message[:_MESSAGE_LENGTH]).create()
