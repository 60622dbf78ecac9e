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

import bz2
from collections.abc import Iterable
from collections.abc import Iterator
import gzip
import io
import json
import lzma
import tarfile
import tracemalloc

from nova import exception
from oslotest import base

from zun_nova.tests import hostile
from zun_nova.tests import images
from zun_nova.tests import oci
from zun_nova.virt import archive
from zun_nova.virt import compression
from zun_nova.virt import oci_layout
from zun_nova.virt import tar_stream

UUID = '0' * 36
HERE = oci_layout.Platform('linux', images.architecture(), 'v1')


def pieces(data: bytes, size: int = 700) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start:start + size]


def renamed(source: Iterable[bytes]) -> bytes:
    return b''.join(archive.renamed(source, 'ours:1', hostile.MAX_BYTES, HERE))


def members(source: Iterable[bytes]) -> dict[str, bytes | None]:
    with tarfile.open(fileobj=io.BytesIO(renamed(source)), mode='r:') as result:
        return {
            info.name: file.read() if (file := result.extractfile(info)) else None
            for info in result if not info.issym()}


def manifest(source: Iterable[bytes]) -> dict[str, object]:
    [found] = json.loads(members(source)['manifest.json'])
    return found


class DockerTest(base.BaseTestCase):
    """What docker save and its like write."""

    def test_only_the_names_change(self) -> None:
        parts = (hostile.manifest(), hostile.member('c.json', hostile.CONFIG),
                 hostile.member('l/layer.tar', hostile.LAYER))
        for order in ((0, 1, 2), (2, 1, 0)):
            result = members(pieces(hostile.tar(*(parts[i] for i in order))))
            self.assertEqual(hostile.LAYER, result['l/layer.tar'])
            self.assertEqual(hostile.CONFIG, result['c.json'])
            self.assertEqual([{**hostile.MANIFEST, 'RepoTags': ['ours:1']}],
                             json.loads(result['manifest.json']))

    def test_nothing_of_the_manifest_is_kept_but_what_is_checked(self) -> None:
        text = json.dumps([hostile.MANIFEST | {
            'repotags': [hostile.VICTIM], 'REPOTAGS': [hostile.VICTIM], 'Parent': 'sha256:x',
            'LayerSources': {}}])
        found = manifest([hostile.with_manifest(text.encode())])
        self.assertEqual({**hostile.MANIFEST, 'RepoTags': ['ours:1']}, found)

    def test_other_ways_to_name_an_image_are_dropped(self) -> None:
        result = members([hostile.good(
            hostile.member('repositories', b'{"victim": {"latest": "x"}}'),
            hostile.member('index.json', b'{}'), hostile.member('oci-layout', b'{}'))])
        self.assertEqual({'manifest.json', 'c.json', 'l/layer.tar'}, set(result))

    def test_manifest_comes_last(self) -> None:
        with tarfile.open(fileobj=io.BytesIO(renamed([hostile.good()]))) as result:
            self.assertEqual('manifest.json', result.getnames()[-1])

    def test_names_longer_than_a_header_holds(self) -> None:
        name = 'blobs/' + 'f' * 200
        for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 1, 1.5   # more records in a pax header
            more = info.tobuf(form) + b'x' + bytes(511)
            self.assertEqual(b'x', members([hostile.good(more)])[name])

    def test_global_header_that_names_nothing(self) -> None:
        comment = hostile.pax(hostile.record(b'comment', b'made by git'), tarfile.XGLTYPE)
        self.assertIn('manifest.json', members([comment + hostile.good()]))

    def test_compressed(self) -> None:
        data = hostile.good()
        skippable = b'\x50\x2a\x4d\x18\x01\0\0\0x'   # a frame of zstd without data
        for compressed in (
                gzip.compress(data), gzip.compress(data[:3000]) + gzip.compress(data[3000:]),
                gzip.compress(data) + bytes(512), bz2.compress(data), lzma.compress(data),
                compression.zstd.compress(data), skippable + compression.zstd.compress(data)):
            for size in (1, 700, 100_000):
                self.assertEqual({'manifest.json', 'c.json', 'l/layer.tar'},
                                 set(members(pieces(compressed, size))))

    def test_layers_compressed(self) -> None:
        for compress in (gzip.compress, compression.zstd.compress, bz2.compress, lzma.compress):
            data = hostile.tar(hostile.manifest(), hostile.member('c.json', hostile.CONFIG),
                               hostile.member('l/layer.tar', compress(hostile.LAYER)))
            self.assertEqual(compress(hostile.LAYER), members(pieces(data))['l/layer.tar'])

    def test_equal_layers_are_links(self) -> None:
        rootfs = json.loads(hostile.CONFIG)['rootfs']
        config = json.dumps({'rootfs': rootfs | {'diff_ids': rootfs['diff_ids'] * 2}}).encode()
        data = hostile.tar(
            hostile.link('b/layer.tar', '../l/layer.tar'), hostile.member('c.json', config),
            hostile.member('l/layer.tar', hostile.LAYER),
            hostile.manifest([hostile.MANIFEST | {'Layers': ['l/layer.tar', 'b/layer.tar']}]))
        with tarfile.open(fileobj=io.BytesIO(renamed([data]))) as result:
            self.assertEqual('../l/layer.tar', result.getmember('b/layer.tar').linkname)

    def test_directories_and_dots(self) -> None:
        directory = {'type': tarfile.DIRTYPE}
        data = hostile.tar(
            hostile.member('./', **directory), hostile.member('./l/', **directory),
            hostile.member('l', **directory), hostile.member('./c.json', hostile.CONFIG),
            hostile.member('./l/layer.tar', hostile.LAYER),
            hostile.manifest([hostile.MANIFEST | {'Layers': ['./l/layer.tar']}]))
        self.assertEqual(['l/layer.tar'], manifest([data])['Layers'])

    def test_the_source_is_read_to_its_end_before_the_manifest_is_given(self) -> None:
        def source() -> Iterator[bytes]:
            yield hostile.good()
            raise OSError('wrong checksum')

        given = []
        with self.assertRaisesRegex(OSError, 'wrong checksum'):
            for piece in archive.renamed(source(), 'ours:1'):
                given.append(piece)
        self.assertNotIn(b'manifest.json', b''.join(given))


