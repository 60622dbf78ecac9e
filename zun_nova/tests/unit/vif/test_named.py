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

"""What is mounted where named namespaces are."""

from __future__ import annotations

import testtools

from zun_nova.vif import named

PATH = '/run/netns'
ROOT = '1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw'
RUN = '20 1 0:18 / /run rw - tmpfs tmpfs rw'
ITSELF = '30 20 0:18 /netns /run/netns rw {}- tmpfs tmpfs rw'
FDINFO = 'pos:\t0\nflags:\t02100000\nmnt_id:\t{}\nino:\t1\nlock:\t1: FLOCK ADVISORY WRITE 7\n'


class SharedMountTest(testtools.TestCase):

    def found(self, mount_id: int, *mounts: str) -> bool | None:
        return named.is_shared_mount(
            '\n'.join((ROOT, RUN, *mounts)), FDINFO.format(mount_id), PATH)

    def test_kinds(self) -> None:
        for optional, expected in (
                ('', False), ('master:7 ', False), ('propagate_from:2 master:7 ', False),
                ('shared:31 ', True), ('shared:31 master:7 ', True)):
            self.assertIs(expected, self.found(30, ITSELF.format(optional)), optional)

    def test_a_directory(self) -> None:
        self.assertIsNone(self.found(20))

    def test_one_that_was_a_mount_point_until_its_parent_was_covered(self) -> None:
        covered = '40 20 0:40 / /run rw - tmpfs tmpfs rw'
        self.assertIsNone(self.found(40, ITSELF.format('shared:31 '), covered))
