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

"""Archives that no tool for images writes, each with what its owner is to be told."""

from __future__ import annotations

import bz2
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import gzip
import hashlib
import json
import lzma
import os
import tarfile
from typing import Any

from zun_nova.tests import images
from zun_nova.tests import oci
from zun_nova.virt import archive
from zun_nova.virt import archive_contents
from zun_nova.virt import image_json
from zun_nova.virt import tar_stream

#: A name that an archive must never get in the engine.
VICTIM = 'zun-test/victim:latest'
#: What the cases may unpack to.
MAX_BYTES = 24 * 1024 * 1024
LAYER = images.tar({'file': b'x' * 5000})
CONFIG = json.dumps({
    'architecture': images.architecture(), 'os': 'linux', 'config': {},
    'rootfs': {'type': 'layers', 'diff_ids': [f'sha256:{hashlib.sha256(LAYER).hexdigest()}']},
}).encode()
MANIFEST = {'Config': 'c.json', 'RepoTags': [VICTIM], 'Layers': ['l/layer.tar']}


@dataclasses.dataclass(frozen=True)
class Case:
    """One archive and a part of the text that refuses it."""

    name: str
    make: Callable[[], bytes]
    words: str


def member(name: str, data: bytes = b'', **attributes: Any) -> bytes:
    """Header, data and padding of one member, with whatever its TarInfo is to say."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def link(name: str, target: str) -> bytes:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def manifest(content: Any = None) -> bytes:
    return member('manifest.json', json.dumps([MANIFEST] if content is None else content).encode())


def tar(*members: bytes) -> bytes:
    return b''.join(members) + tar_stream.END


def good(*more: bytes) -> bytes:
    """An archive that can be loaded, with more in it."""
    return tar(manifest(), member('c.json', CONFIG), member('l/layer.tar', LAYER), *more)


def with_config(**changes: Any) -> bytes:
    return with_config_text(json.dumps(json.loads(CONFIG) | changes).encode())


def with_config_text(text: bytes) -> bytes:
    return tar(manifest(), member('c.json', text), member('l/layer.tar', LAYER))


def with_manifest(text: bytes) -> bytes:
    return tar(member('manifest.json', text), member('c.json', CONFIG),
               member('l/layer.tar', LAYER))


def stolen(diff_id: str) -> bytes:
    """An archive that names a layer which it does not have, but perhaps the engine."""
    config = {**json.loads(CONFIG), 'rootfs': {'type': 'layers', 'diff_ids': [diff_id]}}
    return with_config_text(json.dumps(config).encode())


def pax(records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return member('pax', records, type=kind)


def record(key: bytes, value: bytes) -> bytes:
    """One record of a pax header."""
    rest = b' ' + key + b'=' + value + b'\n'
    length = len(rest) + len(str(len(rest)))
    return str(length + (len(str(length)) > len(str(len(rest))))).encode() + rest


def sparse(size: int, name: bytes = b'sparse') -> bytes:
    """A member that is a file of this size, though hardly any of it is there."""
    return pax(b''.join(record(b'GNU.sparse.' + key, value) for key, value in (
        (b'major', b'1'), (b'minor', b'0'), (b'name', name),
        (b'realsize', str(size).encode())))) + member(
            'GNUSparseFile.0/sparse', b'1\n0\n512\n'.ljust(512, b'\0') + b'x' * 512)


def with_layer(layer: bytes, stored: bytes | None = None) -> bytes:
    """An archive of this layer.

    :param stored: as which it is there, such as compressed.
    """
    diff_id = f'sha256:{hashlib.sha256(layer).hexdigest()}'
    config = {**json.loads(CONFIG), 'rootfs': {'type': 'layers', 'diff_ids': [diff_id]}}
    return tar(manifest(), member('c.json', json.dumps(config).encode()),
               member('l/layer.tar', layer if stored is None else stored))


def _claims(size: int, kind: bytes) -> bytes:
    """An extended header that says it is large; its data need not be there."""
    info = tarfile.TarInfo('x')
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT) + b'A' * 1024


def _bad_size(raw: bytes) -> bytes:
    """A member whose header has these twelve bytes for a size."""
    return _header(tarfile.TarInfo('a').tobuf(tarfile.USTAR_FORMAT), size=raw)


def _bomb(compress: Callable[[bytes], bytes]) -> bytes:
    return compress(good(member('zeros', bytes(MAX_BYTES))))


def _header(data: bytes, **changes: bytes) -> bytes:
    """A block with other bytes at kind, size or name, and the checksum for them."""
    block = bytearray(data[:tarfile.BLOCKSIZE])
    for name, start in (('name', 0), ('size', 124), ('kind', 156)):
        value = changes.get(name, b'')
        block[start:start + len(value)] = value
    block[148:156] = b' ' * 8
    block[148:156] = f'{sum(block):06o}\0 '.encode()
    return bytes(block) + data[tarfile.BLOCKSIZE:]


def _layer_bomb(compress: Callable[[bytes], bytes]) -> bytes:
    return good(member('b/layer.tar', compress(bytes(MAX_BYTES))))


def _many_layers() -> bytes:
    number = archive.MAX_LAYERS + 1
    return tar(manifest([MANIFEST | {'Layers': ['l/layer.tar'] * number}]),
               member('c.json', CONFIG), member('l/layer.tar', LAYER))


def _gzip_cut(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)[:-20]


def _multi_platform(*platforms: Mapping[str, str]) -> bytes:
    layout = oci.Layout()
    return layout.tar(*(layout.image(
        images.tar({'file': str(number).encode()}), platform=platform)
        for number, platform in enumerate(platforms)))


def _oci_damaged() -> bytes:
    layout = oci.Layout()
    descriptor = layout.image(LAYER)
    [name] = [name for name, data in layout.blobs.items() if not data.startswith(b'{')]
    layout.blobs[name] = gzip.compress(b'another')
    return layout.tar(descriptor)


def _oci_without(kind: bytes) -> bytes:
    """A layout without its layer (b'') or without a document that begins so."""
    layout = oci.Layout()
    descriptor = layout.image(LAYER)
    for name, data in list(layout.blobs.items()):
        if data.startswith(kind or b'\x1f'):
            del layout.blobs[name]
    return layout.tar(descriptor)


def _oci(**more: Any) -> bytes:
    layout = oci.Layout()
    return layout.tar(layout.image(LAYER, **more))


def _oci_index(*manifests: Any) -> bytes:
    return images.tar({'index.json': oci.index(*manifests)})


def cases() -> Iterator[Case]:
    """All of them."""
    for table in (_NO_ARCHIVES, _PLACES, _BOMBS, _DOCKER, _OCI):
        for name, (make, words) in table.items():
            yield Case(name, make, words)


_Table = Mapping[str, tuple[Callable[[], bytes], str]]
_SHORT = 'cut short'
_OUTSIDE = 'points outside the archive'

_NO_ARCHIVES: _Table = {
    'empty': (lambda: b'', 'neither manifest.json nor index.json'),
    'empty tar': (lambda: tar_stream.END, 'neither manifest.json nor index.json'),
    'no tar': (lambda: b'x' * 10_000, 'no tar archive'),
    'noise': (lambda: os.urandom(10_000), 'no tar archive'),
    'qcow2': (lambda: b'QFI\xfb' + bytes(9996), 'no tar archive'),
    'cut short in a header': (lambda: good()[:700], _SHORT),
    'cut short in a file': (lambda: good()[:5000], _SHORT),
    'cut short between files': (lambda: manifest() + member('c.json', CONFIG), 'does not hold'),
    'noise after a file': (lambda: good()[:-1024] + os.urandom(1024), 'no tar archive'),
    'gzip cut short': (lambda: _gzip_cut(good()), _SHORT),
    'gzip of nothing': (lambda: gzip.compress(b''), 'neither manifest.json nor index.json'),
    'gzip of no tar': (lambda: gzip.compress(b'x' * 10_000), 'no tar archive'),
    'gzip damaged': (lambda: gzip.compress(good())[:-8] + bytes(8), 'damaged'),
    'gzip and noise': (lambda: gzip.compress(good()) + b'noise', 'damaged'),
}

_PLACES: _Table = {
    'absolute': (lambda: good(member('/etc/passwd', b'x')), _OUTSIDE),
    'parent': (lambda: good(member('a/../../b', b'x')), _OUTSIDE),
    'parent within': (lambda: good(member('a/../b', b'x')), _OUTSIDE),
    'absolute by pax': (
        lambda: good(pax(record(b'path', b'/etc/passwd')), member('a', b'x')), _OUTSIDE),
    'absolute by GNU': (
        lambda: good(member('x', b'/etc/passwd\0', type=tarfile.GNUTYPE_LONGNAME),
                     member('a', b'x')), _OUTSIDE),
    'absolute link': (lambda: good(link('a', '/etc/shadow')), _OUTSIDE),
    'link out': (lambda: good(link('a/b', '../../etc')), _OUTSIDE),
    'link out behind dots': (lambda: good(link('a', './././../etc')), _OUTSIDE),
    'link out through a link': (
        lambda: good(link('p/d', '..'), link('a', 'p/d/../../etc')), _OUTSIDE),
    'link to a directory': (lambda: good(link('a', 'l')), 'links to no file'),
    'link to nothing': (lambda: good(link('a', 'b')), 'links to no file'),
    'link by pax': (
        lambda: good(pax(record(b'linkpath', b'/etc/shadow')), link('a', 'l/layer.tar')),
        _OUTSIDE),
    'file in a link': (
        lambda: good(link('a', 'l/layer.tar'), member('a/b', b'x')), 'lies in a file or link'),
    'file in a file': (lambda: good(member('c.json/b', b'x')), 'lies in a file or link'),
    'device': (lambda: good(member('a', type=tarfile.CHRTYPE)), 'is no file'),
    'pipe': (lambda: good(member('a', type=tarfile.FIFOTYPE)), 'is no file'),
    'hard link': (
        lambda: good(member('a', type=tarfile.LNKTYPE, linkname='c.json')), 'is no file'),
    'unknown type': (lambda: good(member('a', b'x', type=b'Q')), 'is no file'),
    'twice': (lambda: good(member('l/layer.tar', b'y')), 'is there twice'),
    'twice by another spelling': (lambda: good(member('./l//layer.tar', b'y')), 'is there twice'),
    'file over a directory': (lambda: good(member('l', b'y')), 'is there twice'),
    'two manifests': (lambda: good(manifest()), 'is there twice'),
    'long path': (lambda: good(
        member('x', b'a/' * 7 + b'b' * 1000, type=tarfile.GNUTYPE_LONGNAME),
        member('a', b'x')), 'has too long a path'),
    'deep path': (lambda: good(member('/'.join('a' * 40), b'x')), 'has too long a path'),
    'NUL in a name': (
        lambda: good(pax(record(b'path', b'a\0b')), member('a', b'x')), 'has a NUL in it'),
}

_BOMBS: _Table = {
    'GNU long name': (
        lambda: _claims(1 << 33, tarfile.GNUTYPE_LONGNAME), 'extended header of 8589934592'),
    'GNU long link': (
        lambda: _claims(1 << 33, tarfile.GNUTYPE_LONGLINK), 'extended header of 8589934592'),
    'pax header': (lambda: _claims(1 << 33, tarfile.XHDTYPE), 'extended header of 8589934592'),
    'global pax header': (
        lambda: _claims(1 << 33, tarfile.XGLTYPE), 'extended header of 8589934592'),
    'chain of long names': (
        lambda: good(member('x', b'a\0', type=tarfile.GNUTYPE_LONGNAME) * 5000),
        'too many extended headers'),
    'chain of pax headers': (
        lambda: good(pax(record(b'path', b'a')) * 5000), 'too many extended headers'),
    'global path': (
        lambda: good(pax(record(b'path', b'a'), tarfile.XGLTYPE), member('b', b'x')),
        'a global header'),
    'damaged pax header': (
        lambda: good(pax(b'99 path=a\n'), member('a', b'x')), 'extended header in it is damaged'),
    'pax record of no length': (
        lambda: good(pax(b'0 path=a\n'), member('a', b'x')), 'extended header in it is damaged'),
    'negative size': (
        lambda: good(_bad_size(b'\xff' * 11 + b'\0')), 'says that its size is'),
    'size by pax': (
        lambda: good(pax(record(b'size', b'-1')), member('a', b'x')), 'says that its size is'),
    'absurd size': (
        lambda: good(_bad_size(b'\x80' + b'\xff' * 11)), 'says that its size is'),
    'size of no data': (lambda: good(_bad_size(b'77777777777\0')), _SHORT),
    'GNU sparse file': (
        lambda: good(member('a', b'', type=tarfile.GNUTYPE_SPARSE)), 'is a sparse file'),
    'pax sparse file': (
        lambda: good(pax(record(b'GNU.sparse.major', b'1') + record(b'GNU.sparse.minor', b'0')
                         + record(b'GNU.sparse.realsize', b'999999999999')),
                     member('a', b'1\n0\n512\n')), 'is a sparse file'),
    'many files': (
        lambda: good(*(member(f'f{number}') for number in range(archive_contents.MAX_MEMBERS))),
        'more than 10000 files'),
    'one directory many times': (
        lambda: good(member('d', type=tarfile.DIRTYPE) * archive_contents.MAX_MEMBERS),
        'more than 10000 files'),
    'much JSON': (
        lambda: good(*(member(f'{number}.json', b'{' + b' ' * (image_json.MAX_BYTES - 1))
                       for number in range(9))), 'more than 8 MiB of JSON'),
    'large': (lambda: good(member('zeros', bytes(MAX_BYTES))), 'unpacks to more than 0.0234 GiB'),
    'gzip bomb': (lambda: _bomb(gzip.compress), 'unpacks to more than'),
    'bzip2 bomb': (lambda: _bomb(bz2.compress), 'unpacks to more than'),
    'xz bomb': (lambda: _bomb(lzma.compress), 'unpacks to more than'),
    'gzip bomb after the end': (
        lambda: gzip.compress(good() + bytes(MAX_BYTES)), 'unpacks to more than'),
    'sparse file in a layer': (
        lambda: with_layer(tar(member('a', b'x'), sparse(1 << 50))), 'unpacks to more than'),
    'sparse file in a compressed layer': (
        lambda: with_layer(tar(sparse(1 << 50)), gzip.compress(tar(sparse(1 << 50)))),
        'unpacks to more than'),
    'sparse file behind a size in another record': (
        lambda: with_layer(tar(pax(record(b'comment', b'\n13 size=9999\n')),
                               member('a', b'x'), sparse(1 << 50))), 'unpacks to more than'),
    # Else these would hide it in what looks like data.
    'sparse file behind an old directory': (
        lambda: with_layer(tar(_header(member('d/', sparse(1 << 50)), kind=b'\0'))),
        'its layer 1 is damaged, or no usual tar'),
    'sparse file behind an old directory of a long name': (
        lambda: with_layer(tar(pax(record(b'path', b'd/')),
                               _header(member('d', sparse(1 << 50)), kind=b'\0'))),
        'its layer 1 is damaged, or no usual tar'),
    'sparse file behind a size that begins with NUL': (
        lambda: with_layer(tar(_header(member('a', b'x' * 512), size=b'\x0000000001000'),
                               sparse(1 << 50))), 'its layer 1 is damaged, or no usual tar'),
    'sparse file of old GNU in a layer': (
        lambda: with_layer(tar(member('a', type=tarfile.GNUTYPE_SPARSE))),
        'its layer 1 is damaged, or no usual tar'),
    'large pax header in a layer': (
        lambda: with_layer(tar(pax(record(b'comment', b'x' * 2 ** 20)), member('a', b'x'))),
        'its layer 1 is damaged, or no usual tar'),
    'layer is no tar': (
        lambda: with_layer(b'noise' * 1000), 'its layer 1 is damaged, or no usual tar'),
    'layer bomb': (lambda: _layer_bomb(gzip.compress), 'unpacks to more than'),
}

_DOCKER: _Table = {
    'no manifest': (
        lambda: tar(member('c.json', CONFIG)), 'neither manifest.json nor index.json'),
    'of old Docker': (
        lambda: tar(member('repositories', json.dumps({'victim': {'latest': 'x'}}).encode()),
                    member('x/json', b'{}'), member('x/layer.tar', LAYER)),
        'neither manifest.json nor index.json'),
    'no layer': (
        lambda: tar(manifest(), member('c.json', CONFIG)),
        "names 'l/layer.tar', which it does not hold"),
    'no configuration': (
        lambda: tar(manifest(), member('l/layer.tar', LAYER)),
        "names 'c.json', which it does not hold"),
    'layer is a directory': (
        lambda: tar(manifest(), member('c.json', CONFIG),
                    member('l/layer.tar', type=tarfile.DIRTYPE)), 'does not hold'),
    'layers are no list': (
        lambda: with_manifest(b'[{"Config": "c.json", "Layers": 7}]'), 'does not name'),
    'layers are no names': (
        lambda: with_manifest(b'[{"Config": "c.json", "Layers": [7]}]'), 'does not name'),
    'configuration is no name': (
        lambda: with_manifest(b'[{"Config": {}, "Layers": []}]'), 'does not name'),
    'two images': (lambda: tar(manifest([MANIFEST] * 2)), 'exactly one image'),
    'no image': (lambda: tar(manifest([])), 'exactly one image'),
    'manifest is an object': (lambda: tar(manifest({})), 'exactly one image'),
    'manifest of a number': (lambda: tar(manifest([1])), 'does not name'),
    'manifest is no JSON': (lambda: with_manifest(b'{'), 'no valid JSON'),
    'manifest in UTF-16': (
        lambda: with_manifest(json.dumps([MANIFEST]).encode('utf-16')), 'no valid JSON'),
    'manifest is deep': (lambda: with_manifest(b'[' * 100_000), 'no valid JSON'),
    'manifest is a link': (
        lambda: tar(link('manifest.json', 'c.json'), member('c.json', CONFIG)),
        'no file of sensible size'),
    'absurd manifest': (
        lambda: with_manifest(b' ' * (image_json.MAX_BYTES + 1)), 'no file of sensible size'),
    'tags in another spelling': (
        lambda: with_manifest(json.dumps([MANIFEST | {'layers': ['c.json']}]).encode()),
        "'Layers' in two spellings"),
    'a field twice': (
        lambda: with_manifest(b'[{"Config": "c.json", "Config": "c.json", "Layers": []}]'),
        'no valid JSON'),
    'many layers': (_many_layers, 'has 126 layers'),
    'layers of another number': (
        lambda: tar(manifest([MANIFEST | {'Layers': ['l/layer.tar'] * 2}]),
                    member('c.json', CONFIG), member('l/layer.tar', LAYER)),
        'differ in the number of layers'),
    'configuration of no layers': (lambda: with_config(rootfs=None), 'differ in the number'),
    'configuration is no JSON': (lambda: with_config_text(b'{x'), 'no valid JSON'),
    'configuration is a list': (lambda: with_config_text(b'[]'), 'no JSON object'),
    'absurd configuration': (
        lambda: with_config(config={'Labels': {'a': 'x' * image_json.MAX_BYTES}}),
        'no JSON object of at most 1024 KiB'),
    "another's layer": (lambda: stolen('sha256:' + 'a' * 64), 'its layer 1 is not the one'),
    "another's layer in another spelling": (
        lambda: with_config(RootFS={'type': 'layers', 'diff_ids': ['sha256:' + 'a' * 64]}),
        "'rootfs' in two spellings"),
    "another's layer with a letter of old": (
        lambda: with_config_text(CONFIG[:-1] + b', "rootf\\u017f": {}}'),
        "'rootfs' in two spellings"),
    'compressed layer is damaged': (
        lambda: tar(manifest(), member('c.json', CONFIG),
                    member('l/layer.tar', _gzip_cut(LAYER))), 'its layer 1 is damaged'),
    'for Windows': (lambda: with_config(os='windows'), "made for 'windows'"),
}

_OCI: _Table = {
    'index of nothing': (_oci_index, 'names no image'),
    'index is a list': (lambda: images.tar({'index.json': b'[]'}), 'names no image'),
    'index is no JSON': (lambda: images.tar({'index.json': b'x'}), 'no valid JSON'),
    'index of no digest': (lambda: _oci_index({'digest': 'latest'}), 'is no SHA-256'),
    'digest points out': (
        lambda: _oci_index({'digest': 'sha256:../../../etc/passwd'}), 'is no SHA-256'),
    'manifest is not there': (lambda: _oci_without(b'{"config": {"digest'), 'does not hold'),
    'OCI configuration is not there': (lambda: _oci_without(b'{"arch'), 'does not hold'),
    'OCI layer is not there': (lambda: _oci_without(b''), 'does not hold'),
    'blob is damaged': (_oci_damaged, 'is damaged: its SHA-256 is another'),
    'no container image': (
        lambda: _oci(config_type='application/vnd.cncf.helm.config.v1+json'),
        'no container image'),
    'encrypted': (
        lambda: _oci(layer_type=oci.LAYER + '+gzip+encrypted'), 'has the media type'),
    'for other platforms': (
        lambda: _multi_platform({'os': 'linux', 'architecture': 's390x'},
                                {'os': 'linux', 'architecture': 'riscv64'}),
        "only 'linux/riscv64, linux/s390x'"),
    'two for this platform': (
        lambda: _multi_platform({'os': 'linux', 'architecture': images.architecture()},
                                {'os': 'linux', 'architecture': images.architecture()}),
        'several images for linux/'),
    'wide index': (
        lambda: _oci_index(*({'digest': f'sha256:{number:064x}'} for number in range(1001))),
        'more than 1000 things'),
}
