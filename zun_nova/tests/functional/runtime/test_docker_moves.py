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

"""What resizing and migrating needs, on real Docker."""

from __future__ import annotations

import dataclasses

import docker

from zun_nova.tests import images
from zun_nova.tests import moves_contract
from zun_nova.tests.functional.runtime import docker_case

_MIB = 1024 ** 2


class DockerMovesTest(moves_contract.Moves, docker_case.DockerTest):

    def setUp(self):
        super().setUp()
        self.client = docker.APIClient(base_url=self.engine.url, version='auto')
        self.addCleanup(self.client.close)

    def test_the_process_sees_its_new_limit(self):
        name = self.started('sh', '-c', (
            'while sleep 0.2; do cat /sys/fs/cgroup/memory/memory.limit_in_bytes '
            '/sys/fs/cgroup/memory.max; done 2>/dev/null'))
        limits = self.spec(name=name).limits
        self.settled(name, str(limits.memory_bytes).encode())
        self.runtime.update_limits(name, dataclasses.replace(
            limits, memory_bytes=128 * _MIB, memory_swap_bytes=128 * _MIB))
        self.settled(name, str(128 * _MIB).encode())

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
        for remove in (True, False):
            self.runtime.create(second)
            self.runtime.start(second.name)
            self.ended(second.name)
            self.assertEqual(b'42\n', self.runtime.logs(second.name, 100))
            if remove:   # the volume stays with the other
                self.runtime.remove(second.name)
        self.runtime.remove(first)
        self.runtime.start(second.name)
        self.ended(second.name)
        self.assertEqual(b'42\n42\n', self.runtime.logs(second.name, 100))
        [volume] = self.client.inspect_container(second.name)['Mounts']
        self.runtime.remove(second.name)
        left = [each['Name'] for each in self.client.volumes()['Volumes'] or ()]
        self.assertNotIn(volume['Name'], left)