class LayoutTest(base.BaseTestCase):
    """OCI's layout."""

    def setUp(self) -> None:
        super().setUp()
        self.layout = oci.Layout()

    def image(self, content: str, **more: object) -> dict[str, object]:
        return self.layout.image(images.tar({content: b''}), **more)

    def for_platform(self, architecture: str, **more: str) -> dict[str, object]:
        content = architecture + ''.join(more.values())
        return self.image(content, platform={
            'os': 'linux', 'architecture': architecture, **more})

    def assert_chosen(self, image: dict[str, object], data: bytes) -> None:
        """The archive becomes the image of this descriptor."""
        blob = self.layout.blobs['blobs/' + str(image['digest']).replace(':', '/')]
        wanted = json.loads(blob)
        names = [descriptor['digest'].replace(':', '/')
                 for descriptor in (wanted['config'], *wanted['layers'])]
        self.assertEqual(
            {'Config': f'blobs/{names[0]}', 'RepoTags': ['ours:1'],
             'Layers': [f'blobs/{name}' for name in names[1:]]}, manifest(pieces(data)))

    def test_alone(self) -> None:
        for compress, kind in ((gzip.compress, '+gzip'), (compression.zstd.compress, '+zstd'),
                               (bytes, '')):
            image = self.image(kind or 'plain', compress=compress, layer_type=oci.LAYER + kind)
            self.assert_chosen(image, self.layout.tar(image))
            self.assert_chosen(image, self.layout.tar(image, order=['index.json']))

    def test_two_names_of_one_image(self) -> None:
        image = self.image('one')
        self.assert_chosen(image, self.layout.tar(image, {**image, 'annotations': {
            'org.opencontainers.image.ref.name': 'latest'}}))

    def test_alone_for_another_platform(self) -> None:
        image = self.for_platform('s390x')
        self.assert_chosen(image, self.layout.tar(image))

    def test_platform_by_the_index(self) -> None:
        wanted, other = self.for_platform(images.architecture()), self.for_platform('s390x')
        self.assert_chosen(wanted, self.layout.tar(other, wanted))

    def test_platform_by_the_configuration(self) -> None:
        wanted, other = self.image('a'), self.image('b', architecture='s390x')
        self.assert_chosen(wanted, self.layout.tar(other, wanted))

    def test_others_need_not_be_there(self) -> None:
        wanted = self.for_platform(images.architecture())
        absent = {'digest': 'sha256:' + 'a' * 64, 'platform': {
            'os': 'linux', 'architecture': 's390x'}}
        self.assert_chosen(wanted, self.layout.tar(absent, wanted))

    def test_least_variant(self) -> None:
        third = self.for_platform(images.architecture(), variant='v3')
        for least in (self.for_platform(images.architecture()),
                      self.for_platform(images.architecture(), variant=HERE.variant)):
            self.assert_chosen(least, self.layout.tar(third, least))

    def test_index_in_an_index_with_attestations(self) -> None:
        """As buildx writes it."""
        image = self.for_platform(images.architecture())
        attestation = self.image('attestation', annotations={
            'vnd.docker.reference.type': 'attestation-manifest'}, platform={
                'os': 'unknown', 'architecture': 'unknown'})
        self.assert_chosen(image, self.layout.tar(self.layout.index(image, attestation)))

    def test_docker_manifest_decides_where_there_is_one(self) -> None:
        """As Docker 25 and newer save: both formats, one image."""
        image, other = self.image('one'), self.image('other')
        wanted = json.loads(self.layout.blobs['blobs/' + image['digest'].replace(':', '/')])
        config, layer = (descriptor['digest'].replace(':', '/')
                         for descriptor in (wanted['config'], *wanted['layers']))
        self.layout.blobs['manifest.json'] = json.dumps([{
            'Config': f'blobs/{config}', 'Layers': [f'blobs/{layer}']}]).encode()
        self.assert_chosen(image, self.layout.tar(other))


