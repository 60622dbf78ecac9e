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

import hashlib
import io
import json
import pathlib
import tarfile
from typing import Any

from oslotest import base
from zun_cloud import image

ENTRIES = [image.directory('tmp', 0o1777), image.file('bin/app', '#!/bin/sh\n', 0o755),
           image.symlink('bin/sh', 'busybox')]


class WriteTest(base.BaseTestCase):

    def write(self, name: str = 'image', **config: Any) -> pathlib.Path:
        path = pathlib.Path(self.create_tempfiles([(name, b'')])[0])
        image.write(path, ENTRIES, config, 'app:1')
        return path

    def members(self, path: pathlib.Path) -> dict[str, bytes]:
        with tarfile.open(path) as archive:
            files = [item for item in archive if item.isfile()]
            return {item.name: archive.extractfile(item).read() for item in files}

    def test_manifest_leads_to_config_and_layer(self) -> None:
        members = self.members(self.write(Cmd=['/bin/app']))
        [manifest] = json.loads(members['manifest.json'])
        config = json.loads(members[manifest['Config']])
        [layer] = manifest['Layers']
        self.assertEqual(['app:1'], manifest['RepoTags'])
        self.assertEqual({'Cmd': ['/bin/app']}, config['config'])
        digest = hashlib.sha256(members[layer]).hexdigest()
        self.assertEqual([f'sha256:{digest}'], config['rootfs']['diff_ids'])

    def test_layer_holds_the_entries(self) -> None:
        members = self.members(self.write())
        [layer] = json.loads(members['manifest.json'])[0]['Layers']
        with tarfile.open(fileobj=io.BytesIO(members[layer])) as archive:
            found = {item.name: item for item in archive}
            self.assertEqual(0o1777, found['tmp'].mode)
            self.assertTrue(found['tmp'].isdir())
            self.assertEqual('busybox', found['bin/sh'].linkname)
            self.assertEqual(b'#!/bin/sh\n', archive.extractfile('bin/app').read())

    def test_equal_images_are_equal_files(self) -> None:
        self.assertEqual(self.write('a').read_bytes(), self.write('b').read_bytes())


class BusyboxTest(base.BaseTestCase):

    def test_applets_become_links(self) -> None:
        # Any program that prints names when asked to --list them will do.
        path = pathlib.Path(self.create_tempfiles(
            [('busybox', b'#!/bin/sh\nprintf "busybox\\nls\\nsh\\n"\n')], ext='')[0])
        path.chmod(0o755)
        found = {entry.path: entry for entry in image.busybox_entries(path, 'script')}
        self.assertEqual('busybox', found['bin/ls'].link)
        self.assertIsNotNone(found['bin/busybox'].data)
        self.assertEqual(b'script', found['bin/hello'].data)
