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

"""What a new cloud holds: flavors, an image, networks, a first server."""

from __future__ import annotations

import datetime
import ipaddress
import time
import typing

from zun_cloud import errors
from zun_cloud import image
from zun_cloud import settings as cloud_settings

# name: vCPUs, MiB of memory, GiB of disk.
FLAVORS = {
    'container.tiny': (1, 64, 1),
    'container.small': (1, 256, 2),
    'container.medium': (2, 1024, 10),
}


def make_flavors(admin: typing.Any) -> None:
    known = {flavor.name for flavor in admin.compute.flavors()}
    for name, (vcpus, ram, disk) in FLAVORS.items():
        if name not in known:
            admin.compute.create_flavor(name=name, vcpus=vcpus, ram=ram, disk=disk)


def make_image(admin: typing.Any, settings: cloud_settings.Settings) -> None:
    """The busybox image, built from this machine's static busybox."""
    if admin.image.find_image('busybox'):
        return
    archive = settings.directory('cache') / 'busybox.tar'
    image.write_busybox(archive)
    admin.create_image(
        'busybox', filename=str(archive), container_format='docker', disk_format='raw',
        visibility='public', wait=True, timeout=60,
    )


def make_networks(admin: typing.Any, settings: cloud_settings.Settings) -> None:
    """``public`` for everyone; for the demo project ``private``, ``router1`` and its rules."""
    # The first requests make Neutron load its policy, and whoever asks meanwhile may be shown an
    # empty list: seen once in many starts. What is there must not be made again.
    list(admin.network.networks())
    public = _public(admin.network, settings)
    demo = admin.identity.find_project('demo', ignore_missing=False)
    subnets = _private(admin.network, settings, demo.id)
    _router(admin.network, public, demo.id, subnets)
    _open_security_group(admin.network, demo.id)


def _public(network: typing.Any, settings: cloud_settings.Settings) -> typing.Any:
    public = network.find_network('public') or network.create_network(
        name='public', is_router_external=True, provider_network_type='flat',
        provider_physical_network='physnet1',
    )
    if not network.find_subnet('public-subnet'):
        block = ipaddress.ip_network(settings.external_network)
        network.create_subnet(
            name='public-subnet', network_id=public.id, ip_version=4, cidr=str(block),
            gateway_ip=settings.external_address, is_dhcp_enabled=False,
            allocation_pools=[{'start': str(block[10]), 'end': str(block[-6])}],
        )
    return public


def _private(
    network: typing.Any, settings: cloud_settings.Settings, project: str
) -> list[typing.Any]:
    private = network.find_network('private', project_id=project) or network.create_network(
        name='private', project_id=project
    )
    subnets = {subnet.name: subnet for subnet in network.subnets(network_id=private.id)}
    if 'private-v4' not in subnets:
        subnets['private-v4'] = network.create_subnet(
            name='private-v4', network_id=private.id, project_id=project, ip_version=4,
            cidr=settings.private_network,
        )
    if 'private-v6' not in subnets:
        subnets['private-v6'] = network.create_subnet(
            name='private-v6', network_id=private.id, project_id=project, ip_version=6,
            cidr=settings.private_network_v6, ipv6_address_mode='slaac', ipv6_ra_mode='slaac',
        )
    return [subnets['private-v4'], subnets['private-v6']]


def _router(
    network: typing.Any, public: typing.Any, project: str, subnets: list[typing.Any]
) -> None:
    router = network.find_router('router1', project_id=project) or network.create_router(
        name='router1', project_id=project, external_gateway_info={'network_id': public.id}
    )
    ports = network.ports(device_id=router.id)
    connected = {fixed['subnet_id'] for port in ports for fixed in port.fixed_ips}
    for subnet in subnets:
        if subnet.id not in connected:
            network.add_interface_to_router(router, subnet_id=subnet.id)


def _open_security_group(network: typing.Any, project: str) -> None:
    """Ping, ssh and http may come in."""
    group = next(iter(network.security_groups(project_id=project, name='default')))
    known = {
        (rule['ethertype'], rule['protocol'], rule['port_range_min'])
        for rule in group.security_group_rules if rule['direction'] == 'ingress'
    }
    for ethertype, protocol, port in (
        ('IPv4', 'icmp', None), ('IPv6', 'ipv6-icmp', None),
        ('IPv4', 'tcp', 22), ('IPv6', 'tcp', 22), ('IPv4', 'tcp', 80), ('IPv6', 'tcp', 80),
    ):
        if (ethertype, protocol, port) not in known:
            network.create_security_group_rule(
                security_group_id=group.id, project_id=project, direction='ingress',
                ethertype=ethertype, protocol=protocol, port_range_min=port, port_range_max=port,
            )


def retire_hosts(admin: typing.Any, present: typing.Collection[str]) -> None:
    """Have no servers sent to compute hosts that an earlier ``up`` had and this one has not.

    Nova takes a host for alive for a minute after its last sign of life, and what it sends there
    waits for the host to come back. One that does come back is taken into service again.
    """
    for item in admin.compute.services(binary='nova-compute'):
        absent = item.host not in present
        if bool(item.is_forced_down) != absent:
            admin.compute.update_service_forced_down(item.id, forced=absent)


