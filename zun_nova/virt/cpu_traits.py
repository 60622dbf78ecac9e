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

"""What the host's processors can, as Placement's standard traits; pure but for read()."""

from __future__ import annotations

import pathlib
import re

import os_traits

_CPUINFO = pathlib.Path('/proc/cpuinfo')
_FLAGS = re.compile(r'^(flags|Features)\s*:(.*)$', re.MULTILINE)

_X86 = 'HW_CPU_X86_'
_ARM = 'HW_CPU_AARCH64_'

#: Where the kernel's name is another one than the trait's.
_NAMES = {
    'aes': 'AESNI', 'pni': 'SSE3', 'pclmulqdq': 'CLMUL', 'fma': 'FMA3', 'bmi1': 'BMI',
    'sha_ni': 'SHA', 'rtm': 'TSX', 'vaes': 'AVX512VAES', 'gfni': 'AVX512GFNI',
    'vpclmulqdq': 'AVX512VPCLMULQDQ',
}
#: Of virtual machines: a container cannot have them without a device.
_NOT_OURS = {'SVM', 'VMX', 'SGX'}


def read() -> frozenset[str]:
    """The traits of this host's first processor, as its kernel shows it."""
    return of_cpuinfo(_CPUINFO.read_text())


def of_cpuinfo(text: str) -> frozenset[str]:
    """The traits of the first processor in a /proc/cpuinfo."""
    found = _FLAGS.search(text)
    if found is None:
        return frozenset()
    prefix = _X86 if found[1] == 'flags' else _ARM
    names = _NAMES if prefix == _X86 else {}
    wanted = {prefix + names.get(flag, flag.replace('_', '').upper())
              for flag in found[2].split()}
    return frozenset(trait for trait in wanted if is_ours(trait))


def is_ours(trait: str) -> bool:
    """Whether it is one that the flags of a processor decide about."""
    return trait in _ALL


_ALL = {trait for prefix in (_X86, _ARM) for trait in os_traits.get_traits(prefix)
        # Those with more words are about a vendor's virtual machines.
        if '_' not in (name := trait.removeprefix(prefix)) and name not in _NOT_OURS}
