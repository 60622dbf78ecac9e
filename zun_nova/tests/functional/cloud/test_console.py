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

"""Serial consoles, through the unmodified nova-serialproxy."""

from __future__ import annotations

import socket
from typing import Any

import websocket

from zun_nova.tests.functional.cloud import base


class ConsoleTest(base.CloudTest):

    def test_terminal_of_the_process(self) -> None:
        server = self.boot(self.image('exec sh'), metadata={'container:tty': 'true'})
        url = self.url(server)
        first, second = self.open(url), self.open(self.url(server))
        for viewer in (first, second):
            viewer.send_binary(b'\n')
            self.until(viewer, b'# ')
        first.send_binary(b'echo sum-$((40+2))\n')
        for viewer in (first, second):
            self.until(viewer, b'sum-42')
        self.assert_refused(url[:-1] + ('0' if url[-1] != '0' else '1'))
        self.assertIn(b' 403 ', self.knock(server))

        self.demo.compute.reboot_server(server, 'HARD')
        self.wait_status(server, 'ACTIVE')
        for viewer in (first, second):
            self.assertIn(b'What ran in this terminal has ended', self.until(viewer, None))
        again = self.open(url)
        again.send_binary(b'echo again-$((40+2))\n')
        self.until(again, b'again-42')

    def test_shell_beside_a_process_without_terminal(self) -> None:
        server = self.boot(self.image('trap "exit 0" TERM; sleep 100000 & wait'))
        viewer = self.open(self.url(server))
        viewer.send_binary(b'stty size; sleep 4323 & echo $((40+2))-begun\n')
        self.assertIn(b'24 80', self.until(viewer, b'42-begun'))
        self.assertIn('sleep 4323', self.processes(server))
        viewer.close()
        self.eventually(lambda: '4323' not in self.processes(server), 'the shell is gone')

        log = (self.settings.directory('log') / 'nova-compute-1.log').read_text(errors='replace')
        self.assertIn(f'Serial console of server {server.id} opened by', log)
        self.assertNotIn(f'/console/{server.id}', log)
        self.demo.compute.stop_server(server)
        self.wait_status(server, 'SHUTOFF')
        self.assertIn(b'is not running', self.until(self.open(self.url(server)), None))

    def url(self, server: Any) -> str:
        return str(self.demo.compute.create_console(server, 'serial')['url'])

    def open(self, url: str) -> websocket.WebSocket:
        viewer = websocket.create_connection(
            url, timeout=base.TIMEOUT, subprotocols=['binary'], suppress_origin=True)
        self.addCleanup(viewer.close)
        return viewer

    def until(self, viewer: websocket.WebSocket, wanted: bytes | None) -> bytes:
        """All that is shown until it holds this; None: until the end."""
        seen = b''
        while wanted is None or wanted not in seen:
            opcode, data = viewer.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                break
            seen += data
        self.assertTrue(wanted is None or wanted in seen, seen)
        return seen

    def assert_refused(self, url: str) -> None:
        """The proxy may say so before or after it has become a WebSocket."""
        try:
            seen = self.until(self.open(url), None)
        except websocket.WebSocketTimeoutException:
            self.fail('the proxy keeps the connection open')
        except (websocket.WebSocketException, ConnectionError):
            return
        self.assertEqual(b'', seen)

    def knock(self, server: Any) -> bytes:
        """What the compute host answers to who knows all but the secret."""
        number = int(self.host_of(server).name.removeprefix('compute'))
        path = f'/console/{server.id}/99999999-{"0" * 64}'
        with socket.create_connection((self.settings.management_address(number),
                                       self.settings.port('console')), base.TIMEOUT) as caller:
            caller.sendall(f'CONNECT {path} HTTP/1.1\r\n\r\n'.encode())
            return caller.recv(100)

    def processes(self, server: Any) -> str:
        rows = self.host_of(server).engine.top(f'nova-{server.id}')['Processes']
        return '\n'.join(row[-1] for row in rows)
