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

"""Wait until Neutron says that it has wired the ports."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
from typing import Any

from nova import exception
import nova.conf
from oslo_log import log as logging
from oslo_utils import timeutils

from zun_nova import errors

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_EVENT = 'network-vif-plugged'

_LATE = (
    'Neutron has not confirmed within {} s (vif_plugging_timeout) that it is wired. Is the '
    'Neutron agent or ovn-controller of its host up?')

_FAILED = 'Neutron reported that it could not be wired; see its logs.'


@contextlib.contextmanager
def wait_plugged(
    virtapi: Any, instance: Any, network_info: Sequence[Mapping[str, Any]],
) -> Iterator[None]:
    """Plug in the body; leaving it waits for network-vif-plugged of each VIF.

    Waited for are VIFs that Nova holds to be down; the others were wired
    before and send no event. Without ``vif_plugging_timeout`` nothing is
    waited for.

    :raises errors.VifError: an event did not come in time or told of a
        failure, and ``vif_plugging_is_fatal``.
    """
    timeout = CONF.vif_plugging_timeout
    awaited = [vif['id'] for vif in network_info if vif.get('active', True) is False]
    events = [(_EVENT, port_id) for port_id in awaited] if timeout else []
    try:
        with timeutils.StopWatch() as watch, virtapi.wait_for_instance_event(
                instance, events, timeout=timeout, error_callback=_on_failure):
            yield
            watch.restart()
        if events:
            LOG.info('Neutron took %.2f s to say that it has wired the ports',
                     watch.elapsed(), instance=instance)
    except exception.InstanceEventTimeout as exc:
        # Nova has logged which events were missing.
        if CONF.vif_plugging_is_fatal:
            raise errors.VifError(', '.join(awaited), _LATE.format(timeout)) from exc
        LOG.warning('Starting the server though Neutron has not confirmed within %d s that its '
                    'ports are wired', timeout, instance=instance)


def _on_failure(event_name: str, instance: Any) -> None:
    """What Nova calls for an event of status failed; None: go on waiting."""
    LOG.error('Neutron reported a failure with %s', event_name, instance=instance)
    if CONF.vif_plugging_is_fatal:
        raise errors.VifError(event_name.removeprefix(f'{_EVENT}-'), _FAILED)
