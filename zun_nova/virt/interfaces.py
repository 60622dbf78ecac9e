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

"""Ports that come to a server, and leave it, after it was made."""

from __future__ import annotations

import contextlib
from typing import Any

from oslo_log import log as logging

from zun_nova import errors
from zun_nova.vif import plug
from zun_nova.virt import devices
from zun_nova.virt import identity
from zun_nova.virt import locks
from zun_nova.virt import network
from zun_nova.virt.runtime import base

LOG = logging.getLogger(__name__)


class Interfaces:
    """Attaches and detaches ports, whether the server runs, is paused or is stopped."""

    def __init__(self, runtime: base.Runtime, networks: network.Networks) -> None:
        self._runtime = runtime
        self._networks = networks

    def attach(self, context: Any, instance: Any, vif: Any) -> None:
        """Wire one more port: the first free ethN. On failure it is not there.

        On a server that is stopped the others are wired before it where they
        are not, as after a restart of the host, so that they keep their names.
        On one that runs they are, and Nova may be taking one away. Neutron's word that it has
        wired the port is not waited for: the API's caller waits for this.

        :raises errors.NotFound: the server has no container.
        :raises errors.VifError: a port cannot be wired.
        :raises errors.Unsupported: what runs in the server would not see it.
        """
        with locks.wiring(instance), contextlib.ExitStack() as on_failure:
            container = self._runtime.inspect(identity.container_name(instance))
            stopped = container.state not in (base.State.RUNNING, base.State.PAUSED)
            if not stopped:
                self._refuse_hotplug(container)
            network_info = [*_others(instance, vif), vif]
            on_failure.callback(self._take_back, instance, vif)
            self._networks.open(instance, network_info if stopped else [vif])
            self._networks.announce(instance, [vif])
            devices.record(context, instance, network_info)
            on_failure.pop_all()

    def detach(self, context: Any, instance: Any, vif: Any) -> None:
        """Unwire the port; may be called again, and when the server is gone.

        The other ports keep their names.

        :raises errors.VifError: it cannot be unwired.
        """
        with locks.wiring(instance):
            plug.unplug_all(instance, [vif])
            devices.record(context, instance, _others(instance, vif))

    def _refuse_hotplug(self, container: base.ContainerInfo) -> None:
        reason = self._runtime.info().oci_runtime(container.runtime).no_hotplug
        if reason:
            raise errors.Unsupported('attach a port to a running server', reason)

    def _take_back(self, instance: Any, vif: Any) -> None:
        try:
            plug.unplug_all(instance, [vif])
        except errors.VifError:
            # Nova must see why attaching failed.
            LOG.exception('Could not unwire the port again', instance=instance)


def _others(instance: Any, vif: Any) -> list[Any]:
    return [other for other in instance.get_network_info() if other['id'] != vif['id']]
