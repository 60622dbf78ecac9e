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

"""Power states of a server: what they are, and how to change them."""

from __future__ import annotations

from typing import Any

from nova import conf
from nova import exception
from nova.compute import power_state
from nova.compute import utils as compute_utils
from nova.virt import hardware

from zun_nova import errors
from zun_nova.virt import identity
from zun_nova.virt import locks
from zun_nova.virt import network
from zun_nova.virt.runtime import base

CONF = conf.CONF

#: Nova's word for a reboot that lets the server end by itself.
SOFT = 'SOFT'

_POWER_STATES = {
    base.State.CREATED: power_state.SHUTDOWN,
    base.State.RUNNING: power_state.RUNNING,
    base.State.PAUSED: power_state.PAUSED,
    base.State.EXITED: power_state.SHUTDOWN,
    base.State.DEAD: power_state.CRASHED,
}


def info_of(container: base.ContainerInfo | base.ContainerSummary) -> hardware.InstanceInfo:
    """Nova's power state, and which container it is of.

    One that ran out of memory is shut down like others: Nova takes no event
    of a server in state CRASHED for true. What ended it, zun_nova.virt.exits
    tells.
    """
    return hardware.InstanceInfo(
        state=_POWER_STATES[container.state], internal_id=container.id)


def shutdown_timeout(instance: Any) -> int:
    """Seconds a server gets to end by itself: its image's os_shutdown_timeout, or nova.conf's."""
    return int(compute_utils.get_value_from_system_metadata(
        instance, key='image_os_shutdown_timeout', type=int, default=CONF.shutdown_timeout))


class Power:
    """Starts and stops servers that exist.

    Every method may be called again, in whatever state the server is. All
    raise errors.NotFound when the server has no container.
    """

    def __init__(self, runtime: base.Runtime, networks: network.Networks) -> None:
        self._runtime = runtime
        self._networks = networks

    def on(self, instance: Any, network_info: Any) -> None:
        """Start the server after its network.

        :raises nova.exception.InstancePowerOnFailure: its process cannot be
            started; nothing has changed.
        """
        name = identity.container_name(instance)
        if self._runtime.inspect(name).state is base.State.PAUSED:
            self._runtime.unpause(name)
            return
        with locks.wiring(instance):
            self._networks.open(instance, network_info)
        try:
            self._runtime.start(name)
        except errors.StartFailed as ex:
            raise exception.InstancePowerOnFailure(reason=ex.detail) from ex

    def off(self, instance: Any, timeout: int) -> None:
        """Ask the server's process to end and kill it after timeout seconds; 0 kills at once.

        Another grace time that its owner gave goes before a timeout above 0.
        """
        name = identity.container_name(instance)
        if timeout:
            timeout = self._runtime.inspect(name).stop_timeout or timeout
        self._runtime.stop(name, timeout)

    def reboot(self, instance: Any, network_info: Any, timeout: int) -> None:
        """Stop, waiting at most timeout seconds, and start; network and disk stay."""
        self.off(instance, timeout)
        self.on(instance, network_info)
