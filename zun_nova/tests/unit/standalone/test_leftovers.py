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

import os
import pathlib
import subprocess
import sys

import fixtures
from oslotest import base
from zun_cloud import leftovers
from zun_cloud import settings

MOUNTINFO = r"""
21 1 0:20 / / rw - ext4 /dev/vda rw
40 21 0:30 / /var/lib/zun-cloud/data/compute1/docker rw - ext4 /dev/vda rw
41 40 0:31 / /var/lib/zun-cloud/data/compute1/docker/overlay2/a\040b/merged rw - overlay o rw
42 21 0:32 / /var/lib/zun-cloud-2/data rw - tmpfs none rw
"""


class LeftoversTest(base.BaseTestCase):

    def test_mounts_of_this_cloud_innermost_first(self) -> None:
        found = leftovers.mounts(settings.Settings(), MOUNTINFO.strip())
        root = '/var/lib/zun-cloud/data/compute1/docker'
        self.assertEqual([(f'{root}/overlay2/a b/merged', 'o'), (root, '/dev/vda')],
                         [(item.name, item.detail) for item in found])

    def test_processes_by_their_mark(self) -> None:
        cloud = settings.Settings(state=pathlib.Path(f'/nowhere/{os.getpid()}'), prefix='zt')
        command = [sys.executable, '-c', 'import sys; print(flush=True); sys.stdin.read()']
        with subprocess.Popen(command, env={leftovers.OWNER: str(cloud.state)},
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            found = leftovers.processes(cloud)
            process.communicate()
        self.assertEqual([str(process.pid)], [item.name for item in found])
        self.assertIn('sys.stdin.read', found[0].detail)
        self.assertEqual([], leftovers.processes(cloud))

    def test_own_process_and_parents(self) -> None:
        for pid in (os.getpid(), os.getppid()):
            self.assertTrue(leftovers.own_process(leftovers.Found('process', str(pid))))
        self.assertFalse(leftovers.own_process(leftovers.Found('process', '999999')))

    def test_volumes_by_their_inodes(self) -> None:
        volume = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'volume-a')
        volume.touch()
        known = (volume.stat().st_dev, volume.stat().st_ino)
        self.assertEqual({known}, leftovers._files(volume.parent))
        self.assertEqual(set(), leftovers._files(pathlib.Path('/no/where')))
        # No loop device: nobody's.
        self.assertIsNone(leftovers._backing_file('/dev/null'))
