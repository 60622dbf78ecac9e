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

"""Floating IPs: bulk data in both directions, not only a ping."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import requests

from zun_nova.tests.functional.cloud import networks

SIZE = 20 * 1024 * 1024

WEB = f"""
mkdir -p /tmp/www
dd if=/dev/zero of=/tmp/www/big bs=1024 count={SIZE // 1024}
httpd -p 80 -h /tmp/www
sleep 1000
"""

#: Sends ARGV[3] bytes to port ARGV[2] of ARGV[1].
SEND = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as connection:
    connection.sendall(bytes(int(sys.argv[3])))
"""


class FloatingIPTest(networks.NetworkCase):

    def test_bulk_in_and_out(self) -> None:
        server = self.boot(self.image(WEB))
        url = f'http://{self.floating_ip(server)}/big'
        self.change_router()
        self.eventually(lambda: self.size_of(url) == SIZE, 'the whole file comes')
        self.assertEqual(SIZE, self.receive_from(server))

    def change_router(self) -> None:
        """Have Neutron write the router's ports to OVN again."""
        router = self.demo.network.find_router('router1', ignore_missing=False)
        network = self.network({'cidr': '10.210.0.0/24'})
        subnet = self.subnet(network, '10.210.0.0/24')
        self.demo.network.add_interface_to_router(router, subnet_id=subnet.id)
        self.demo.network.remove_interface_from_router(router, subnet_id=subnet.id)

    def size_of(self, url: str) -> int:
        """How much comes within a hundred times what it takes.

        That is far too short where only single segments get through.
        """
        deadline = time.monotonic() + 10
        size = 0
        try:
            with requests.get(url, timeout=2, stream=True) as answer:
                answer.raise_for_status()
                for part in answer.iter_content(65536):
                    size += len(part)
                    if time.monotonic() > deadline:
                        break
        except requests.RequestException:
            return 0
        return size

    def receive_from(self, server: Any) -> int:
        """Bytes that reach this machine from the server through the router."""
        address = self.settings.external_address
        received = []
        with socket.create_server((address, 0)) as listener:
            listener.settimeout(30)

            def receive() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(30)
                    while data := connection.recv(65536):
                        received.append(len(data))

            thread = threading.Thread(target=receive)
            thread.start()
            self.in_server(server, 'timeout', '30', 'python3', '-c', SEND, address,
                           str(listener.getsockname()[1]), str(SIZE))
            thread.join(30)
        return sum(received)
