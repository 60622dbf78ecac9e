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

"""Whether the engine answers: waited for at the start, and told to Nova's scheduler."""

from __future__ import annotations

import time
from typing import Any

from keystoneauth1 import exceptions as keystone_exceptions
from nova import context as nova_context
from nova import exception
from nova import objects
import nova.virt.node
from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt.runtime import base

LOG = logging.getLogger(__name__)

#: What begins so was disabled by a program and may be enabled by it again, as with Nova's libvirt
#: driver; all else is an operator's.
AUTOMATIC = 'AUTO: '

_REASON_LENGTH = 255
_PAUSE = 0.5


def wait(runtime: base.Runtime, timeout: float) -> base.EngineInfo:
    """What the engine says of itself, once it answers: both may start with their host.

    :param timeout: seconds.
    :raises errors.EngineError: it does not answer within that time, or cannot serve.
    """
    deadline = time.monotonic() + timeout
    waiting = False
    while True:
        try:
            return runtime.info()
        except errors.EngineUnavailable as ex:
            if time.monotonic() >= deadline:
                raise
            if not waiting:
                LOG.warning('Waiting at most %d s for the engine: %s', timeout, ex)
            waiting = True
        time.sleep(_PAUSE)


class HostStatus:
    """The compute service of this host, as the scheduler sees it."""

    def __init__(self, host: str, virtapi: Any) -> None:
        self._host = host
        self._virtapi = virtapi

    def engine_lost(self, reason: str) -> None:
        """Have no servers sent here; nothing to do when none are.

        :param reason: why the engine does not answer, for operators.
        """
        self._set((AUTOMATIC + reason)[:_REASON_LENGTH])

    def engine_found(self) -> None:
        """Have servers sent here again, unless it was an operator who wanted none."""
        self._set(None)

    def _set(self, disabled_reason: str | None) -> None:
        context = nova_context.get_admin_context()
        try:
            service = objects.Service.get_by_compute_host(context, self._host)
        except exception.ComputeHostNotFound:
            return   # the first start of this host; it begins enabled
        disable = disabled_reason is not None
        theirs = service.disabled and not (service.disabled_reason or '').startswith(AUTOMATIC)
        if service.disabled == disable or theirs:
            return
        service.disabled = disable
        service.disabled_reason = disabled_reason
        service.save()
        LOG.info('No servers are sent to this host until the engine answers' if disable
                 else 'The engine answers; servers are sent to this host again')
        try:
            self._virtapi.update_compute_provider_status(
                context, nova.virt.node.get_local_node_uuid(), enabled=not disable)
        except (exception.NovaException, keystone_exceptions.ClientException, ValueError) as ex:
            # Nova's periodic task compares them, also before the first of which it does not know
            # the host in Placement (ValueError).
            LOG.warning('Placement does not know yet that this host is %s: %s',
                        'disabled' if disable else 'enabled', ex)
