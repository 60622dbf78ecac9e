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

"""nova-compute is killed between any two steps of making, of copying and of removing a server.

Only the driver, on a real engine and a real switch; tests with a whole cloud
are in test_compute.py.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import itertools
import json
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any
import unittest

import docker.errors
from oslo_utils import uuidutils

from zun_nova.tests import images
from zun_nova.tests.functional import engine
from zun_nova.tests.functional.faults import killed
from zun_nova.tests.functional.vif import hosts
from zun_nova.virt import rescue_root

_SKIP = hosts.missing() or images.why_no_busybox()
TIMEOUT = 180
KILLED = -signal.SIGKILL
#: What Nova's database says of the server when nova-compute runs again.
RECORDS = ('here', 'deleted')


class KilledCase(unittest.TestCase):
    """A test with a host and an engine of its own, and a program that can be killed."""

    module = killed.__name__

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if _SKIP:
            raise unittest.SkipTest(_SKIP)
        cls.engine = engine.for_class(cls)
        if not cls.engine.owned:
            raise unittest.SkipTest('counts all that an engine has, so it needs one of its own')

    def setUp(self) -> None:
        super().setUp()
        self.host = hosts.Host()
        self.host.setUp()
        self.addCleanup(self.host.cleanUp)
        self.directory = self.engine.data.parent
        self.image = self.directory / 'image.tar'
        self.image.write_bytes(images.busybox('theirs:latest'))
        self.client = self.engine.client()
        self.addCleanup(self.engine.clean)
        self.instances = self.directory / 'instances'
        # What is kept for all servers, whether any was ever rescued or could have volumes.
        for name in (rescue_root.DIRECTORY, 'volumes'):
            (self.instances / 'zun_nova' / name / killed.HOST).mkdir(parents=True, exist_ok=True)
        self.program = self.start(self.engine)
        self.number = itertools.count(1)

    def start(self, its_engine: Any) -> subprocess.Popen[str]:
        """A program for the host that this thread is on."""
        program = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', self.module, its_engine.url,
             'tcp:127.0.0.1:6640', str(self.instances)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(program.communicate, timeout=TIMEOUT)
        return program

    def do(self, command: str, server: dict[str, str], **more: Any) -> dict[str, Any]:
        self.program.stdin.write(json.dumps(
            {'do': command, 'server': server, 'image': str(self.image), **more}) + '\n')
        self.program.stdin.flush()
        return json.loads(self.program.stdout.readline())

    def done(self, command: str, server: dict[str, str], **more: Any) -> None:
        """Do it with nobody who kills."""
        self.assertEqual(0, self.do(command, server, **more)['end'], command)

    def new_server(self) -> dict[str, str]:
        return {'uuid': uuidutils.generate_uuid(), 'port': uuidutils.generate_uuid(),
                'mac': f'fa:16:3e:00:00:{next(self.number):02x}'}

    def traces(self) -> dict[str, set[str]]:
        """All that servers consist of, after images were removed."""
        self.forget_images()
        mounts = pathlib.Path('/proc/self/mountinfo').read_text().splitlines()
        return {
            'container': {row['Id'] for row in self.client.containers(all=True)},
            'image': {image['Id'] for image in self.client.images()},
            'port': set(self.host.ports()),
            'link': set(self.host.links()),
            'mount': {line.split()[4] for line in mounts if str(self.directory) in line},
            'file': {str(path) for name in ('tmp', 'containers', 'overlay2')
                     for path in (self.engine.data / name).iterdir()} | {
                         str(path) for path in self.instances.rglob('*')},
        }

    def forget_images(self) -> None:
        for image in self.client.images():
            with contextlib.suppress(docker.errors.APIError):
                self.client.remove_image(image['Id'], force=True)

    def recover(self, server: dict[str, str], record: str, before: Any, what: str) -> None:
        """Have new drivers do what Nova does next, until nothing is left."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            # More than once, for the engine may still be doing what it was asked in vain.
            self.done('recover', server, record=record)
            after = self.traces()
            if after == before:
                return
            if time.monotonic() > deadline:
                self.assertEqual(before, after, what)
            record = 'deleted' if record == 'here' else record
            time.sleep(0.2)

    def eventually(self, happened: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not happened():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.1)


