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

"""Config drives, as they are on the host."""

from __future__ import annotations

import os
import pathlib
from typing import Any
from unittest import mock

import fixtures
from nova import test

from zun_nova.tests.unit.virt import fakes
from zun_nova.tests.unit.virt import metadata_fakes
from zun_nova.virt import config_drive
from zun_nova.virt import guest
from zun_nova.virt import process
from zun_nova.virt import spec


class ConfigDriveTest(test.NoDBTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.flags(instances_path=str(self.path))
        self.told = mock.Mock(side_effect=metadata_fakes.Told)
        self.stub_out('nova.api.metadata.base.InstanceMetadata', self.told)
        self.drives = config_drive.ConfigDrives(self.conf(), 'here')
        self.drive = self.path / 'config-drives' / 'here' / fakes.UUID / 'drive'
        # Containers must be able to read it whatever nova-compute's is.
        self.addCleanup(os.umask, os.umask(0o077))

    @staticmethod
    def conf() -> Any:
        return config_drive.configdrive.CONF

    def instance(self, **changes: Any) -> Any:
        return fakes.instance(config_drive='True', launched_at=None, **changes)

    def mounts(self, given: guest.Given | None = None, **changes: Any) -> tuple[spec.Mount, ...]:
        instance = self.instance(**changes)
        instance.image_meta = mock.Mock(properties={})
        return self.drives.mounts(instance, [], given)

    def text(self, name: str) -> str:
        return (self.drive / name).read_text()

    def test_its_files(self) -> None:
        given = guest.Given((process.File('/etc/x', b'given'),), 'hunter2')
        self.assertEqual((spec.Mount(str(self.drive), '/config-2', read_only=True),),
                         self.mounts(given))
        self.assertEqual(('hunter2\n', '/etc/x: given'),
                         (self.text('of/password'), self.text('of/content')))
        modes = {str(path.relative_to(self.path)): path.stat().st_mode & 0o777
                 for path in (self.path / 'config-drives').rglob('*')}
        base = f'here/{fakes.UUID}'
        self.assertEqual({'here': 0o700, base: 0o700, f'{base}/drive': 0o755,
                          f'{base}/drive/of': 0o755, f'{base}/drive/of/password': 0o444,
                          f'{base}/drive/of/content': 0o444, f'{base}/drive/deep': 0o755,
                          f'{base}/drive/deep/er': 0o755, f'{base}/drive/deep/er/x': 0o444},
                         {name.removeprefix('config-drives/'): mode
                          for name, mode in modes.items()})

    def test_no_server_without_need_has_one(self) -> None:
        instance = fakes.instance(config_drive='', launched_at=None)
        instance.image_meta = mock.Mock(properties={})
        self.assertEqual((), self.drives.mounts(instance, [], guest.Given()))
        self.assertEqual([], list(self.path.iterdir()))
        self.flags(force_config_drive=True)
        self.assertNotEqual((), self.drives.mounts(instance, [], guest.Given()))

    def test_it_is_made_anew_for_what_is_given(self) -> None:
        self.mounts(guest.Given(admin_password='first'))
        self.mounts(guest.Given(admin_password='second'))
        self.assertEqual('second\n', self.text('of/password'))
        self.mounts(None)
        self.assertEqual(('second\n', 2), (self.text('of/password'), self.told.call_count))

    def test_a_server_that_comes_from_elsewhere(self) -> None:
        self.mounts(None)
        self.assertEqual('none\n', self.text('of/password'))

    def test_a_crash_in_the_middle(self) -> None:
        with mock.patch.object(metadata_fakes.Told, 'metadata_for_config_drive',
                               return_value=iter([('a/b', 'x'), ('a', 'not a directory')])):
            self.assertRaises(OSError, self.mounts, None)
        self.assertFalse(self.drive.exists())
        self.assertEqual({fakes.UUID}, self.drives.uuids())
        self.mounts(None)
        self.assertEqual(['drive'], os.listdir(self.drive.parent))

    def test_removal(self) -> None:
        other = config_drive.ConfigDrives(self.conf(), 'there')
        self.assertEqual(set(), self.drives.uuids())
        self.mounts(None)
        self.mounts(None, uuid=f'{fakes.UUID}-2')
        for _ in range(2):
            other.remove(fakes.UUID)
        self.assertEqual({fakes.UUID, f'{fakes.UUID}-2'}, self.drives.uuids())
        for _ in range(2):
            self.drives.remove(fakes.UUID)
        self.assertEqual({f'{fakes.UUID}-2'}, self.drives.uuids())
