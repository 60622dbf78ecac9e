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

"""What migrating needs, on real Podman."""

from __future__ import annotations

from zun_nova.tests import images
from zun_nova.tests import moves_contract
from zun_nova.tests.functional.runtime import podman_case


class PodmanMovesTest(moves_contract.Layers, podman_case.PodmanTest):

    def test_volumes_of_the_image_go_along(self):
        image = 'zun-test/volume:1'
        self.runtime.load_image([images.busybox(image, Volumes={'/data': {}})], image)
        self.addCleanup(self.runtime.remove_image, image)
        first = self.started('sh', '-c', 'echo 42 > /data/x; echo ready; sleep infinity',
                             image=image)
        self.settled(first, b'ready')
        self.assertEqual(('/data',), self.runtime.inspect(first).volumes)
        self.runtime.stop(first, 0)
        second = self.spec('cat', '/data/x', image=image, volumes_from=first)
        self.runtime.create(second)
        self.runtime.start(second.name)
        self.ended(second.name)
        self.assertEqual(b'42\n', self.runtime.logs(second.name, 100))
