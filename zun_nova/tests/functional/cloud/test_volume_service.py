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
"""Volumes without a server: the standalone cloud's Cinder."""

from __future__ import annotations

import pathlib
import subprocess
from typing import Any
import uuid

from zun_nova.tests.functional.cloud import base


class VolumeServiceTest(base.CloudTest):

    def setUp(self) -> None:
        super().setUp()
        if 'cinder' not in self.settings.extras:
            self.skipTest('the cloud has no Cinder: up --with cinder')
        self.storage = self.demo.block_storage
        self.share = pathlib.Path(self.settings.data, 'cinder/share')

    def volume(self, **attributes: Any) -> Any:
        """A volume of 1 GB that is available."""
        made = self.storage.create_volume(
            name=f'test-{uuid.uuid4().hex[:8]}', size=1, **attributes)
        self.addCleanup(self.remove, 'volume', made)
        return self.available('volume', made)

    def available(self, kind: str, made: Any) -> Any:
        return self.storage.wait_for_status(
            getattr(self.storage, f'get_{kind}')(made.id), 'available', ['error'],
            interval=0.5, wait=base.TIMEOUT)

    def remove(self, kind: str, made: Any) -> None:
        getattr(self.storage, f'delete_{kind}')(made.id)
        self.eventually(lambda: getattr(self.storage, f'find_{kind}')(made.id) is None,
                        f'the {kind} is gone', base.TIMEOUT)

    def files(self) -> dict[str, str]:
        """The files of the share, with the format each is in."""
        return {path.name: path.read_bytes()[:4].replace(b'QFI\xfb', b'qcow2').decode()
                for path in self.share.glob('volume-*') if not path.name.endswith('.info')}

    def test_from_create_to_delete(self) -> None:
        before = set(self.share.iterdir())
        volume = self.volume()
        self.assertEqual('nfs', volume.volume_type)
        path = self.share / f'volume-{volume.id}'
        self.assertEqual(2**30, path.stat().st_size)
        path.write_bytes(b'data')
        subprocess.run(['truncate', '--size', '1G', str(path)], check=True)

        snapshot = self.storage.create_snapshot(volume_id=volume.id)
        self.available('snapshot', snapshot)
        # What is written from now on goes to another file, on top of the first.
        self.assertEqual('qcow2', self.files()[f'{path.name}.{snapshot.id}'])
        copy = self.volume(snapshot_id=snapshot.id)
        self.assertEqual('data', self.files()[f'volume-{copy.id}'])

        self.remove('snapshot', snapshot)
        self.storage.extend_volume(volume, 2)
        self.available('volume', volume)
        self.assertEqual((2, 2**31), (
            self.storage.get_volume(volume.id).size, path.stat().st_size))
        for made in (copy, volume):
            self.remove('volume', made)
        self.assertEqual(before, set(self.share.iterdir()))
