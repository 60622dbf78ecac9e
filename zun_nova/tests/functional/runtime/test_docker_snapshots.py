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

"""Snapshots on real Docker."""

from __future__ import annotations

import os

from zun_nova import errors
from zun_nova.tests import images
from zun_nova.tests import runtime_contract
from zun_nova.tests import snapshots_contract
from zun_nova.tests.functional import engine
from zun_nova.tests.functional.runtime import docker_case
from zun_nova.virt.runtime import base

MIB = runtime_contract.MIB


class DockerSnapshotsTest(snapshots_contract.Snapshots, docker_case.DockerTest):

    def test_user_directory_and_environment_are_kept(self):
        before, after = self.again(
            command=('sh', '-c'), args=('echo $A; id -u; pwd',), env={'A': 'b c'}, user='user',
            working_dir='/tmp')
        self.assertEqual(b'b c\n1000\n/tmp\n', before)
        self.assertEqual(before, after)

    def test_what_an_image_would_lack(self):
        reference = 'zun-test/volume:1'
        self.addCleanup(self.runtime.remove_image, reference)
        self.runtime.load_image(
            [images.busybox(reference, Volumes={'/data': {}})], reference)
        name = self.created(*runtime_contract.SLEEP, image=reference)
        self.assertIn('keeps /data in a volume', str(
            self.assertRaises(errors.Unsupported, self.committed, name)))


class DiskFullTest(docker_case.DockerTest):
    """The container runs on, and nothing is left of what could not be made."""

    @classmethod
    def new_engine(cls):
        return engine.for_class(cls, data_bytes=96 * MIB)

    def setUp(self):
        super().setUp()
        if not self.engine.owned:
            self.skipTest('the engine at ZUN_TEST_DOCKER_URL is not ours to fill')

    def writer(self, mib: int) -> str:
        """A container that has written so much, and runs."""
        name = self.started('sh', '-c', f'dd if=/dev/urandom of=/noise bs=1M count={mib}; '
                            'echo ready; sleep infinity')
        self.settled(name, b'ready')
        return name

    def traces(self):
        data = self.engine.data
        return {row['Id'] for row in self.engine.client().images(all=True)} | {
            str(data / path / name) for path in ('tmp', 'overlay2') if (data / path).exists()
            for name in os.listdir(data / path)}

    def test_while_an_image_is_made(self):
        name = self.writer(60)
        before = self.traces()
        self.assertIn('no space left on device', str(self.assertRaises(
            errors.EngineError, self.runtime.commit, name, 'zun-test/full:1', True,
            snapshots_contract.TIMEOUT)))
        self.assertEqual(base.State.RUNNING, self.runtime.inspect(name).state)
        self.assertEqual(before, self.traces())

    def test_while_it_is_saved(self):
        name = self.writer(33)
        before = self.traces()
        reference = 'zun-test/full:2'
        self.runtime.commit(name, reference, True, snapshots_contract.TIMEOUT)
        with self.assertRaisesRegex(errors.EngineError, 'no space left on device'):
            with self.runtime.save_image(reference, snapshots_contract.TIMEOUT) as pieces:
                for _ in pieces:
                    pass
        self.runtime.remove_image(reference)
        self.assertEqual(base.State.RUNNING, self.runtime.inspect(name).state)
        self.assertEqual(before, self.traces())
