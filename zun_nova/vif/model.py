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

"""What a Nova VIF asks for inside a server, as data.

Pure: a VIF of Nova's network_info goes in, a :class:`Nic` comes out. This
module also owns the form in which a Nic crosses the privsep channel, so it
imports nothing of Nova: the privileged daemon loads it too.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import ipaddress
from typing import Any

from kuryr.lib import constants as kuryr_constants
from kuryr.lib.binding.drivers import utils as kuryr_utils

_Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

#: Where servers ask for their metadata.
METADATA_SERVICE = '169.254.169.254/32'


@dataclasses.dataclass(frozen=True)
class Route:
    """One route of a server, through the port it belongs to."""

    #: CIDR; 0.0.0.0/0 or ::/0 is the default route.
    destination: str
    #: None: the destination is on the link itself.
    gateway: str | None = None
    #: The gateway is in none of the port's subnets, yet reached directly.
    onlink: bool = False
    #: Which of the port's addresses to use; None: the kernel's choice.
    source: str | None = None

    @property
    def version(self) -> int:
        return ipaddress.ip_network(self.destination).version

    @property
    def is_default(self) -> bool:
        return ipaddress.ip_network(self.destination).prefixlen == 0


@dataclasses.dataclass(frozen=True)
class Nic:
    """One network interface of a server and its end on the host."""

    port_id: str
    mac: str
    mtu: int
    #: With the prefix length of their subnets: '10.0.0.5/24', 'fd00::5/64'.
    addresses: tuple[str, ...]
    #: Routes on the link come first, default routes last.
    routes: tuple[Route, ...]
    #: The end of the veth pair on the host, which is plugged into the switch.
    host_device: str
    #: What the other end is called until it is given its ethN.
    peer_device: str
    dns: tuple[str, ...] = ()
    #: The Linux bridge between that end and the switch; None: there is none.
    bridge: str | None = None

    @property
    def uplink(self) -> str:
        """The bridge's end of the veth pair to the switch, as os-vif calls it."""
        return _device('qvb', self.port_id)

    @property
    def has_ipv6(self) -> bool:
        return any(ipaddress.ip_interface(a).version == 6 for a in self.addresses)

    def to_wire(self) -> dict[str, Any]:
        """Only what msgpack knows, for the privsep channel."""
        return dataclasses.asdict(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Nic:
        """The Nic of which :meth:`to_wire` made this."""
        fields = dict(wire)
        for name in ('addresses', 'dns'):
            fields[name] = tuple(wire[name])
        fields['routes'] = tuple(Route(**route) for route in wire['routes'])
        return cls(**fields)


def host_device(port_id: str) -> str:
    """Name of the host's end of a port's veth pair, as in all of Kuryr."""
    name: str = kuryr_utils.get_veth_pair_names(port_id)[0]
    return name


def switch_device(port_id: str) -> str:
    """Name of the switch's end of the veth pair that leads to a port's bridge."""
    return _device('qvo', port_id)


def host_devices(port_id: str) -> tuple[str, ...]:
    """Names of all links on the host that a port may have, whichever way it is plugged."""
    return host_device(port_id), switch_device(port_id), _device('qbr', port_id)


def _device(prefix: str, port_id: str) -> str:
    return f'{prefix}{port_id}'[:kuryr_constants.NIC_NAME_LEN]


def nic(vif: Mapping[str, Any]) -> Nic:
    """Translate a VIF (nova.network.model.VIF, or a dict of its shape)."""
    port_id = vif['id']
    network = vif['network']
    subnets = [s for s in network['subnets'] if s['ips']]
    interfaces = list(_interfaces(subnets))
    return Nic(
        port_id=port_id,
        mac=vif['address'].lower(),
        mtu=network.get('meta', {}).get('mtu') or kuryr_constants.DEFAULT_NETWORK_MTU,
        addresses=tuple(str(i) for i in interfaces),
        routes=tuple(_routes(subnets, interfaces, _metadata_route(vif, subnets))),
        host_device=host_device(port_id),
        peer_device=kuryr_utils.get_veth_pair_names(port_id)[1],
        dns=tuple(dict.fromkeys(server['address'] for s in subnets for server in s['dns'])),
        bridge=_device('qbr', port_id) if _is_hybrid(vif) else None,
    )


def _is_hybrid(vif: Mapping[str, Any]) -> bool:
    """Whether iptables are to filter the port's traffic, which they can on a Linux bridge."""
    return bool((vif.get('details') or {}).get('ovs_hybrid_plug'))


def _interfaces(subnets: Iterable[Mapping[str, Any]]) -> Iterator[_Interface]:
    for subnet in subnets:
        prefix = ipaddress.ip_network(subnet['cidr'], strict=False).prefixlen
        for fixed_ip in subnet['ips']:
            yield ipaddress.ip_interface(f'{fixed_ip["address"]}/{prefix}')


def _metadata_route(
    vif: Mapping[str, Any], subnets: Iterable[Mapping[str, Any]],
) -> Route | None:
    """The route that Neutron gives to DHCP clients (option 121); None where it gives none.

    With ML2/OVN the metadata agent answers ARP for the service's address on
    every network, and can reply to the subnets with DHCP. Where a DHCP agent
    serves, its port does so for subnets without a gateway; for others, the
    router on the default route.
    """
    drivers = (vif.get('details') or {}).get('bound_drivers', {})
    for subnet in subnets:
        meta = subnet.get('meta', {})
        if ipaddress.ip_network(subnet['cidr'], strict=False).version != 4:
            continue
        if 'ovn' in drivers.values() and meta.get('enable_dhcp'):
            return Route(METADATA_SERVICE, source=subnet['ips'][0]['address'])
        if meta.get('dhcp_server') and _address(subnet['gateway']) is None:
            return Route(METADATA_SERVICE, meta['dhcp_server'])
    return None


def _routes(
    subnets: Iterable[Mapping[str, Any]], interfaces: list[_Interface], metadata: Route | None,
) -> list[Route]:
    """All routes, at most one to each destination.

    A default route among a subnet's host routes stands instead of its
    gateway (RFC 3442 says so to DHCP clients, which servers with a guest
    agent would be). Of several subnets the first one's gateway counts.
    """
    found: dict[str, Route] = {}
    for subnet in subnets:
        wanted = [(r['cidr'], _address(r['gateway'])) for r in subnet['routes']]
        gateway = _address(subnet['gateway'])
        if gateway is not None:
            default = '::/0' if ipaddress.ip_address(gateway).version == 6 else '0.0.0.0/0'
            wanted.append((default, gateway))
        for cidr, via in wanted:
            destination = str(ipaddress.ip_network(cidr, strict=False))
            found.setdefault(
                destination, Route(destination, via, _needs_onlink(via, interfaces)))
    if metadata is not None:
        found.setdefault(metadata.destination, metadata)
    return sorted(found.values(), key=lambda r: (r.gateway is not None, r.is_default))


def _address(ip: Mapping[str, Any] | None) -> str | None:
    """A gateway's address; Neutron writes 'none' as 0.0.0.0 or :: too."""
    if ip is None or not ip['address']:
        return None
    address = ipaddress.ip_address(ip['address'])
    return None if address.is_unspecified else str(address)


def _needs_onlink(gateway: str | None, interfaces: Iterable[_Interface]) -> bool:
    if gateway is None:
        return False
    address = ipaddress.ip_address(gateway)
    return not address.is_link_local and not any(address in i.network for i in interfaces)
