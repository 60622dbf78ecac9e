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

"""Snapshots on real Docker."""

from __future__ import annotations

from zun_nova.tests import snapshots_contract
from zun_nova.tests.functional.runtime import docker_case


class DockerSnapshotsTest(snapshots_contract.Snapshots, docker_case.DockerTest):

    def test_user_directory_and_environment_are_kept(self):
        before, after = self.again(
            command=('sh', '-c'), args=('echo $A; id -u; pwd',), env={'A': 'b c'}, user='user',
            working_dir='/tmp')
        self.assertEqual(b'b c\n1000\n/tmp\n', before)
        self.assertEqual(before, after)
