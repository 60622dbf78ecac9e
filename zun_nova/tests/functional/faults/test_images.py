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
import pathlib

from zun_nova.tests import hostile
from zun_nova.tests.functional.faults import base

ENGINE = 'dockerd-1'
#: Of zeros that the engine unpacks; it is killed long before it has them all.
BYTES = 1024 ** 3
MIB = 1024 ** 2


class ImageTest(base.FaultsTest):

    def test_engine_dies_while_it_loads(self) -> None:
        traces, stored = self.traces(), self.stored_images()
        unpacked = pathlib.Path(self.compute.engine.info()['DockerRootDir'], 'tmp')
        image = self.upload(self.slow())
        server = self.request(image)
        self.eventually(lambda: any(unpacked.glob('docker-import-*/*')), 'the image comes')
        self.kill(ENGINE)
        self.eventually(lambda: self.admin.compute.get_server(server.id).status == 'ERROR',
                        'the server is in ERROR')
        # Nova knows no more than that there was one host to try, so the driver tells.
        [message] = [action.message for action in self.demo.compute.server_actions(server.id)
                     if action.action == 'build_failed']
        self.assertIn(f'Cannot load image zun-nova/glance:{image.id}', message)
        self.assertIn('no engine answers', message)
        self.start(ENGINE)
        self.assertEqual(stored, self.stored_images())
        self.delete(server)
        self.assertEqual(set(), self.traces() - traces)
        self.eventually(self.takes_servers, 'the host takes servers')
        self.boot()

    def takes_servers(self) -> bool:
        [service] = self.admin.compute.services(binary='nova-compute', host=self.compute.name)
        return bool(service.status == 'enabled' and service.state == 'up')

    @staticmethod
    def slow() -> bytes:
        """An image that takes an engine seconds, in a few KiB."""
        zeros = gzip.compress(bytes(MIB)) * (BYTES // MIB)
        return gzip.compress(hostile.member('zeros', size=BYTES)) + zeros + gzip.compress(
            hostile.good())
