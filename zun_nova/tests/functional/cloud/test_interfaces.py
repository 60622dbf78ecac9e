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

"""Ports that come and go while a server is there."""

from __future__ import annotations

from concurrent import futures
import json
from typing import Any

from openstack import exceptions
from testtools import testcase

from zun_nova.tests.functional.cloud import base
from zun_nova.tests.functional.cloud import networks


class InterfaceTest(networks.NetworkCase):

    @testcase.attr('ovs')
    def test_attach_and_detach_in_each_state(self) -> None:
        ports = [self.new_port(number) for number in range(3)]
        before = self.traces()
        server = self.boot()
        macs = self.macs(server)
        self.attach(server, ports[0], tag='backup')
        self.assertEqual({f['ip_address'] for f in ports[0].fixed_ips},
                         self.addresses(server, 'eth1'))
        self.assertEqual({'mac': ports[0].mac_address, 'tags': ['backup']}, self.device(server))

        self.demo.compute.pause_server(server.id)
        self.wait_status(server, 'PAUSED')
        self.attach(server, ports[1])
        self.demo.compute.unpause_server(server.id)
        self.wait_status(server, 'ACTIVE')
        macs |= {'eth1': ports[0].mac_address, 'eth2': ports[1].mac_address}
        self.assertEqual(macs, self.macs(server))

        # The others keep their names, also over a stop; a new one gets the free one.
        self.detach(server, ports[0])
        del macs['eth1']
        self.assertEqual(macs, self.macs(server))
        self.demo.compute.stop_server(server.id)
        self.wait_status(server, 'SHUTOFF')
        self.attach(server, ports[2])
        self.demo.compute.start_server(server.id)
        self.wait_status(server, 'ACTIVE')
        macs['eth1'] = ports[2].mac_address
        self.assertEqual(macs, self.macs(server))

        # Gone without Nova having been asked.
        self.admin.network.delete_port(ports[1].id)
        del macs['eth2']
        self.eventually(lambda: self.macs(server) == macs, 'the deleted port is detached')
        # The metadata service keeps what it says for 15 s.
        self.eventually(lambda: self.device(server) is None, 'the tag has gone with its port')
        self.ping(server, self.routes(server)['default'][0] or '')
        self.delete(server)
        self.assertEqual(before, self.traces())

    def test_the_only_port_two_at_once_and_a_deletion_meanwhile(self) -> None:
        ports = [self.new_port(number) for number in range(3, 6)]
        before = self.traces()
        server = self.boot()
        self.detach(server, self.ports(server)[0])
        self.assertEqual({}, self.links(server))

        with futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda port: self.attach(server, port), ports[:2]))
        macs = self.macs(server)
        self.assertEqual({'eth0', 'eth1'}, set(macs))
        self.assertEqual({port.mac_address for port in ports[:2]}, set(macs.values()))

        with futures.ThreadPoolExecutor(1) as pool:
            attaching = pool.submit(self.attach, server, ports[2])
            self.eventually(
                lambda: attaching.done()
                or self.demo.network.get_port(ports[2].id).device_id == server.id,
                'Nova attaches the port')
            self.delete(server)
            # Nova may have been through with it, or find the server gone.
            failure = attaching.exception(base.TIMEOUT)
        self.assertIsInstance(failure, (type(None), exceptions.HttpException))
        self.eventually(lambda: self.traces() == before, 'nothing is left')

    def new_port(self, number: int, **attributes: Any) -> Any:
        """A port of a network without gateway: the server's own default route stays."""
        cidr = f'10.21{number}.0.0/24'
        network = self.network({'cidr': cidr, 'gateway_ip': None})
        return self.port(network, **attributes)

    def attach(self, server: Any, port: Any, **attributes: Any) -> None:
        self.demo.compute.create_server_interface(server.id, port_id=port.id, **attributes)

    def detach(self, server: Any, port: Any) -> None:
        self.demo.compute.delete_server_interface(port.id, server=server.id)
        self.eventually(lambda: port.id not in {p.id for p in self.ports(server)},
                        'the port is detached')

    def device(self, server: Any) -> Any:
        """The one device that the server's metadata lists; None if it lists none."""
        devices = json.loads(self.metadata(server))['devices']
        return {key: devices[0][key] for key in ('mac', 'tags')} if devices else None

    def metadata(self, server: Any) -> str:
        return self.in_server(
            server, 'curl', '--silent', '--fail', '--retry', '5', '--retry-all-errors',
            'http://169.254.169.254/openstack/latest/meta_data.json')
