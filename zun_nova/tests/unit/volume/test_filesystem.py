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
import tempfile

from oslotest import base

from zun_nova.volume import filesystem

MIB = 1024 ** 2


class FilesystemTest(base.BaseTestCase):

    def test_choice(self) -> None:
        for wanted, size, made in (('xfs', 300 * MIB, 'xfs'), ('xfs', 299 * MIB, 'ext4'),
                                   ('ext4', 1024 * MIB, 'ext4')):
            self.assertEqual(made, filesystem.choose(wanted, size))

    def test_words_of_blkid(self) -> None:
        for told, kind in (('', ''), ('DEVNAME=/dev/loop0\nUUID=1\nTYPE=xfs\n', 'xfs'),
                           ('DEVNAME=/dev/loop0\nPTTYPE=gpt\n', 'partitions'),
                           ('LABEL=a=b\nTYPE=ext4\nPTTYPE=dos\n', 'ext4')):
            self.assertEqual(kind, filesystem.kind_of(told))

    def test_blank_is_blank_at_both_ends(self) -> None:
        for size, begin, end, blank in (
                (4 * MIB, b'', b'', True), (4 * MIB, b'x', b'', False),
                (4 * MIB, b'', b'x', False),
                (4096, b'', b'', True), (4096, b'', b'x', False)):
            with tempfile.NamedTemporaryFile() as file:
                file.truncate(size)
                file.write(begin)
                file.seek(size - len(end))
                file.write(end)
                file.flush()
                self.assertEqual(blank, filesystem._is_blank(file.name), (size, begin, end))

    def test_size(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(12345)
            self.assertEqual(12345, filesystem.size(str(pathlib.Path(file.name))))
