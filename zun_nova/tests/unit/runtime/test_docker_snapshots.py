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

"""Snapshots on the fake engine, and what only a fake can be made to do."""

from __future__ import annotations

from zun_nova import errors
from zun_nova.tests import fake_engine
from zun_nova.tests import runtime_contract
from zun_nova.tests import snapshots_contract
from zun_nova.tests.unit.runtime import test_docker_contract


class DockerSnapshotsTest(snapshots_contract.Snapshots):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.set_up_runtime(test_docker_contract.runtime_on(self.fake))

    def test_labels_of_the_image_stay(self):
        image = self.fake.engine.images.find(runtime_contract.IMAGE)
        image.config = image.config | {'Labels': {'a': 'of the image', 'b': 'of the image'}}
        name = self.created(*runtime_contract.SLEEP, labels={'b': 'own', 'c': 'own'})
        made = self.fake.engine.images.find(self.committed(name))
        self.assertEqual({'a': 'of the image', 'b': 'of the image', 'c': ''},
                         made.config['Labels'])

    def test_what_would_not_be_in_the_image(self):
        name = self.created(*runtime_contract.SLEEP)
        container = self.fake.containers[name]
        container.mounts = [{'Type': 'bind', 'Destination': '/a'},
                            {'Type': 'volume', 'Destination': '/data'}]
        self.assertIn('/data', str(self.assertRaises(errors.Unsupported, self.committed, name)))
        container.mounts = []
        container.host_config['Runtime'] = 'runsc'
        self.committed(name)
        container.put['/.gvisor.filestore.1'] = b''
        self.assertIn('--overlay2=none', str(
            self.assertRaises(errors.Unsupported, self.committed, name)))

    def test_the_engine_is_slow(self):
        name = self.created(*runtime_contract.SLEEP)
        self.fake.fail_next('POST', '/commit', delay=1)
        self.assertRaises(
            errors.EngineTimeout, self.runtime.commit, name, 'zun-test/x:1', True, .1)
        reference = self.committed(name)
        self.fake.fail_next('GET', f'/images/{reference}/get', delay=1)
        with self.assertRaises(errors.EngineTimeout):
            with self.runtime.save_image(reference, .1):
                self.fail('nothing to read')
