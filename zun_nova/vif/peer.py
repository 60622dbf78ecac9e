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

"""The end of a port's veth pair that is inside the server.

Called in a thread that is in the server's network namespace, see
:func:`zun_nova.vif.namespace.run`.

Addresses and routes set here are marked with :data:`PROTOCOL`. Marked ones
that the port no longer has are removed; what a privileged server's own
processes add carries no such mark and is left alone. (Kernels before 5.18
keep no mark on addresses, and there old ones stay.)
"""

from __future__ import annotations

import errno
import ipaddress
import itertools
import re
import socket
from typing import Any

import pyroute2

from zun_nova.vif import model
from zun_nova.vif import namespace

#: Ours among the rt_protos of iproute2; nobody else's as of iproute2 6.1.
PROTOCOL = 110

#: Metric of the routes through eth0; eth1 has the next one, and so on: each
#: port's default route is there, and the first port's is used.
FIRST_METRIC = 100

#: For the namespace as a whole.
NAMESPACE_SYSCTLS = {
    # Servers run without NET_RAW; so they can ping nevertheless.
    'net/ipv4/ping_group_range': '0 2147483647',
    # An address that is removed does not take others of its subnet along.
    'net/ipv4/conf/all/promote_secondaries': '1',
}

_MAIN_TABLE = 254

_Route = tuple[str, str | None, str | None, int]


def is_peer(index: int, host_index: int) -> bool:
    """Whether the link of this index is the other end of that one."""
    with pyroute2.IPRoute() as ipr:
        try:
            link = ipr.link('get', index=index)[0]
        except pyroute2.NetlinkError as exc:
            if exc.code != errno.ENODEV:
                raise
            return False
    return bool(link.get('link') == host_index)


def move(index: int, netns_fd: int) -> None:
    """Put the link of this index into another network namespace; there it is down."""
    with pyroute2.IPRoute() as ipr:
        ipr.link('set', index=index, net_ns_fd=netns_fd)


def configure(nic: model.Nic, index: int) -> None:
    """Make the link of this index what the NIC says, and bring it up."""
    for key, value in NAMESPACE_SYSCTLS.items():
        namespace.set_sysctl(key, value)
    with pyroute2.IPRoute() as ipr:
        name = _ensure_name(ipr, nic, index)
        _set_ipv6(name, nic.has_ipv6)
        _bring_up(ipr, nic, index)
        _set_addresses(ipr, nic, index)
        _set_routes(ipr, nic, index, _metric(name))


def _ensure_name(ipr: pyroute2.IPRoute, nic: model.Nic, index: int) -> str:
    """Give a new link the first free ethN; a link that has its name keeps it.

    So the order of plugging is the order of names, and a port keeps its name
    when one before it is detached.
    """
    names = {link['index']: link.get('ifname') for link in ipr.get_links()}
    name: str = names[index]
    if name != nic.peer_device:
        return name
    name = next(n for n in map('eth{}'.format, itertools.count()) if n not in names.values())
    ipr.link('set', index=index, ifname=name)
    return name


def _metric(name: str) -> int:
    number = re.search(r'\d+$', name)
    return FIRST_METRIC + (int(number.group()) if number else 0)


def _set_ipv6(name: str, wanted: bool) -> None:
    """Switch IPv6 on for a link that has such addresses, off for others.

    Engines disagree on the default of a new namespace (Docker: off). Neutron
    gives the addresses and routes: none comes from router advertisements, and
    detecting duplicates would only keep an address from use for a second.

    :raises FileNotFoundError: IPv6 is wanted and this kernel has none.
    """
    if not wanted and not namespace.has_ipv6():
        return
    own = f'net/ipv6/conf/{name}'
    namespace.set_sysctl(f'{own}/accept_ra', '0')
    namespace.set_sysctl(f'{own}/accept_dad', '0')
    namespace.set_sysctl(f'{own}/disable_ipv6', '0' if wanted else '1')
    if wanted:
        namespace.set_sysctl('net/ipv6/conf/lo/disable_ipv6', '0')


def _bring_up(ipr: pyroute2.IPRoute, nic: model.Nic, index: int) -> None:
    loopback = ipr.link('get', ifname='lo')[0]
    if loopback.get('state') != 'up':
        ipr.link('set', index=loopback['index'], state='up')
    link = ipr.link('get', index=index)[0]
    if (link.get('address'), link.get('mtu')) != (nic.mac, nic.mtu):
        ipr.link('set', index=index, address=nic.mac, mtu=nic.mtu)
    if link.get('state') != 'up':
        ipr.link('set', index=index, state='up')


def _set_addresses(ipr: pyroute2.IPRoute, nic: model.Nic, index: int) -> None:
    wanted = {ipaddress.ip_interface(a): None for a in nic.addresses}
    for old in _addresses(ipr, index, ours=True) - wanted.keys():
        ipr.addr('del', index=index, address=str(old.ip), prefixlen=old.network.prefixlen)
    present = _addresses(ipr, index, ours=False)
    for new in wanted:
        if new in present:
            continue
        more = {}
        if new.version == 4 and new.network.prefixlen < 31:
            more['broadcast'] = str(new.network.broadcast_address)
        ipr.addr('add', index=index, address=str(new.ip), prefixlen=new.network.prefixlen,
                 proto=PROTOCOL, **more)


def _addresses(ipr: pyroute2.IPRoute, index: int, ours: bool) -> set[Any]:
    """The link's addresses: all of them, or only those marked as ours."""
    return {
        ipaddress.ip_interface(f'{row.get("local") or row.get("address")}/{row["prefixlen"]}')
        for row in ipr.get_addr(index=index)
        if not ours or row.get('proto') == PROTOCOL
    }


def _set_routes(ipr: pyroute2.IPRoute, nic: model.Nic, index: int, metric: int) -> None:
    present = _routes(ipr, index)
    for route in nic.routes:
        if (route.destination, route.gateway, route.source, metric) in present:
            continue
        more: dict[str, Any] = {'gateway': route.gateway} if route.gateway else {}
        if route.source:
            more['prefsrc'] = route.source
        if route.onlink:
            more['flags'] = ['onlink']
        if route.gateway is None and route.version == 4:
            more['scope'] = 'link'
        ipr.route('replace', oif=index, priority=metric, proto=PROTOCOL,
                  table=_MAIN_TABLE, **_destination(route.destination), **more)
    kept = {(route.destination, metric) for route in nic.routes}
    for destination, _gateway, _source, old_metric in present:
        if (destination, old_metric) not in kept:
            ipr.route('del', oif=index, priority=old_metric, proto=PROTOCOL,
                      table=_MAIN_TABLE, **_destination(destination))


def _routes(ipr: pyroute2.IPRoute, index: int) -> set[_Route]:
    """(destination, gateway, source, metric) of the routes through this link marked as ours."""
    return {
        (_cidr(row), row.get('gateway'), row.get('prefsrc'), row.get('priority'))
        for row in ipr.get_routes(oif=index, table=_MAIN_TABLE)
        if row['proto'] == PROTOCOL
    }


def _cidr(row: Any) -> str:
    anywhere = '::' if row['family'] == socket.AF_INET6 else '0.0.0.0'  # noqa: S104  no bind
    return f'{row.get("dst") or anywhere}/{row["dst_len"]}'


def _destination(cidr: str) -> dict[str, Any]:
    network = ipaddress.ip_network(cidr)
    family = socket.AF_INET6 if network.version == 6 else socket.AF_INET
    return {'family': family, 'dst': 'default' if network.prefixlen == 0 else cidr}