def wait_hosts(
    admin: typing.Any, started: typing.Mapping[str, float], timeout: float = 90
) -> None:
    """Wait until every compute host is up and the scheduler knows it.

    :param started: hosts, with the time their nova-compute was started: Nova calls a service
        up for a minute after its last sign of life.
    """
    def signs() -> typing.Iterator[tuple[str, float]]:
        # Without details: those would ask every compute host for its uptime.
        known = {item.name for item in admin.compute.hypervisors(details=False)}
        for item in admin.compute.services(binary='nova-compute'):
            if item.state == 'up' and item.host in known:
                yield item.host, _seconds(item.updated_at)

    _wait_for_signs('compute hosts not up', started, signs, timeout)


def wait_agents(
    admin: typing.Any, started: typing.Mapping[tuple[str, str], float], timeout: float = 60
) -> None:
    """Wait until every agent has told Neutron of itself, which binds ports by what they say.

    :param started: programs and hosts, with the time each was started.
    """
    def signs() -> typing.Iterator[tuple[str, float]]:
        for item in admin.network.agents():
            if item.is_alive:
                yield f'{item.binary} on {item.host}', _seconds(item.last_heartbeat_at)

    named = {f'{program} on {host}': when for (program, host), when in started.items()}
    _wait_for_signs('network agents not alive', named, signs, timeout)


def _wait_for_signs(
    failure: str,
    started: typing.Mapping[str, float],
    signs: typing.Callable[[], typing.Iterable[tuple[str, float]]],
    timeout: float,
) -> None:
    """Wait until each has given a sign of life since it was started.

    :param signs: names of those that are well, and when each gave its last sign.
    """
    missing = dict(started)
    deadline = time.monotonic() + timeout
    while missing:
        if time.monotonic() > deadline:
            names = ', '.join(sorted(missing))
            raise errors.CloudError(f'{failure} after {timeout:.0f} s: {names}')
        for name, seen in signs():
            if seen >= missing.get(name, seen):
                missing.pop(name, None)
        if missing:
            time.sleep(0.3)


def _seconds(stamp: str | None) -> float:
    """The UTC time stamps of Nova and Neutron, which do not say that they are UTC."""
    if stamp is None:
        return 0.0
    return datetime.datetime.fromisoformat(f'{stamp}+00:00').timestamp()


def first_server(demo: typing.Any, name: str = 'hello', timeout: float = 120) -> typing.Any:
    """A running server of the demo project with a floating IP; one that broke is replaced."""
    server = demo.compute.find_server(name)
    if server:
        server = _settled(demo, server, timeout)
        if server.status != 'ACTIVE':
            demo.delete_server(server.id, wait=True, timeout=60)
            server = None
    if server is None:
        server = demo.compute.create_server(
            name=name,
            flavor_id=demo.compute.find_flavor('container.tiny', ignore_missing=False).id,
            image_id=demo.image.find_image('busybox', ignore_missing=False).id,
            networks=[{'uuid': demo.network.find_network('private', ignore_missing=False).id}],
        )
        server = _settled(demo, server, timeout)
    if server.status != 'ACTIVE':
        fault = (server.fault or {}).get('message', 'no reason given')
        raise errors.CloudError(f'server {name} is {server.status}: {fault}')
    _float(demo, server)
    return demo.compute.get_server(server.id)


def _settled(demo: typing.Any, server: typing.Any, timeout: float) -> typing.Any:
    deadline = time.monotonic() + timeout
    while True:
        server = demo.compute.get_server(server.id)
        if server.status in ('ACTIVE', 'ERROR', 'SHUTOFF') and not server.task_state:
            return server
        if time.monotonic() > deadline:
            raise errors.CloudError(f'server {server.name} is still {server.status}')
        time.sleep(0.2)


def _float(demo: typing.Any, server: typing.Any) -> None:
    port = next(iter(demo.network.ports(device_id=server.id)))
    if list(demo.network.ips(port_id=port.id)):
        return
    public = demo.network.find_network('public', ignore_missing=False)
    fixed = next(f['ip_address'] for f in port.fixed_ips if '.' in f['ip_address'])
    where = {'port_id': port.id, 'fixed_ip_address': fixed}
    free = [ip for ip in demo.network.ips(project_id=port.project_id) if ip.port_id is None]
    if free:
        demo.network.update_ip(free[0], **where)
    else:
        demo.network.create_ip(floating_network_id=public.id, **where)


def addresses(demo: typing.Any, server: typing.Any) -> list[str]:
    """Fixed and floating addresses, from Neutron: Nova hears of floating ones later."""
    ports = list(demo.network.ports(device_id=server.id))
    found = [fixed['ip_address'] for port in ports for fixed in port.fixed_ips]
    for port in ports:
        found += [ip.floating_ip_address for ip in demo.network.ips(port_id=port.id)]
    return found


def console(demo: typing.Any, server: typing.Any, timeout: float = 10) -> str:
    """The first output of the server; waits for there to be some."""
    deadline = time.monotonic() + timeout
    while True:
        answer = demo.compute.get_server_console_output(server.id)
        text = str(answer['output'] if isinstance(answer, dict) else answer)
        if 'httpd listens' in text or time.monotonic() > deadline:
            return text
        time.sleep(0.3)
