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

from __future__ import annotations

import gzip
import os
import pathlib
from typing import Any

from zun_nova.tests import hostile
from zun_nova.tests.functional.faults import base

ENGINE = 'dockerd-1'
GLANCE = 'glance'
#: Of zeros that the engine gets first; what is to fail does so long before it has them all.
BYTES = 4 * 1024 ** 3
MIB = 1024 ** 2


class ImageTest(base.FaultsTest):
    """What dies in the middle of an image; nothing of the image stays in the engine."""

    def setUp(self) -> None:
        super().setUp()
        self.before = self.traces(), self.stored_images()
        self.unpacked = pathlib.Path(self.compute.engine.info()['DockerRootDir'], 'tmp')

    def test_engine(self) -> None:
        image = self.slow()
        server = self.request(image)
        self.eventually(self.arrives, 'the engine gets it')
        self.kill(ENGINE)
        self.wait_status(server, 'ERROR')
        # Nova may know no more than that there was one host to try, so the driver tells.
        [message] = [action.message for action in self.demo.compute.server_actions(server.id)
                     if action.action == 'build_failed']
        self.assertIn(f'Cannot load image zun-nova/glance:{image.id}', message)
        self.assertIn('no engine answers', message)
        self.start(ENGINE)
        self.eventually(self.takes_servers, 'the host takes servers')
        self.assert_as_before(server)

    def test_glance(self) -> None:
        server = self.request(self.slow())
        self.eventually(self.arrives, 'the engine gets it')
        self.kill(GLANCE)
        self.assertIn('cannot be fetched', self.fault(server))
        self.start(GLANCE)
        self.assert_as_before(server)

    def slow(self) -> Any:
        """An image that takes an engine seconds, and of which Glance still has the end then."""
        # Several times what the buffers of both sockets hold (tcp_rmem and tcp_wmem).
        noise = hostile.member('noise', os.urandom(MIB) * 256)
        zeros = gzip.compress(bytes(MIB)) * (BYTES // MIB)
        return self.upload(
            gzip.compress(hostile.member('zeros', size=BYTES)) + zeros + gzip.compress(
                hostile.good(noise), compresslevel=0))

    def arrives(self) -> bool:
        return any(self.unpacked.glob('docker-import-*/*'))

    def takes_servers(self) -> bool:
        [service] = self.admin.compute.services(binary='nova-compute', host=self.compute.name)
        return bool(service.status == 'enabled' and service.state == 'up')

    def assert_as_before(self, server: Any) -> None:
        """Nothing is left of the server and its image, and others can be booted."""
        self.delete(server)
        traces, stored = self.before
        self.assertEqual(set(), self.traces() - traces)
        self.assertEqual(stored, self.stored_images())
        self.eventually(lambda: not self.arrives(), 'the engine has removed what it had')
        self.boot()
