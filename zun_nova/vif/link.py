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

"""The veth pair of a port: one end on the host, the other in the server.

Root only: called in the privileged daemon. Every function may be repeated;
what is as it should be is left alone, so that traffic is not disturbed.
Besides what is said, all raise OSError and pyroute2's NetlinkError.
"""

from __future__ import annotations

import errno
from typing import Any

import pyroute2

from zun_nova.vif import model
from zun_nova.vif import namespace
from zun_nova.vif import peer
from zun_nova.vif import staging

#: Host ends carry this and the port's UUID as alias ("ip link" shows it).
ALIAS_PREFIX = 'zun-nova port '


def is_wired(nic: model.Nic, netns_path: str) -> bool:
    """Whether both ends exist and the inner one is in this namespace.

    If there is a bridge between it and the switch, that must be complete too:
    os-vif repairs none that an interruption left in parts.
    """
    with pyroute2.IPRoute() as ipr:
        host = find(ipr, nic.host_device)
        if host is None or not _is_veth(host) or not _is_bridged(ipr, nic, host):
            return False
    return namespace.run(netns_path, peer.is_peer, host.get('link'), host['index'])


def create(nic: model.Nic, netns_path: str | None) -> None:
    """Make the pair, its inner end at once in this namespace.

    What had the host end's name is deleted before. The inner end gets the
    port's MAC and MTU; it is down and has a temporary name until
    :func:`configure`.

    :param netns_path: None to have it wait for :func:`bring_in`.
    """
    delete(nic.host_device)
    with namespace.opened(netns_path or staging.path()) as fd, pyroute2.IPRoute() as ipr:
        ipr.link(
            'add', ifname=nic.host_device, kind='veth', mtu=nic.mtu,
            peer={'ifname': nic.peer_device, 'address': nic.mac, 'mtu': nic.mtu,
                  'net_ns_fd': fd})
        _set_host_end(ipr, nic)


def bring_in(nic: model.Nic, netns_path: str) -> bool:
    """Have a pair wired whose inner end waits; returns whether there was one."""
    waiting = staging.path()
    if not is_wired(nic, waiting):
        return False
    with namespace.opened(netns_path) as fd:
        namespace.run(waiting, peer.move, peer_index(nic.host_device), fd)
    return True


def attach(nic: model.Nic) -> None:
    """Put the host end into the NIC's bridge.

    :raises LookupError: there is no such pair, or no bridge.
    """
    with pyroute2.IPRoute() as ipr:
        host, bridge = find(ipr, nic.host_device), find(ipr, nic.bridge or '')
        if host is None or bridge is None:
            raise LookupError(f'there is no {nic.host_device} or no bridge {nic.bridge}')
        if host.get('master') != bridge['index']:
            ipr.link('set', index=host['index'], master=bridge['index'])


def configure(nic: model.Nic, netns_path: str) -> None:
    """Make both ends what the port says: up, named, addressed, routed.

    :raises LookupError: there is no such pair.
    """
    with pyroute2.IPRoute() as ipr:
        host = _set_host_end(ipr, nic)
    namespace.run(netns_path, peer.configure, nic, host.get('link'))


def delete(device: str) -> None:
    """Delete the link and with it its peer; nothing to do when absent."""
    with pyroute2.IPRoute() as ipr:
        found = find(ipr, device)
        if found is None:
            return
        try:
            ipr.link('del', index=found['index'])
        except pyroute2.NetlinkError as exc:
            # Its namespace may have died in between and taken it along.
            if exc.code != errno.ENODEV:
                raise


def peer_index(device: str) -> int:
    """Index, in its own namespace, of the other end of this veth.

    :raises LookupError: there is no such pair.
    """
    with pyroute2.IPRoute() as ipr:
        host = find(ipr, device)
    if host is None or not _is_veth(host):
        raise LookupError(f'there is no veth {device}')
    index: int = host.get('link')
    return index


def find(ipr: pyroute2.IPRoute, device: str) -> Any | None:
    """The link of this name as pyroute2 describes it, None when absent."""
    try:
        return ipr.link('get', ifname=device)[0]
    except pyroute2.NetlinkError as exc:
        if exc.code != errno.ENODEV:
            raise
        return None


def _is_veth(link: Any) -> bool:
    return bool(link.get_nested('IFLA_LINKINFO', 'IFLA_INFO_KIND') == 'veth')


def _set_host_end(ipr: pyroute2.IPRoute, nic: model.Nic) -> Any:
    """Bring the host end up, with MTU and alias; returns the link."""
    host = find(ipr, nic.host_device)
    if host is None or not _is_veth(host):
        raise LookupError(f'there is no veth {nic.host_device}')
    alias = ALIAS_PREFIX + nic.port_id
    actual = (host.get('state'), host.get('mtu'), host.get('ifalias'))
    if actual != ('up', nic.mtu, alias):
        ipr.link('set', index=host['index'], state='up', mtu=nic.mtu, ifalias=alias)
    return host


def _is_bridged(ipr: pyroute2.IPRoute, nic: model.Nic, host: Any) -> bool:
    """Whether the host end and the way to the switch are in the NIC's bridge, if it has one."""
    if nic.bridge is None:
        return True
    bridge, uplink = find(ipr, nic.bridge), find(ipr, nic.uplink)
    return (bridge is not None and uplink is not None
            and host.get('master') == uplink.get('master') == bridge['index'])
