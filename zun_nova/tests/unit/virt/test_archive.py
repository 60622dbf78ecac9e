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

from collections.abc import Iterable
from collections.abc import Iterator
import gzip
import io
import json
import tarfile
from typing import Any

from oslotest import base

from zun_nova.virt import archive

MANIFEST = [{'Config': 'c.json', 'RepoTags': ['victim:latest'], 'Layers': ['l/layer.tar']}]


def member(name: str, data: bytes = b'', **attributes: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def manifest(content: Any = None) -> tuple[tarfile.TarInfo, bytes]:
    return member('manifest.json', json.dumps(MANIFEST if content is None else content).encode())


def config() -> tuple[tarfile.TarInfo, bytes]:
    return member('c.json', b'{}')


def layer(data: bytes = b'x' * 5000) -> tuple[tarfile.TarInfo, bytes]:
    return member('l/layer.tar', data)


def tar(*members: tuple[tarfile.TarInfo, bytes], **options: Any) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode='w', **options) as out:
        for info, data in members:
            out.addfile(info, io.BytesIO(data))
    return file.getvalue()


def pieces(data: bytes, size: int = 700) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start:start + size]


def rename(source: Iterable[bytes]) -> dict[str, bytes | None]:
    data = b''.join(archive.renamed(source, 'ours:1'))
    with tarfile.open(fileobj=io.BytesIO(data), mode='r:') as result:
        return {
            info.name: file.read() if (file := result.extractfile(info)) else None
            for info in result if not info.issym()}


class RenamedTest(base.BaseTestCase):

    def test_only_the_names_change(self) -> None:
        content = bytes(range(256)) * 5000
        for order in ((0, 1, 2), (2, 1, 0)):
            members = (manifest(), config(), layer(content))
            result = rename(pieces(tar(*(members[i] for i in order))))
            self.assertEqual(content, result['l/layer.tar'])
            self.assertEqual(b'{}', result['c.json'])
            self.assertEqual(
                [{**MANIFEST[0], 'RepoTags': ['ours:1']}], json.loads(result['manifest.json']))

    def test_other_ways_to_name_an_image_are_dropped(self) -> None:
        result = rename([tar(
            member('repositories', b'{"victim": {"latest": "x"}}'), member('index.json', b'{}'),
            member('oci-layout', b'{}'), manifest(), config(), layer())])
        self.assertEqual({'manifest.json', 'c.json', 'l/layer.tar'}, set(result))

    def test_names_longer_than_a_header_holds(self) -> None:
        name = 'blobs/sha256/' + 'f' * 200
        self.assertIn(name, rename([tar(manifest(), config(), layer(), member(name, b'x'),
                                        format=tarfile.GNU_FORMAT)]))

    def test_compressed(self) -> None:
        data = gzip.compress(tar(manifest(), config(), layer()))
        self.assertEqual({'manifest.json', 'c.json', 'l/layer.tar'}, set(rename(pieces(data))))

    def test_links_inside_are_kept(self) -> None:
        link = member('b/layer.tar', type=tarfile.SYMTYPE, linkname='../a/layer.tar')
        data = b''.join(archive.renamed([tar(manifest(), config(), layer(), link)], 'ours:1'))
        with tarfile.open(fileobj=io.BytesIO(data)) as result:
            self.assertEqual('../a/layer.tar', result.getmember('b/layer.tar').linkname)

    def test_the_source_is_read_to_its_end_before_the_end_is_given(self) -> None:
        def source() -> Iterator[bytes]:
            yield tar(manifest(), config(), layer())
            raise OSError('wrong checksum')

        given = []
        with self.assertRaisesRegex(OSError, 'wrong checksum'):
            for piece in archive.renamed(source(), 'ours:1'):
                given.append(piece)
        self.assertFalse(b''.join(given).endswith(archive.END))

    def test_refused(self) -> None:
        whole = tar(manifest(), config(), layer())
        cases = {
            'empty': b'',
            'no tar': b'x' * 10000,
            'cut short': whole[:3000],
            'gzip cut short': gzip.compress(whole)[:-20],
            'no manifest': tar(config()),
            'no layer': tar(manifest(), config()),
            'no configuration': tar(manifest(), layer()),
            'layers are no list': tar(
                manifest([{'Config': 'c.json', 'Layers': 7}]), config(), layer()),
            'a layer twice': tar(manifest(), config(), layer(), layer(b'y')),
            'too many files': tar(
                manifest(), config(), layer(),
                *(member(f'f{number}') for number in range(archive.MAX_MEMBERS))),
            'two manifests': tar(manifest(), manifest()),
            'manifest of two images': tar(manifest(MANIFEST * 2)),
            'manifest of none': tar(manifest([])),
            'manifest is an object': tar(manifest({})),
            'manifest is no JSON': tar(member('manifest.json', b'{')),
            'manifest is a link': tar(
                member('manifest.json', type=tarfile.SYMTYPE, linkname='x')),
            'absurd manifest': tar(
                member('manifest.json', b' ' * (archive.MAX_MANIFEST_BYTES + 1))),
            'absolute': tar(manifest(), member('/etc/passwd', b'x')),
            'parent': tar(manifest(), member('a/../../b', b'x')),
            'absolute link': tar(
                manifest(), member('a', type=tarfile.SYMTYPE, linkname='/etc/shadow')),
            'link out': tar(
                manifest(), member('a/b', type=tarfile.SYMTYPE, linkname='../../etc')),
            'device': tar(manifest(), member('a', type=tarfile.CHRTYPE)),
            'hard link': tar(manifest(), member('a', type=tarfile.LNKTYPE, linkname='b')),
        }
        for name, data in cases.items():
            with self.subTest(name):
                self.assertRaises(archive.BadArchive, rename, pieces(data))
