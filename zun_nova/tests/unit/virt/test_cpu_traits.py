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

import os_traits
from oslotest import base

from zun_nova.virt import cpu_traits

X86 = """\
processor	: 0
vendor_id	: GenuineIntel
flags		: fpu sse sse2 pni ssse3 sse4_1 sse4_2 aes avx avx512_vnni vmx 3dnow

processor	: 1
flags		: avx2
"""
ARM = """\
processor	: 0
Features	: fp asimd aes sha1 crc32 unheardof
"""


class CpuTraitsTest(base.BaseTestCase):

    def test_x86(self) -> None:
        self.assertEqual(
            {f'HW_CPU_X86_{name}' for name in (
                'SSE', 'SSE2', 'SSE3', 'SSSE3', 'SSE41', 'SSE42', 'AESNI', 'AVX', 'AVX512VNNI',
                '3DNOW')},
            cpu_traits.of_cpuinfo(X86))

    def test_arm(self) -> None:
        self.assertEqual(
            {f'HW_CPU_AARCH64_{name}' for name in ('FP', 'ASIMD', 'AES', 'SHA1', 'CRC32')},
            cpu_traits.of_cpuinfo(ARM))

    def test_neither(self) -> None:
        self.assertEqual(frozenset(), cpu_traits.of_cpuinfo('cpu : POWER9'))

    def test_this_host(self) -> None:
        self.assertTrue(cpu_traits.read() <= set(os_traits.get_traits('HW_CPU_')))

    def test_those_of_virtual_machines_are_left_alone(self) -> None:
        for trait in ('HW_CPU_X86_VMX', 'HW_CPU_X86_AMD_SEV', 'HW_CPU_HYPERTHREADING'):
            self.assertFalse(cpu_traits.is_ours(trait))