class TestKilled(KilledCase):

    def test_spawn(self) -> None:
        before = self.traces()
        for number, record in enumerate(itertools.cycle(RECORDS), 1):
            server = self.new_server()
            answer = self.do('spawn', server, kill_at=number)
            what = f'{answer}; then the server is {record}'
            self.recover(server, record, before, what)
            if answer['end'] != KILLED:   # it came to its end before
                break
        self.assertEqual(0, answer['end'], what)
        self.assertGreater(number, 25)

    def test_snapshot(self) -> None:
        """The server runs on as it was, and nothing of the snapshot is left on the host."""
        before = self.traces()
        server = self.new_server()
        self.done('spawn', server)
        name = f'nova-{server["uuid"]}'
        running = self.client.inspect_container(name)['State']
        images = self.image_names()
        for number in itertools.count(1):
            answer = self.do('snapshot', server, kill_at=number)
            # The engine goes on with what it was asked, and lets the server go on then.
            self.eventually(lambda: self.client.inspect_container(name)['State'] == running,
                            f'it runs on after {answer}')
            deadline = time.monotonic() + TIMEOUT
            while True:
                self.done('clean', server)
                left = self.image_names()
                if left == images:
                    break
                self.assertLess(time.monotonic(), deadline, f'{answer} leaves {left - images}')
                time.sleep(0.2)
            if answer['end'] != KILLED:
                break
        self.assertEqual(0, answer['end'], answer)
        self.assertGreater(number, 8)
        self.recover(server, 'here', before, 'snapshots')

    def image_names(self) -> set[str]:
        return {tag or row['Id'] for row in self.client.images(all=True)
                for tag in row['RepoTags'] or [None]}

    def test_build_that_could_not_be_cleaned_up(self) -> None:
        """As when the engine is away just then, and Nova builds the server on another host."""
        before = self.traces()
        server = self.new_server()
        self.done('spawn', server)
        self.recover(server, 'elsewhere', before, 'not cleaned up')

    def test_destroy(self) -> None:
        before = self.traces()
        for number, record in enumerate(itertools.cycle(RECORDS), 1):
            server = self.new_server()
            self.done('spawn', server)
            answer = self.do('destroy', server, kill_at=number)
            what = f'{answer}; then the server is {record}'
            self.recover(server, record, before, what)
            if answer['end'] != KILLED:
                break
        self.assertEqual(0, answer['end'], what)
        self.assertGreater(number, 8)

    def containers(self) -> set[str]:
        return {row['Id'] for row in self.client.containers(all=True)}

    def container(self, server: dict[str, str]) -> tuple[str, bool]:
        """The one its user is in: the engine's id, and whether it runs."""
        info = self.client.inspect_container(f'nova-{server["uuid"]}')
        return info['Id'], info['State']['Running']

    def finish(self, command: str, server: dict[str, str], own: tuple[str, bool],
               what: Any) -> None:
        """Have new drivers do what is left, until the server is as it was."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            # More than once, for the engine may still be stopping or making a container.
            self.done(command, server)
            if self.container(server) == own:
                return
            if time.monotonic() > deadline:
                self.assertEqual(own, self.container(server), what)
            time.sleep(0.2)

    def test_rebuild(self) -> None:
        """The next rebuild makes the server whole, with the network it had."""
        before = self.traces()
        server = self.new_server()
        self.done('spawn', server)
        namespace = self.client.inspect_container(f'nova-{server["uuid"]}-net')['Id']
        for number in itertools.count(1):
            answer = self.do('rebuild', server, kill_at=number)
            if answer['end'] != KILLED:
                break
            self.done('rebuild', server)
            self.assertTrue(self.container(server)[1], answer)
        self.assertEqual(0, answer['end'], answer)
        self.assertGreater(number, 8)
        self.assertEqual(
            namespace, self.client.inspect_container(f'nova-{server["uuid"]}-net')['Id'])
        self.recover(server, 'here', before, 'rebuilt often')

    def test_rescue(self) -> None:
        """The server is as it was."""
        before = self.traces()
        server = self.new_server()
        self.done('spawn', server)
        own = self.container(server)
        whole = self.containers()
        for number in itertools.count(1):
            answer = self.do('rescue', server, kill_at=number)
            if answer['end'] != KILLED:
                break
            self.finish('finish_rescue', server, own, answer)
            self.assertEqual(whole, self.containers(), answer)
        self.assertEqual(0, answer['end'], answer)
        self.assertGreater(number, 8)
        self.recover(server, 'here', before, 'deleted while it was rescued')

    def test_end_of_rescue(self) -> None:
        before = self.traces()
        server = self.new_server()
        self.done('spawn', server)
        own = self.container(server)
        for number in itertools.count(1):
            self.done('rescue', server)
            answer = self.do('unrescue', server, kill_at=number)
            if answer['end'] != KILLED:
                break
            self.finish('finish_unrescue', server, own, answer)
        self.assertEqual(0, answer['end'], answer)
        self.assertGreater(number, 4)
        self.assertEqual(own, self.container(server))
        self.recover(server, 'here', before, 'rescued often')
