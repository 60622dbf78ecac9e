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

import errno
import os

from oslotest import base

from zun_nova.volume import loop
from zun_nova.volume import mounts

MOUNTINFO = r"""21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
36 21 7:3 / /var/lib/nova\040x/volumes rw,nosuid,nodev - xfs /dev/loop3 rw,nouuid
""".splitlines()


class MountsTest(base.BaseTestCase):

    def test_what_is_where(self) -> None:
        self.assertEqual([('/', '254:0'), ('/var/lib/nova x/volumes', '7:3')],
                         mounts.mounted(MOUNTINFO))

    def test_processes_that_are_in_no_container(self) -> None:
        with open('/proc/self/cgroup') as file:
            ours = file.read().split(':')[0]
        for pid, container_id in ((os.getpid(), ours), (os.getpid(), 'f' * 64), (2 ** 22, '')):
            error = self.assertRaises(
                ProcessLookupError, mounts.take_out, pid, container_id, '/nowhere')
            self.assertEqual(errno.ESRCH, error.errno)


class LoopTest(base.BaseTestCase):

    def test_words_of_losetup(self) -> None:
        self.assertEqual([], loop.names_of(''))
        self.assertEqual(['/dev/loop3'], loop.names_of(
            '{"loopdevices": [{"name":"/dev/loop3"}]}'))

    def test_file_that_is_gone(self) -> None:
        self.assertEqual([], loop.devices('/nowhere/at/all'))
        loop.detach('/nowhere/at/all')
