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

import io
import tarfile
from typing import Any

from oslotest import base

from zun_nova.tests import hostile
from zun_nova.virt import layer_scan

SPARSE = hostile.sparse(10_000)
#: What of SPARSE is data, its map included.
STORED = 1024


def usual(form: int) -> bytes:
    """A tar with all kinds of members, written in one of the formats."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode='w', format=form,
                      pax_headers={'comment': 'global'} if form == tarfile.PAX_FORMAT else {}
                      ) as out:
        for name, kind, data in (
                ('a', tarfile.REGTYPE, b'x' * 700), ('d' * 90 + '/e' * 60, tarfile.REGTYPE, b'y'),
                ('dir', tarfile.DIRTYPE, b''), ('dev', tarfile.CHRTYPE, b''),
                ('empty', tarfile.REGTYPE, b''), ('b', tarfile.CONTTYPE, b'z' * 512),
                ('link', tarfile.SYMTYPE, b''), ('hard', tarfile.LNKTYPE, b'')):
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(data), 'a'
            if form == tarfile.PAX_FORMAT:
                info.mtime = 1.5
                info.pax_headers = {'SCHILY.xattr.user.a': 'b\nc=d', 'size': str(len(data))}
            out.addfile(info, io.BytesIO(data))
    return file.getvalue()


class ScannerTest(base.BaseTestCase):

    def scan(self, data: bytes, size: int = 100_000) -> int:
        """What is found when the data comes in pieces of this size; it must be clear."""
        scanner = layer_scan.Scanner()
        found = sum(scanner.update(data[start:start + size])
                    for start in range(0, len(data), size))
        self.assertFalse(scanner.broken)
        return found

    def assert_broken(self, data: bytes) -> None:
        scanner = layer_scan.Scanner()
        scanner.update(data)
        self.assertTrue(scanner.broken)

    def test_usual(self) -> None:
        for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
            data = usual(form)
            self.assertEqual(0, self.scan(data))
            # It is still in step behind them all.
            self.assertEqual(
                10_000 - STORED, self.scan(data[:data.rindex(b'hard') + 512] + SPARSE))

    def test_pieces(self) -> None:
        data = hostile.tar(SPARSE, hostile.member('a', b'x'), SPARSE)
        for size in (1, 511, 512, 513, 5000):
            self.assertEqual(2 * (10_000 - STORED), self.scan(data, size))

    def test_what_follows_the_end(self) -> None:
        self.assertEqual(0, self.scan(hostile.tar(hostile.member('a', b'x')) + SPARSE))

    def test_less_than_its_data(self) -> None:
        self.assertEqual(0, self.scan(hostile.tar(hostile.sparse(5))))

    def test_sizes_of_pax_headers(self) -> None:
        large = hostile.pax(hostile.record(b'size', b'1024')) + hostile.member('a', size=0)
        self.assertEqual(10_000 - STORED, self.scan(large + b'x' * 1024 + SPARSE))
        # They are of one member only, and of none without data.
        for one in (hostile.member('d', type=tarfile.DIRTYPE), hostile.member('a', size=0)):
            header = hostile.pax(hostile.record(b'size', b'1024')) + one
            data = header if one[156:157] == tarfile.DIRTYPE else header + bytes(1024)
            self.assertEqual(10_000 - STORED, self.scan(data + SPARSE))

    def test_sparse_only_once(self) -> None:
        self.assertEqual(10_000 - STORED, self.scan(
            hostile.tar(SPARSE, hostile.member('a', b'x' * 3000))))

    def test_broken(self) -> None:
        def pax(*records: bytes) -> bytes:
            return hostile.pax(b''.join(records)) + hostile.member('a')

        for data in (b'noise' * 1000, pax(b'99 a=b\n'), pax(hostile.record(b'size', b'-1')),
                     pax(hostile.record(b'size', b'+1')),
                     pax(hostile.record(b'GNU.sparse.realsize', b'x'))):
            self.assert_broken(data)

    def test_its_cost_does_not_grow_with_pieces(self) -> None:
        """A small piece costs no copy of what came before."""
        scanner: Any = layer_scan.Scanner()
        scanner.update(hostile.member('a', size=1 << 40))
        for _ in range(1000):
            scanner.update(b'x' * 100)
        self.assertEqual(0, len(scanner._block))
