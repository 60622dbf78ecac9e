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

"""Files in containers of real Docker."""

from __future__ import annotations

from zun_nova.tests import files_contract
from zun_nova.tests import runtime_contract
from zun_nova.tests.functional.runtime import docker_case
from zun_nova.virt import process


class DockerFilesTest(files_contract.Contract, docker_case.DockerTest):

    def test_links_stay_inside(self):
        """A link to the host's files is none."""
        script = ('ln -s /etc/passwd /made; ln -s /etc/machine-id /leads-nowhere; '
                  'ln -s /etc /directory; ln -s ../../../../../../proc/1 /out; ln -s /loop /loop')
        name = self.started('sh', '-c', script)
        self.ended(name)
        inside = self.runtime.read_file(name, '/etc/passwd', runtime_contract.MIB)
        self.assertTrue(inside.startswith(b'root:'))
        self.assertEqual(inside, self.runtime.read_file(name, '/made', runtime_contract.MIB))
        self.assertTrue(self.runtime.has_directory(name, '/directory'))
        for path in ('/leads-nowhere', '/out/environ', '/loop'):
            self.assertIsNone(self.runtime.read_file(name, path, runtime_contract.MIB), path)
        self.assertFalse(self.runtime.has_directory(name, '/loop'))

    def test_a_private_directory(self):
        name = self.created('sh', '-c', 'stat -c "%a %u %g" /.ssh /.ssh/keys')
        self.runtime.put_files(name, [
            process.File('/.ssh/keys', b'x', 0o600, 7, 8, private_directory=True)])
        self.runtime.start(name)
        self.ended(name)
        self.assertEqual(b'700 7 8\n600 7 8\n', self.runtime.logs(name, 1000))
