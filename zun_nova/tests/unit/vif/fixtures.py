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

"""Fixtures for tests of whatever uses zun_nova.vif."""

from __future__ import annotations

from typing import Any
from unittest import mock

import fixtures
import os_vif
from os_vif import exception as os_vif_exception

from zun_nova.vif import daemons
from zun_nova.vif import plug
from zun_nova.vif import switch


class RecordedWiring(fixtures.Fixture):
    """No wiring at all; says what would have been wired.

    Stands in for os-vif and for the privileged calls, so that neither root
    nor Open vSwitch nor a real namespace is needed. It behaves as a host: a
    port is wired from create() until delete().
    """

    def __init__(self) -> None:
        super().__init__()
        #: (call, port id or device), in order.
        self.calls: list[tuple[str, str]] = []
        #: Devices now wired, with the namespace each is in; None: waiting for one.
        self.wired: dict[str, str | None] = {}
        #: Ports now on the switch, by device.
        self.switch: dict[str, switch.Port] = {}
        #: What asking the switch raises.
        self.switch_error: Exception | None = None
        #: Ports that the switch does not take.
        self.refused: set[str] = set()

    def _setUp(self) -> None:
        os_vif.initialize()
        self._patch(os_vif, 'plug', self._plug)
        self._patch(os_vif, 'unplug', self._unplug)
        self._patch(plug, 'privileged', self)
        self._patch(daemons, 'CONTEXTS', ())
        self._patch(switch, 'ports', self._ports)
        self._patch(switch, 'remove', lambda port: self.switch.pop(port.device, None))

    def _patch(self, owner: Any, name: str, value: Any) -> None:
        patcher = mock.patch.object(owner, name, value)
        patcher.start()
        self.addCleanup(patcher.stop)

    def _plug(self, vif: Any, instance_info: Any) -> None:
        self.calls.append(('plug', vif.id))
        if vif.id in self.refused:
            raise os_vif_exception.PlugException(vif=vif, err='refused')
        self.switch[vif.vif_name] = switch.Port(vif.id, vif.vif_name, instance_info.uuid)

    def _unplug(self, vif: Any, instance_info: Any) -> None:
        self.calls.append(('unplug', vif.id))
        self.switch.pop(vif.vif_name, None)

    def _ports(self) -> list[switch.Port]:
        if self.switch_error is not None:
            raise self.switch_error
        return list(self.switch.values())

    def is_wired(self, nic: Any, netns_path: str) -> bool:
        return self.wired.get(nic['host_device']) == netns_path

    def create(self, nic: Any, netns_path: str | None) -> None:
        self.calls.append(('create', nic['port_id']))
        self.wired[nic['host_device']] = netns_path

    def attach(self, nic: Any) -> None:
        self.calls.append(('attach', nic['port_id']))

    def bring_in(self, nic: Any, netns_path: str) -> bool:
        device = nic['host_device']
        if device not in self.wired or self.wired[device] is not None:
            return False
        self.calls.append(('bring in', nic['port_id']))
        self.wired[device] = netns_path
        return True

    def configure(self, nic: Any, netns_path: str) -> None:
        self.calls.append(('configure', nic['port_id']))

    def send_announcements(self, nic: Any, netns_path: str) -> None:
        self.calls.append(('announce', nic['port_id']))

    def delete(self, device: str) -> None:
        self.calls.append(('delete', device))
        self.wired.pop(device, None)
