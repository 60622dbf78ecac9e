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

"""The listener whole, on an engine that speaks Docker's protocol; the proxy is a socket."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
import types
import uuid

import fixtures
from oslo_config import cfg

from zun_nova import conf
from zun_nova import errors
from zun_nova.tests import fake_engine
from zun_nova.tests import images
from zun_nova.tests import runtime_contract
from zun_nova.tests.unit.runtime import test_docker_contract
from zun_nova.virt import identity
from zun_nova.virt.console import consoles
from zun_nova.virt.console import listener

DEADLINE = 60


class ConsolesTest(runtime_contract.Case):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.set_up_runtime(test_docker_contract.runtime_on(self.fake))
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        self.uuid = str(uuid.uuid4())
        self.options = cfg.ConfigOpts()
        conf.register_opts(self.options)
        self.options.register_opt(cfg.StrOpt('proxyclient_address'), 'serial_console')
        self.options.register_opt(cfg.IntOpt('token_ttl', default=600), 'consoleauth')
        self.options([])
        self.configure(console_port=0)
        self.options.set_override('proxyclient_address', '127.0.0.1', 'serial_console')

    def configure(self, **values):
        for name, value in values.items():
            self.options.set_override(name, value, 'zun_nova')
            # Copies of a group share its options.
            self.addCleanup(self.options.clear_override, name, 'zun_nova')

    def limit(self, **values):
        """Shorter times than those of production."""
        self.useFixture(fixtures.MonkeyPatch(
            'zun_nova.virt.console.listener.Limits',
            lambda *given: LIMITS(*given, **values)))

    def server(self, *args, **changes):
        """A server that runs; its consoles can be reached."""
        self.started(*(args or ('sh',)), name=self.named(self.uuid),
                     **({'tty': True} | changes))
        self.consoles = consoles.Consoles(self.runtime, self.options)
        self.addCleanup(self.consoles.stop)
        return self.consoles.serial(types.SimpleNamespace(uuid=self.uuid))

    def named(self, server):
        name = identity.name_of(server)
        self.addCleanup(self.runtime.remove, name)
        return name

    def connect(self, console, path=None, head=None):
        """What nova-serialproxy does; returns the socket and the first line of the answer."""
        viewer = socket.create_connection((console.host, console.port), DEADLINE)
        self.addCleanup(viewer.close)
        path = console.internal_access_path if path is None else path
        viewer.sendall(head if head is not None else f'CONNECT {path} HTTP/1.1\r\n\r\n'.encode())
        answer = b''
        while not answer.endswith(b'\r\n\r\n'):
            data = viewer.recv(1)
            self.assertTrue(data, answer)
            answer += data
        return viewer, answer.split(b'\r\n')[0].decode()

    def opened(self, console):
        viewer, status = self.connect(console)
        self.assertEqual('HTTP/1.1 200 OK', status)
        return viewer

    def until(self, viewer, wanted):
        """All that is shown until it holds this; None: until the end."""
        seen = b''
        while wanted is None or wanted not in seen:
            data = viewer.recv(65536)
            if not data:
                break
            seen += data
        self.assertTrue(wanted is None or wanted in seen, seen)
        return seen

    def eventually(self, happened):
        deadline = time.monotonic() + DEADLINE
        while not happened():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    # -- who may

    def test_two_at_the_terminal_of_the_process(self):
        console = self.server()
        first, second = self.opened(console), self.opened(console)
        for viewer in (first, second):
            viewer.sendall(b'here')
            self.until(viewer, b'here')
        first.sendall(b'words of the first\n')
        self.until(second, b'words of the first')
        second.sendall(b'words of the second\n')
        self.until(first, b'words of the second')
        for viewer in (first, second):
            viewer.close()
        self.eventually(lambda: self.log.output.count(' closed by 127.0.0.1') == 2)
        for secret in (console.internal_access_path, 'words of', 'CONNECT'):
            self.assertNotIn(secret, self.log.output)

    def test_asked_again(self):
        """As nova-serialproxy does before it connects: the port is compared."""
        console = self.server()
        again = self.consoles.serial(types.SimpleNamespace(uuid=self.uuid))
        self.assertEqual((console.host, console.port), (again.host, again.port))
        self.opened(console)
        self.opened(again)

    def test_nobody_else(self):
        console = self.server()
        path = console.internal_access_path
        for wrong in (path[:-1], path[:-1] + ('0' if path[-1] != '0' else '1'), '/', '/console',
                      path.replace(self.uuid, str(uuid.uuid4()))):
            viewer, status = self.connect(console, wrong)
            self.assertEqual('HTTP/1.1 403 Forbidden', status)
            self.assertEqual(b'', viewer.recv(10))
        for head in (b'GET / HTTP/1.1\r\n\r\n', b'\r\n\r\n', b'\xff\r\n\r\n',
                     b'CONNECT ' + b'x' * 4089):
            _, status = self.connect(console, head=head)
            self.assertEqual('HTTP/1.1 400 Bad Request', status)
        self.assertEqual([], self.fake.engine.execs.all)

    def test_who_says_nothing(self):
        self.limit(head_timeout=0.2)
        _, status = self.connect(self.server(), head=b'CONNECT /con')
        self.assertEqual('HTTP/1.1 400 Bad Request', status)

    def test_a_server_that_is_not_there(self):
        self.server()
        self.assertRaises(errors.NotFound, self.consoles.serial,
                          types.SimpleNamespace(uuid=str(uuid.uuid4())))

    # -- what they get

    def test_a_shell_where_the_process_has_no_terminal(self):
        self.configure(console_shell='/bin/sh')
        viewer = self.opened(self.server(*runtime_contract.SLEEP, tty=False))
        self.eventually(lambda: self.fake.engine.execs.all)
        [known] = self.fake.engine.execs.all
        self.assertEqual((['/bin/sh'], True), (known.argv, known.request['Tty']))
        viewer.close()
        self.eventually(lambda: not known.running)

    def test_an_image_without_a_shell(self):
        self.runtime.load_image([images.archive(
            'zun-test/bare:1', layer=images.tar({'bin/sleep': b''}))], 'zun-test/bare:1')
        viewer = self.opened(self.server(
            *runtime_contract.SLEEP, tty=False, image='zun-test/bare:1'))
        self.assertIn(b"its command 'sh' is not in the image", self.until(viewer, None))

    def test_what_has_stopped_tells_so_and_opens_again(self):
        console = self.server()
        viewer = self.opened(console)
        viewer.sendall(b'x')
        self.until(viewer, b'x')
        name = identity.name_of(self.uuid)
        self.runtime.stop(name, 0)
        self.assertIn(b'What ran in this terminal has ended', self.until(viewer, None))
        self.assertIn(b'is not running', self.until(self.opened(console), None))
        self.runtime.start(name)
        again = self.opened(console)
        again.sendall(b'y')
        self.until(again, b'y')

    # -- how much

    def test_sessions_of_a_server_and_of_the_host(self):
        self.configure(console_sessions_per_server=1, console_sessions=2)
        console = self.server()
        first = self.opened(console)
        first.sendall(b'x')
        self.until(first, b'x')
        self.assertIn(b'as many consoles open as it may', self.until(self.opened(console), None))
        others = []
        for _ in range(2):
            self.uuid = str(uuid.uuid4())
            self.started('sh', name=self.named(self.uuid), tty=True)
            others.append(self.consoles.serial(types.SimpleNamespace(uuid=self.uuid)))
        second = self.opened(others[0])
        second.sendall(b'x')
        self.until(second, b'x')
        self.assertIn(b'This host has as many', self.until(self.opened(others[1]), None))
        second.close()
        self.eventually(lambda: self._is_open(others[1]))

    def test_who_does_not_look_is_sent_away(self):
        self.limit(stalled=0.2)
        console = self.server()
        lazy = self.opened(console)
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        terminal = self.fake.containers[identity.name_of(self.uuid)].terminal

        def sent_away():
            terminal.write(b'x' * 1024 * 1024)
            return 'did not take what was shown' in self.log.output

        self.eventually(sent_away)
        self.opened(console)

    def test_who_does_nothing_is_sent_away(self):
        self.limit(stalled=0.05)
        self.configure(console_idle_timeout=1)
        self.assertIn(b'Nothing happened here for 1 s', self.until(
            self.opened(self.server()), None))

    # -- the listener

    def test_the_end_of_the_service(self):
        console = self.server()
        viewer = self.opened(console)
        viewer.sendall(b'x')
        self.until(viewer, b'x')
        for _ in range(2):
            self.consoles.stop()
        self.assertIn(b'was stopped; connect again', self.until(viewer, None))
        self.assertRaises(OSError, self.connect, console)
        self.consoles.start()

    def test_a_port_that_is_taken(self):
        with contextlib.closing(socket.create_server(('127.0.0.1', 0))) as taken:
            self.configure(console_port=taken.getsockname()[1])
            failure = self.assertRaises(
                errors.ConsoleUnavailable, consoles.Consoles(self.runtime, self.options).start)
        self.assertIn('Address already in use', str(failure))
        self.assertIn('[zun_nova] console_port', str(failure))

    def _is_open(self, console):
        viewer = self.opened(console)
        viewer.sendall(b'z')
        return viewer.recv(1) == b'z'


LIMITS = listener.Limits
