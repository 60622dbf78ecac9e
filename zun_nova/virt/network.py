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

"""The network of a server: a namespace that outlives its processes, and what is wired into it."""

from __future__ import annotations

from concurrent import futures
from typing import Any

from oslo_log import log as logging

from zun_nova import errors
from zun_nova.vif import plug
from zun_nova.virt import identity
from zun_nova.virt import spec
from zun_nova.virt.runtime import base

LOG = logging.getLogger(__name__)

#: HOST_NAME_MAX of Linux.
_HOSTNAME_MAX = 64


class Networks:
    """Opens and closes the networks of one host's servers.

    Never hand network_info to the log before it was resolved: while Nova is
    still allocating, its text waits for a thread that waits for the log.
    """

    def __init__(self, runtime: base.Runtime, host: str) -> None:
        self._runtime = runtime
        self._host = host

    def open(self, instance: Any, network_info: Any) -> None:
        """Have the namespace, with every port wired and configured in it.

        May be called again: what is in order stays untouched.

        :raises errors.VifError: a port cannot be wired; what was done stays.
        """
        try:
            path = self._runtime.network_path(identity.container_name(instance))
        except errors.NotFound:
            path = self._open_new(instance, network_info)
        plug.plug_all(instance, network_info, path)

    def _open_new(self, instance: Any, network_info: Any) -> str:
        """Have the engine make the namespace, and Neutron see the ports, at the same time."""
        wanted = network_spec(instance, network_info, self._host)
        with futures.ThreadPoolExecutor(1, 'zun-nova-network') as pool:
            opened = pool.submit(self._runtime.open_network, wanted)
            plug.prepare_all(instance, network_info)
            return opened.result()

    def announce(self, instance: Any, network_info: Any) -> None:
        """Tell the neighbours where the server's addresses are now."""
        path = self._runtime.network_path(identity.container_name(instance))
        plug.announce_all(network_info, path)

    def is_open(self, instance: Any) -> bool:
        """Whether there is one, whose ports are wired."""
        try:
            self._runtime.network_path(identity.container_name(instance))
        except errors.NotFound:
            return False
        return True

    def fits(self, instance: Any) -> bool:
        """Whether there is one with the server's present host name; engines cannot change it."""
        rows = self._runtime.list({
            **identity.all_of(self._host), identity.LABEL_UUID: str(instance.uuid),
            identity.LABEL_HOSTNAME: hostname_of(instance)})
        return bool(rows)

    def close(self, instance: Any, network_info: Any) -> None:
        """Unwire every port and remove the namespace; may be called again.

        Ports that Nova has forgotten are found on the switch.
        """
        plug.unplug_all(instance, network_info)
        try:
            plug.unplug_rest(instance.uuid)
        except errors.SwitchUnavailable as ex:
            # All ports that Nova knows are off the switch, so there were none.
            LOG.warning('Not looking for forgotten ports: %s', ex, instance=instance)
        self._runtime.close_network(identity.container_name(instance))

    def close_forgotten(self, uuid: str) -> None:
        """The same for a server that Nova no longer has on this host.

        :raises errors.SwitchUnavailable: the switch does not answer; the namespace stays.
        """
        for port in plug.unplug_rest(uuid):
            LOG.info('Removed port %s (%s)', port.port_id, port.device, instance_uuid=uuid)
        self._runtime.close_network(identity.name_of(uuid))


def network_spec(instance: Any, network_info: Any, host: str) -> spec.NetworkSpec:
    """What the engine must know of the server's network."""
    hostname = hostname_of(instance)
    short, _, domain = hostname.partition('.')
    return spec.NetworkSpec(
        name=identity.container_name(instance),
        # Users may ask for a qualified name, and the kernel takes no longer ones.
        hostname=hostname if len(hostname) <= _HOSTNAME_MAX else short,
        aliases=(hostname, short) if domain else (),
        dns_search=(domain,) if domain else (),
        labels=identity.labels(instance, host, identity.ROLE_NETWORK) | {
            identity.LABEL_HOSTNAME: hostname},
        dns_servers=_dns_servers(network_info),
        addresses=_addresses(network_info),
    )


def hostname_of(instance: Any) -> str:
    """What its owner calls it, perhaps with a domain."""
    # Nova's own default; its oldest servers have none on record.
    return str(instance.hostname or f'Server-{instance.uuid}')


def _addresses(network_info: Any) -> tuple[str, ...]:
    """The first port's fixed IPs."""
    return tuple(
        ip['address']
        for port in network_info[:1]
        for subnet in port['network']['subnets']
        for ip in subnet['ips']
    )


def _dns_servers(network_info: Any) -> tuple[str, ...]:
    """The name servers of all subnets, in order, each once."""
    servers = [
        dns['address']
        for port in network_info
        for subnet in port['network']['subnets']
        for dns in subnet['dns']
    ]
    return tuple(dict.fromkeys(servers))
