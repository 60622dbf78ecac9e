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

"""The floor: the shortest script that makes what a server is made of.

The same containers with the same limits as the driver's, the same veth pair,
switch port, addresses and routes, and the network before the process. Nothing
is checked, nothing can be repeated, nothing is cleaned up after a failure.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pathlib
import socket
from typing import Any

import docker
from oslo_config import cfg
import pyroute2
from vif_plug_ovs.ovsdb import ovsdb_lib

from zun_bench import cloud as bench_cloud
from zun_bench import compute
from zun_bench import phases
from zun_nova.vif import model
from zun_nova.vif import namespace
from zun_nova.virt import network
from zun_nova.virt import spec
from zun_nova.virt.runtime import docker_request
from zun_nova.virt.runtime import holder

_SYSCTL = pathlib.Path('/proc/sys/net/ipv6/conf')

_CREATE, _SWITCH = 'create both containers', 'port on the switch'
_HOLD, _START = 'start the namespace', 'start the process'
_LINKS, _ADDRESSES = 'veth pair', 'addresses and routes'


class Floor:
    """Makes one container with its network, and removes it."""

    def __init__(self, cloud: bench_cloud.Cloud, vif: Any, image: str) -> None:
        self._engine = docker.APIClient(cloud.host.engine_url, version='auto')
        self._engine.trust_env = False
        self._ovs = ovsdb_lib.BaseOVS(cfg.CONF.os_vif_ovs).ovsdb
        self._links = pyroute2.IPRoute()
        self._nic = model.nic(vif)
        self._bridge = vif['network']['bridge']
        instance = compute.new_instance(cloud)
        self._network = network.network_spec(instance, [vif], compute.HOST)
        self._spec = spec.build(instance, image, None, spec.defaults(cfg.CONF, compute.HOST))
        self._holder = docker_request.holder_name(self._network.name)
        self.watch = phases.Watch()

    def make(self) -> None:
        step, engine, nic = self.watch.step, self._engine, self._nic
        with step(_CREATE):
            engine.create_container_from_config(
                docker_request.holder(self._network, holder.IMAGE), self._holder)
        with step(_HOLD):
            engine.start(self._holder)
            path = engine.inspect_container(self._holder)['NetworkSettings']['SandboxKey']
        fd = os.open(path, os.O_RDONLY)
        with step(_LINKS):
            self._links.link(
                'add', ifname=nic.host_device, kind='veth', mtu=nic.mtu, state='up',
                peer={'ifname': 'eth0', 'address': nic.mac, 'mtu': nic.mtu, 'net_ns_fd': fd})
        with step(_SWITCH), self._ovs.transaction(check_error=True) as change:
            change.add(self._ovs.add_port(self._bridge, nic.host_device))
            change.add(self._ovs.db_set('Interface', nic.host_device, ('external_ids', {
                'iface-id': nic.port_id, 'attached-mac': nic.mac, 'iface-status': 'active'})))
        with step(_ADDRESSES):
            namespace.run(path, self._configure)
        os.close(fd)
        with step(_CREATE):
            engine.create_container_from_config(
                docker_request.container(self._spec, disk_quota=False), self._spec.name)
        with step(_START):
            engine.start(self._spec.name)

    def remove(self) -> None:
        """Remove what there is of it."""
        self._ovs.del_port(self._nic.host_device, if_exists=True).execute(check_error=True)
        for index in self._links.link_lookup(ifname=self._nic.host_device):
            self._links.link('del', index=index)
        for name in (self._spec.name, self._holder):
            with contextlib.suppress(docker.errors.NotFound):
                self._engine.remove_container(name, force=True)

    def _configure(self) -> None:
        for name in ('eth0/accept_ra', 'eth0/accept_dad', 'eth0/disable_ipv6', 'lo/disable_ipv6'):
            _SYSCTL.joinpath(name).write_text('0')
        with pyroute2.IPRoute() as links:
            for link in links.get_links():
                links.link('set', index=link['index'], state='up')
            index = links.link_lookup(ifname='eth0')[0]
            for address in self._nic.addresses:
                ip, _, length = address.partition('/')
                links.addr('add', index=index, address=ip, prefixlen=int(length))
            for route in self._nic.routes:
                to = ipaddress.ip_network(route.destination)
                more = {'gateway': route.gateway} if route.gateway else {'scope': 'link'}
                links.route('add', oif=index, dst=str(to) if to.prefixlen else 'default',
                            family=socket.AF_INET if to.version == 4 else socket.AF_INET6, **more)
