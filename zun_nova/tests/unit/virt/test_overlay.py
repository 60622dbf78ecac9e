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

from zun_nova.virt import overlay

MOUNTINFO = r"""21 1 0:20 / / rw,relatime - ext4 /dev/vda rw
36 21 0:31 / /var/lib/nova\040x/rescue rw,nosuid,nodev - overlay overlay rw,lowerdir=/a:/b
""".splitlines()


class MountPointsTest(base.BaseTestCase):

    def test_all(self) -> None:
        self.assertEqual({'/', '/var/lib/nova x/rescue'}, overlay.mount_points(MOUNTINFO))
