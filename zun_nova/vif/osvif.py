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

"""Nova's VIFs as os-vif's, and what this driver cannot plug."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nova.conf
from nova.network import model as network_model
from nova.network import os_vif_util
from os_vif.objects import network as network_objects
from os_vif.objects import vif as vif_objects

from zun_nova import errors
from zun_nova.vif import model

CONF = nova.conf.CONF

# Nova shows 255 characters of a fault, a hundred of which say whose it is.
UNBOUND = (
    'Neutron could not bind it to this host; its log says why. Is its vnic type normal, and is '
    "the host's agent alive (openstack network agent list)?")

_UNSUPPORTED = (
    'vif type {type!r} with vnic type {vnic!r} cannot be wired to a container. Use ports of vnic '
    'type normal, bound by ML2/OVN or ML2/Open vSwitch.')


def from_nova(vif: Mapping[str, Any]) -> Any:
    """The os-vif object that plugs this VIF's host end; a VIFBridge when it is hybrid.

    :raises errors.VifError: it cannot be plugged; the reason names the cure.
    """
    _check(vif)
    result = os_vif_util.nova_to_osvif_vif(vif)
    result.vif_name = model.host_device(vif['id'])
    profile = result.port_profile
    profile.create_port = True
    # ML2/OVN asks for a tap by default; os-vif would make one with the
    # server's MAC where our veth belongs.
    if 'create_tap' in profile.fields:
        profile.create_tap = False
    return result


def unbound(vif: Mapping[str, Any]) -> Any:
    """The os-vif object that unplugs a VIF of which Neutron no longer says how it was plugged.

    Should its bridge be there, os-vif takes the port for hybrid.
    """
    return vif_objects.VIFOpenVSwitch(
        id=vif['id'], address=vif['address'], plugin='ovs', vif_name=model.host_device(vif['id']),
        network=network_objects.Network(bridge=CONF.neutron.ovs_bridge),
        port_profile=vif_objects.VIFPortProfileOpenVSwitch(interface_id=vif['id']))


def switch_port(port: Any) -> Any:
    """The switch's part of a hybrid port, as a port of its own.

    os-vif makes it only together with the veth pair it belongs to; plugged in
    this form it comes back after the switch has lost it.
    """
    return vif_objects.VIFOpenVSwitch(
        id=port.id, address=port.address, network=port.network, plugin=port.plugin,
        vif_name=model.switch_device(port.id), port_profile=port.port_profile,
        has_traffic_filtering=port.has_traffic_filtering,
        preserve_on_delete=port.preserve_on_delete, active=port.active)


def _check(vif: Mapping[str, Any]) -> None:
    kind = vif['type']
    vnic = vif.get('vnic_type', network_model.VNIC_TYPE_NORMAL)
    if kind in (network_model.VIF_TYPE_UNBOUND, network_model.VIF_TYPE_BINDING_FAILED, None):
        raise errors.VifError(vif['id'], UNBOUND)
    if kind != network_model.VIF_TYPE_OVS or vnic != network_model.VNIC_TYPE_NORMAL:
        raise errors.VifError(vif['id'], _UNSUPPORTED.format(type=kind, vnic=vnic))
