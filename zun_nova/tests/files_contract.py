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

"""What every engine must do that is a zun_nova.virt.runtime.files.Files."""

from __future__ import annotations

from zun_nova import errors
from zun_nova.tests import runtime_contract
from zun_nova.virt import process

MIB = runtime_contract.MIB


class Contract(runtime_contract.Case):
    """What the driver asks of it."""

    def test_read_what_was_put(self) -> None:
        name = self.created(*runtime_contract.SLEEP)
        self.assertIsNone(self.runtime.read_file(name, '/etc/app/x', MIB))
        for content in (b'first', b'second'):
            self.runtime.put_files(name, [process.File('/etc/app/x', content)])
            self.assertEqual(content, self.runtime.read_file(name, '/etc/app/x', MIB))
        self.assertIsNone(self.runtime.read_file(name, '/etc/app/x', 5))
        self.assertIsNone(self.runtime.read_file(name, '/etc/app', MIB))
        self.assertIsNone(self.runtime.read_file(name, '/etc/app/x/y', MIB))

    def test_directories(self) -> None:
        name = self.created(*runtime_contract.SLEEP)
        self.assertTrue(self.runtime.has_directory(name, '/etc'))
        self.assertTrue(self.runtime.has_directory(name, '/'))
        for path in ('/etc/passwd', '/etc/none', '/none/none'):
            self.assertFalse(self.runtime.has_directory(name, path))

    def test_absent_containers(self) -> None:
        absent = self.new_name()
        self.assertRaises(errors.NotFound, self.runtime.read_file, absent, '/etc/passwd', MIB)
        self.assertRaises(errors.NotFound, self.runtime.has_directory, absent, '/etc')
        self.assertRaises(
            errors.NotFound, self.runtime.put_files, absent, [process.File('/a', b'')])


class RealContract(Contract):
    """What only real containers can show."""

    def test_links_stay_inside(self) -> None:
        """A link to the host's files is none."""
        script = ('ln -s /etc/passwd /made; ln -s /etc/machine-id /leads-nowhere; '
                  'ln -s /etc /directory; ln -s ../../../../../../proc/1 /out; ln -s /loop /loop')
        name = self.started('sh', '-c', script)
        self.ended(name)
        inside = self.runtime.read_file(name, '/etc/passwd', MIB)
        self.assertTrue(inside.startswith(b'root:'))
        self.assertEqual(inside, self.runtime.read_file(name, '/made', MIB))
        self.assertTrue(self.runtime.has_directory(name, '/directory'))
        for path in ('/leads-nowhere', '/out/environ', '/loop'):
            self.assertIsNone(self.runtime.read_file(name, path, MIB), path)
        self.assertFalse(self.runtime.has_directory(name, '/loop'))

    def test_a_private_directory(self) -> None:
        name = self.created('sh', '-c', 'stat -c "%a %u %g" /.ssh /.ssh/keys')
        self.runtime.put_files(name, [
            process.File('/.ssh/keys', b'x', 0o600, 7, 8, private_directory=True)])
        self.runtime.start(name)
        self.ended(name)
        self.assertEqual(b'700 7 8\n600 7 8\n', self.runtime.logs(name, 1000))
