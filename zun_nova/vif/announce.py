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

"""Tell a network that an address is here now: gratuitous ARP, unsolicited NA.

Switches and neighbours of a port that came from another host go on sending
there until they hear from it. The frames go out raw, because no process of
the server runs yet.

Root only: called in the privileged daemon.
"""

from __future__ import annotations

import ipaddress
import socket
import struct

import pyroute2

from zun_nova.vif import link
from zun_nova.vif import model
from zun_nova.vif import namespace

_ETH_ARP = 0x0806
_ETH_IPV6 = 0x86DD
_BROADCAST = b'\xff' * 6
_ALL_NODES = ipaddress.IPv6Address('ff02::1')
_ALL_NODES_MAC = bytes.fromhex('333300000001')
_ICMPV6 = 58
_NEIGHBOUR_ADVERTISEMENT = 136
_OVERRIDE = 0x20000000


def send(nic: model.Nic, netns_path: str) -> None:
    """Announce each address of the NIC once; may be repeated at will.

    :raises OSError: the namespace is gone or the link is down.
    :raises LookupError: the NIC is not in that namespace.
    """
    peer = link.peer_index(nic.host_device)
    namespace.run(netns_path, _send, nic, peer)


def _send(nic: model.Nic, index: int) -> None:
    with pyroute2.IPRoute() as ipr:
        device = ipr.link('get', index=index)[0].get('ifname')
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((device, 0))
        for frame in frames(nic):
            raw.send(frame)


def frames(nic: model.Nic) -> list[bytes]:
    """The Ethernet frames that announce all the addresses of a NIC."""
    mac = bytes.fromhex(nic.mac.replace(':', ''))
    result = []
    for address in nic.addresses:
        ip = ipaddress.ip_interface(address).ip
        if isinstance(ip, ipaddress.IPv4Address):
            result.append(_gratuitous_arp(mac, ip))
        else:
            result.append(_neighbour_advertisement(mac, ip))
    return result


def _gratuitous_arp(mac: bytes, ip: ipaddress.IPv4Address) -> bytes:
    """An ARP request for the sender's own address (RFC 5227, section 3)."""
    ethernet = _BROADCAST + mac + struct.pack('!H', _ETH_ARP)
    header = struct.pack('!HHBBH', 1, 0x0800, 6, 4, 1)
    return ethernet + header + mac + ip.packed + bytes(6) + ip.packed


def _neighbour_advertisement(mac: bytes, ip: ipaddress.IPv6Address) -> bytes:
    """An unsolicited advertisement to all nodes (RFC 4861, sections 4.4, 7.2.6)."""
    target = struct.pack('!I', _OVERRIDE) + ip.packed
    option = struct.pack('!BB', 2, 1) + mac
    body = target + option
    length = 4 + len(body)
    pseudo = ip.packed + _ALL_NODES.packed + struct.pack('!II', length, _ICMPV6)
    head = struct.pack('!BB', _NEIGHBOUR_ADVERTISEMENT, 0)
    checksum = _checksum(pseudo + head + bytes(2) + body)
    icmp = head + struct.pack('!H', checksum) + body
    ipv6 = struct.pack('!IHBB', 6 << 28, length, _ICMPV6, 255) + ip.packed + _ALL_NODES.packed
    return _ALL_NODES_MAC + mac + struct.pack('!H', _ETH_IPV6) + ipv6 + icmp


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(word for (word,) in struct.iter_unpack('!H', data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
