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

import pathlib

import fixtures
from oslotest import base

from zun_nova.virt import block_device

MOUNTINFO = (
    '1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n'
    '2 1 0:40 / /srv rw - btrfs /dev/sdb rw\n'
    '3 1 0:41 / /srv rw shared:2 master:1 - tmpfs tmpfs rw,size=1k\n'
    '4 1 0:40 / /var/lib/docker rw - btrfs /dev/sdb rw\n'
    '5 1 259:0 / /data rw - xfs /dev/nvme0n1 rw,prjquota\n'
    '6 1 7:0 / /gone rw - ext4 /dev/no-such rw\n')


class BlockDeviceTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.sysfs = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        devices = self.sysfs / 'devices'
        (devices / 'sda' / 'sda1').mkdir(parents=True)
        (devices / 'sda' / 'sda1' / 'partition').write_text('1')
        for name in ('sdb', 'cciss!c0d0'):
            (devices / name).mkdir()
        for folder, name, target in (
            ('dev/block', '8:1', 'sda/sda1'), ('class/block', 'sdb', 'sdb'),
            ('dev/block', '259:0', 'cciss!c0d0'),
        ):
            (self.sysfs / folder).mkdir(parents=True, exist_ok=True)
            (self.sysfs / folder / name).symlink_to(devices / target)

    def test_the_last_of_the_longest_mounts_holds_a_path(self) -> None:
        for path, number, filesystem in (
            ('/', '8:1', 'ext4'), ('/srv/x', '0:41', 'tmpfs'), ('/srvx', '8:1', 'ext4'),
            ('/var/lib/docker', '0:40', 'btrfs'),
        ):
            mount = block_device.mount_of(path, MOUNTINFO)
            self.assertEqual((number, filesystem), (mount.number, mount.filesystem), path)
        self.assertEqual({'rw', 'prjquota'}, block_device.mount_of('/data', MOUNTINFO).options)

    def test_the_whole_disk(self) -> None:
        for path, disk in (
            ('/', '/dev/sda'), ('/var/lib/docker', '/dev/sdb'), ('/srv', None),
            ('/data', '/dev/cciss/c0d0'), ('/gone', None),
        ):
            mount = block_device.mount_of(path, MOUNTINFO)
            self.assertEqual(disk, block_device.disk(mount, self.sysfs), path)
