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

"""The small pure parts: versions, output, the holder's program."""

from __future__ import annotations

import io
import json
import struct
import tarfile

import testtools

from zun_nova import errors
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import docker_logs
from zun_nova.virt.runtime import holder


class VersionTest(testtools.TestCase):

    def test_negotiation(self):
        for newest, oldest, wanted in (
            ('1.41', '1.12', '1.41'), ('1.43', '1.12', '1.43'),
            ('1.52', '1.44', docker_client.NEWEST_API), ('1.41', '', '1.41'),
            ('1.100', '1.12', docker_client.NEWEST_API),
        ):
            server = {'Version': 'x', 'ApiVersion': newest, 'MinAPIVersion': oldest}
            self.assertEqual(wanted, docker_client.api_version(server))

    def test_nothing_in_common(self):
        for newest, oldest, kind in (('1.40', '1.12', errors.EngineTooOld),
                                     ('1.99', '1.90', errors.Unsupported)):
            failure = self.assertRaises(kind, docker_client.api_version, {
                'Version': '1.2.3', 'ApiVersion': newest, 'MinAPIVersion': oldest})
            self.assertIn('1.2.3', str(failure))


class LogsTest(testtools.TestCase):

    def test_frames_cut_anywhere(self):
        frames = b''.join(
            struct.pack('>BxxxL', stream, len(data)) + data
            for stream, data in ((1, b'one'), (2, b''), (2, b'two two'), (1, b'3')))
        for size in range(1, len(frames) + 1):
            chunks = [frames[at:at + size] for at in range(0, len(frames), size)]
            self.assertEqual(b'onetwo two3', b''.join(docker_logs.payloads(chunks)))

    def test_a_frame_that_never_ends(self):
        self.assertEqual([b'ab'], list(docker_logs.payloads(
            [struct.pack('>BxxxL', 1, 100) + b'ab'])))

    def test_tail(self):
        for size in (1, 3, 10, 1000):
            tail = docker_logs.Tail(size)
            for number in range(100):
                tail.feed(b'%02d' % number)
            everything = b''.join(b'%02d' % number for number in range(100))
            self.assertEqual((everything[-size:], 200), (tail.bytes(), tail.total))

    def test_it_keeps_little(self):
        tail = docker_logs.Tail(10)
        for _ in range(100):
            tail.feed(b'x' * 7)
            self.assertTrue(len(tail._kept) <= 20)


class HolderTest(testtools.TestCase):

    def test_the_program_is_a_static_executable(self):
        for architecture, machine in (('x86_64', 62), ('aarch64', 183)):
            elf = holder.program(architecture)
            self.assertTrue(len(elf) < 200)
            self.assertEqual(b'\x7fELF\x02\x01', elf[:6])
            kind, found, _, entry, table = struct.unpack_from('<HHIQQ', elf, 16)
            self.assertEqual((2, machine, 64), (kind, found, table))
            load, flags, offset, address, _, size, memory, align = struct.unpack_from(
                '<IIQQQQQQ', elf, table)
            self.assertEqual((1, 5, 0, len(elf), len(elf)), (load, flags, offset, size, memory))
            self.assertEqual(0, address % align)
            self.assertEqual(64 + 56, entry - address)

    def test_it_jumps_back_to_its_beginning(self):
        code = holder.program('x86_64')[120:]
        self.assertEqual(0xeb, code[-2])
        self.assertEqual(0, len(code) + struct.unpack('<b', code[-1:])[0])
        code = holder.program('aarch64')[120:]
        branch = struct.unpack('<I', code[-4:])[0]
        self.assertEqual(0b000101, branch >> 26)
        words = (branch & 0x3ffffff) - (1 << 26)
        self.assertEqual(0, len(code) - 4 + 4 * words)

    def test_the_image(self):
        for architecture, name in (('x86_64', 'amd64'), ('aarch64', 'arm64')):
            archive = holder.archive(architecture)
            self.assertEqual(archive, holder.archive(architecture))
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                manifest = json.load(tar.extractfile('manifest.json'))[0]
                config = json.load(tar.extractfile(manifest['Config']))
            self.assertEqual([holder.IMAGE], manifest['RepoTags'])
            self.assertEqual((name, ['/wait']), (
                config['architecture'], config['config']['Entrypoint']))
