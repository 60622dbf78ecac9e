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

"""Servers' ports on this host's Open vSwitch, as os-vif has plugged them.

Nova knows a server's ports, but not always: a build that was cut short, or a
server deleted while its host was down, leave what only the switch remembers.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from oslo_config import cfg
from vif_plug_ovs.ovsdb import ovsdb_lib

from zun_nova import errors
from zun_nova.vif import model


@dataclasses.dataclass(frozen=True)
class Port:
    """One port on the switch."""

    #: Neutron's.
    port_id: str
    #: Its name on the switch.
    device: str
    instance_uuid: str


def ports() -> list[Port]:
    """All ports of servers whose names are those this driver gives.

    The names alone are no proof: on a switch that another virt driver uses
    too, its ports are among them.

    :raises errors.SwitchUnavailable: the switch's database does not answer.
    """
    try:
        rows = _ovs().ovsdb.db_find(
            'Interface', ('external_ids', '!=', {'vm-uuid': ''}),
            columns=['name', 'external_ids']).execute(check_error=True)
    except Exception as exc:   # ovsdbapp raises no less when it cannot connect
        raise errors.SwitchUnavailable(str(exc)) from exc
    found = (_port(row['name'], row['external_ids']) for row in rows)
    return [port for port in found if port is not None]


def remove(port: Port) -> None:
    """Take the port off the switch; nothing to do when absent.

    :raises errors.SwitchUnavailable: the switch's database does not answer.
    """
    try:
        _ovs().ovsdb.del_port(port.device, if_exists=True).execute(check_error=True)
    except Exception as exc:   # see above
        raise errors.SwitchUnavailable(str(exc)) from exc


def _port(name: str, external_ids: dict[str, str]) -> Port | None:
    port_id = external_ids.get('iface-id', '')
    if not port_id or name not in (model.host_device(port_id), model.switch_device(port_id)):
        return None
    return Port(port_id, name, external_ids['vm-uuid'])


@functools.cache
def _ovs() -> Any:
    """The switch that os-vif plugs into, by os-vif's own options and means."""
    return ovsdb_lib.BaseOVS(cfg.CONF.os_vif_ovs)
