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

"""VIFs as Nova makes them from Neutron's ports."""

from __future__ import annotations

from typing import Any

from nova.network import model
from oslo_utils import uuidutils

MAC = 'fa:16:3e:12:34:56'
PORT_ID = '3f2b1c9a-1d2e-4a5b-8c7d-0123456789ab'


def subnet(
    cidr: str, *addresses: str, gateway: str | None = None, routes: tuple[Any, ...] = (),
    dns: tuple[str, ...] = (), **meta: Any,
) -> model.Subnet:
    """A subnet with a port's fixed IPs in it.

    :param routes: (destination, gateway) pairs.
    :param meta: what Nova keeps beside it: enable_dhcp, dhcp_server.
    """
    return model.Subnet(
        cidr=cidr,
        gateway=model.IP(address=gateway, type='gateway') if gateway else None,
        ips=[model.FixedIP(address=address) for address in addresses],
        routes=[model.Route(cidr=to, gateway=model.IP(address=via, type='gateway'))
                for to, via in routes],
        dns=[model.IP(address=address, type='dns') for address in dns], **meta)


#: Of a port that ML2/OVS binds where the agent's firewall is iptables_hybrid.
HYBRID = {
    'port_filter': True, 'connectivity': 'l2', 'bridge_name': 'br-int',
    'datapath_type': 'netdev', 'ovs_hybrid_plug': True, 'bound_drivers': {'0': 'openvswitch'}}


def vif(
    *subnets: model.Subnet, port_id: str = PORT_ID, mac: str = MAC, mtu: int | None = 1442,
    bridge: str = 'br-int', **fields: Any,
) -> model.VIF:
    """A VIF as ML2/OVN on the userspace datapath binds it."""
    meta = {} if mtu is None else {'mtu': mtu}
    network = model.Network(
        id=uuidutils.generate_uuid(), bridge=bridge, label='private', subnets=list(subnets),
        **meta)
    values: dict[str, Any] = {
        'type': model.VIF_TYPE_OVS,
        'details': {'port_filter': True, 'connectivity': 'l2', 'bridge_name': bridge,
                    'datapath_type': 'netdev', 'ovs_create_tap': True,
                    'ovs_hybrid_plug': False, 'bound_drivers': {'0': 'ovn'}},
        'delegate_create': True,
        'devname': f'tap{port_id}'[:14],
        'ovs_interfaceid': port_id,
        **fields,
    }
    return model.VIF(id=port_id, address=mac, network=network, **values)
