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

import io
import json
import tarfile
from typing import Any

import testtools

from zun_nova.tests import images
from zun_nova.tests import oci
from zun_nova.virt import archive
from zun_nova.virt import snapshot_archive

MAX = 1024 ** 3
LAYER = images.tar({'etc/file': b'content'})
SECRET = 'of-the-host'


def saved(config: dict[str, Any] | None = None, **more: Any) -> bytes:
    """What Docker 20.10 saves."""
    with tarfile.open(fileobj=io.BytesIO(
            images.archive(f'{SECRET}/snapshot:1', config, LAYER))) as tar:
        found = {each.name: tar.extractfile(each).read() for each in tar}
    [config_name] = [name for name in found if name not in ('layer.tar', 'manifest.json')]
    document = json.loads(found[config_name]) | {
        'container': SECRET, 'docker_version': SECRET,
        'container_config': {'Labels': {'org.openstack.nova.host': SECRET}}, **more}
    return images.tar({
        'aaa': None, 'aaa/VERSION': b'1.0', 'aaa/json': json.dumps({'id': SECRET}).encode(),
        'aaa/layer.tar': found['layer.tar'], config_name: json.dumps(document).encode(),
        'manifest.json': found['manifest.json'].replace(b'layer.tar', b'aaa/layer.tar'),
        'repositories': json.dumps({SECRET: {'1': 'x'}}).encode()})


def portable(data: bytes, size: int = 1000) -> bytes:
    pieces = (data[at:at + size] for at in range(0, len(data), size))
    return b''.join(snapshot_archive.portable(pieces, MAX))


def read(data: bytes) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Its files, and the configuration of its image."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {each.name: tar.extractfile(each).read() for each in tar}
    [image] = json.loads(found['manifest.json'])
    return found, json.loads(found[image['Config']])


class PortableTest(testtools.TestCase):

    def test_nothing_of_the_host_leaves(self) -> None:
        labels = {'org.openstack.nova.host': SECRET, 'org.openstack.nova.project_id': '',
                  'maintainer': 'me'}
        data = portable(saved({
            'Labels': labels, 'Hostname': SECRET, 'Image': SECRET, 'Cmd': ['sh'],
            'Env': ['A=1'], 'User': 'user', 'WorkingDir': '/x', 'StopSignal': 'SIGUSR1'}))
        self.assertNotIn(SECRET.encode(), data)
        found, config = read(data)
        self.assertEqual({
            'Labels': {'maintainer': 'me'}, 'Cmd': ['sh'], 'Env': ['A=1'], 'User': 'user',
            'WorkingDir': '/x', 'StopSignal': 'SIGUSR1'}, config['config'])
        self.assertEqual(LAYER, found['aaa/layer.tar'])
        self.assertIsNone(json.loads(found['manifest.json'])[0]['RepoTags'])

    def test_our_own_loader_takes_it(self) -> None:
        for data in (saved(), self.layout()):
            loaded = b''.join(archive.renamed([portable(data)], 'zun-nova/glance:1'))
            [image] = json.loads(read(loaded)[0]['manifest.json'])
            self.assertEqual(['zun-nova/glance:1'], image['RepoTags'])

    @staticmethod
    def layout() -> bytes:
        """What newer engines save."""
        layout = oci.Layout()
        entry = layout.image(LAYER, config={'Cmd': ['sh']})
        return layout.tar(entry)

    def test_a_layer_that_looks_like_json_is_a_layer(self) -> None:
        layer = images.tar({'{"a": 1}': b''})
        data = images.archive('x:1', layer=layer)
        self.assertEqual(layer, read(portable(data))[0]['layer.tar'])

    def test_what_the_engine_breaks_off(self) -> None:
        data = saved()
        for end in (100, 1536, len(data) // 2, len(data) - 4000):
            self.assertRaises(snapshot_archive.BadArchive, portable, data[:end])
            # Docker says so in the place of data.
            self.assertRaises(snapshot_archive.BadArchive, portable,
                              data[:end] + b'{"error": "no space left on device"}')

    def test_damaged_layer(self) -> None:
        data = saved().replace(b'content', b'c0ntent')
        self.assertIn('layer 1', str(self.assertRaises(
            snapshot_archive.BadArchive, portable, data)))

    def test_larger_than_what_may_be_booted(self) -> None:
        failure = self.assertRaises(snapshot_archive.BadArchive, self.drain, 1000)
        self.assertIn('more than', str(failure))

    @staticmethod
    def drain(max_bytes: int) -> None:
        for _ in snapshot_archive.portable([saved()], max_bytes):
            pass
