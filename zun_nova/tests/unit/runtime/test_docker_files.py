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

"""Files of the fake engine's containers."""

from __future__ import annotations

import io
import pathlib
import tarfile

import testtools

from zun_nova.tests import fake_engine
from zun_nova.tests import files_contract
from zun_nova.tests.unit.runtime import test_docker_contract
from zun_nova.virt import process
from zun_nova.virt.runtime import docker_files


class DockerFilesTest(files_contract.Contract):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.set_up_runtime(test_docker_contract.runtime_on(self.fake))


class ArchiveTest(testtools.TestCase):

    def test_only_a_regular_file_of_the_size(self):
        for kind, content, limit, wanted in (
            (tarfile.REGTYPE, b'12345', 5, b'12345'),
            (tarfile.REGTYPE, b'12345', 4, None),
            (tarfile.DIRTYPE, b'', 5, None),
            (tarfile.SYMTYPE, b'', 5, None),
            (tarfile.CHRTYPE, b'', 5, None),
        ):
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode='w') as tar:
                member = tarfile.TarInfo('x')
                member.type, member.size = kind, len(content)
                tar.addfile(member, io.BytesIO(content))
            archive.seek(0)
            self.assertEqual(wanted, docker_files._first(archive, limit))

    def test_whose_a_directory_becomes(self):
        for private, wanted in ((True, (0o700, 7, 8)), (False, (0o755, 0, 0))):
            file = process.File('/home/u/.ssh/keys', b'x', 0o600, 7, 8, private)
            archive = docker_files._archive(
                pathlib.PurePosixPath('/'),
                pathlib.PurePosixPath('/home/u/.ssh'), [file])
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                found = {member.name: (member.mode, member.uid, member.gid) for member in tar}
            self.assertEqual({'home': (0o755, 0, 0), 'home/u': (0o755, 0, 0),
                              'home/u/.ssh': wanted, 'home/u/.ssh/keys': (0o600, 7, 8)}, found)
