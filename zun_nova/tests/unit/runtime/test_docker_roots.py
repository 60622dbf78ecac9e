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

from oslotest import base

from zun_nova import errors
from zun_nova.virt.runtime import docker_roots
from zun_nova.virt.runtime import roots

DATA = {'LowerDir': '/d/b-init/diff:/d/a/diff', 'UpperDir': '/d/b/diff',
        'WorkDir': '/d/b/work', 'MergedDir': '/d/b/merged'}


class LayersTest(base.BaseTestCase):

    def test_overlay2(self) -> None:
        self.assertEqual(
            roots.Layers(('/d/b-init/diff', '/d/a/diff'), '/d/b/diff', '/d/b/work'),
            docker_roots.layers({'GraphDriver': {'Name': 'overlay2', 'Data': DATA}}))

    def test_others(self) -> None:
        for graph in ({'Name': 'btrfs', 'Data': None}, {'Name': 'overlay2', 'Data': None},
                      {'Name': 'vfs', 'Data': {}}, None):
            with self.subTest(graph=graph):
                self.assertRaisesRegex(errors.Unsupported, 'only overlay2',
                                       docker_roots.layers, {'GraphDriver': graph})
