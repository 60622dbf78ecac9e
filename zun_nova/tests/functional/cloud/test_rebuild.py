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

"""Making a server again from an image, through the API."""

from __future__ import annotations

import base64
from typing import Any

from zun_nova.tests.functional.cloud import base
from zun_nova.virt import identity

#: Says which image it is of, what its owner wants, and whether anything was kept.
SCRIPT = """
test -e /written && echo "kept what was written"
touch /written
echo "{word} for $WHO on $(hostname)"
trap 'exit 0' TERM
while :; do sleep 0.1; done
"""


class RebuildTest(base.CloudTest):

    def rebuild(self, server: Any, image: Any, status: str = 'ACTIVE', **changes: Any) -> Any:
        self.demo.compute.rebuild_server(server.id, image=image.id, **changes)
        return self.wait_status(server, status)

    def document(self, who: str) -> str:
        return base64.b64encode(f'#container-config\nenv: {{WHO: {who}}}\n'.encode()).decode()

    def port(self, server: Any) -> Any:
        port, = self.demo.network.ports(device_id=server.id)
        return port.id, port.mac_address, port.fixed_ips

    def network(self, server: Any) -> str:
        """What holds the server's network open."""
        return str(self.host_of(server).engine.inspect_container(
            f'{identity.name_of(server.id)}-net')['Id'])

    def reaches_its_gateway(self, server: Any) -> None:
        gateway = self.in_server(server, 'ip', '-4', 'route', 'show', 'default').split()[2]
        self.in_server(server, 'ping', '-c', '1', '-W', '5', gateway)

    def test_same_and_other_image(self) -> None:
        first = self.image(SCRIPT.format(word='first'))
        server = self.boot(first, user_data=self.document('one'))
        self.console_with(server, 'first for one')
        port, network = self.port(server), self.network(server)
        old = self.container(server)['Id']

        self.rebuild(server, first, user_data=self.document('two'))
        said = self.console_with(server, 'first for two')
        self.assertNotIn('kept what was written', said)
        self.assertNotEqual(old, self.container(server)['Id'])
        self.assertEqual((port, network), (self.port(server), self.network(server)))
        self.reaches_its_gateway(server)

        # Of a stopped server, which stays so.
        self.demo.compute.stop_server(server.id)
        self.wait_status(server, 'SHUTOFF')
        second = self.image(SCRIPT.format(word='second'))
        server = self.rebuild(server, second, 'SHUTOFF', hostname='renamed')
        self.assertEqual(second.id, server.image.id)
        self.demo.compute.start_server(server.id)
        self.wait_status(server, 'ACTIVE')
        self.console_with(server, 'second for two on renamed')
        self.assertEqual(port, self.port(server))
        self.reaches_its_gateway(server)

    def test_image_that_cannot_run(self) -> None:
        """The server keeps its ports, and is rebuilt from another image."""
        image, before = self.image(SCRIPT.format(word='good')), self.traces()
        server = self.boot(image, user_data=self.document('me'))
        port = self.port(server)
        bad = self.image('', config={'Cmd': ['/bin/nothing']})
        self.demo.compute.rebuild_server(server.id, image=bad.id)
        self.assertIn("'/bin/nothing' is not in the image", self.fault(server))
        self.assertEqual(port, self.port(server))
        self.rebuild(server, image)
        self.console_with(server, 'good for me')
        self.assertEqual(port, self.port(server))
        self.reaches_its_gateway(server)
        self.demo.compute.rebuild_server(server.id, image=bad.id)
        self.fault(server)
        self.delete(server)
        self.nothing_left(before)