class RefusedTest(base.BaseTestCase):

    def test_cases(self) -> None:
        for case in hostile.cases():
            with self.subTest(case.name):
                data = case.make()
                given = bytearray()
                with self.assertRaises(archive.BadArchive) as caught:
                    for piece in archive.renamed(
                            pieces(data, 64 * 1024), 'ours:1', hostile.MAX_BYTES, HERE):
                        if len(given) < 1024 ** 2:
                            given += piece
                words = str(caught.exception)
                self.assertIn(case.words, words)
                self.assertNotIn(b'manifest.json', given[-2048:])
                self.assertTrue(words.isascii())
                # Nova's words around it, of which users see 255 characters.
                fault = exception.BuildAbortException(
                    instance_uuid=UUID, reason=exception.ImageUnacceptable(
                        image_id=UUID, reason=words).format_message()).format_message()
                self.assertLessEqual(len(fault), 255, fault)

    def test_memory_is_bounded(self) -> None:
        """Whatever sizes are claimed, or come out of what is compressed."""
        cases = {case.name: case for case in hostile.cases()}
        for name in ('GNU long name', 'pax header', 'bzip2 bomb', 'xz bomb', 'layer bomb'):
            with self.subTest(name):
                data = cases[name].make()
                tracemalloc.start()
                try:
                    with self.assertRaises(archive.BadArchive):
                        for _ in archive.renamed([data], 'ours:1', hostile.MAX_BYTES, HERE):
                            pass
                    self.assertLess(tracemalloc.get_traced_memory()[1], 16 * 1024 ** 2)
                finally:
                    tracemalloc.stop()


class ReaderTest(base.BaseTestCase):

    def test_data_that_is_not_wanted_is_skipped(self) -> None:
        reader = tar_stream.Reader(pieces(hostile.tar(
            hostile.member('a', b'x' * 2000), hostile.member('b', b'y' * 2000))))
        names = []
        for member in reader:
            names.append(member.name)
            self.assertEqual(member.name == 'a', next(reader.data())[:1] == b'x')
        self.assertEqual(['a', 'b'], names)

    def test_pieces_of_nothing(self) -> None:
        source = [b'', *pieces(hostile.tar(hostile.member('a', b'x'))), b'']
        self.assertEqual(['a'], [member.name for member in tar_stream.Reader(source)])

    def test_shown(self) -> None:
        self.assertEqual("'a\\u20ac'", tar_stream.shown('a\u20ac'))
        self.assertEqual("'" + 'a' * 29 + '...' + 'b' * 11 + "'",
                         tar_stream.shown('a' * 100 + 'b' * 100))
