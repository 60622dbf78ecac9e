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

"""The image of the container that holds a network namespace open.

It has one file, a program that waits for ever, put together here byte by
byte: so it needs no registry, no compiler and no download, and there is
nothing in it to attack or to update.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from typing import Any
from typing import NamedTuple

#: Its name in the engine; the tag changes with the content.
IMAGE = 'zun-nova/holder:1'
_PROGRAM = 'wait'


class _Machine(NamedTuple):
    """How a processor is called, and how it waits."""

    #: e_machine of the ELF header.
    elf: int
    #: As OCI images call it.
    oci: str
    code: bytes


_MACHINES = {
    'x86_64': _Machine(
        elf=62,
        oci='amd64',
        code=bytes.fromhex(
            'b822000000'      # again: mov eax, 34 (pause)
            '0f05'            #        syscall
            'ebf7')),         #        jmp again
    'aarch64': _Machine(      # it has no pause(2): ppoll(NULL, 0, NULL, NULL)
        elf=183,
        oci='arm64',
        code=struct.pack(
            '<7I',
            0xd2800000,       # again: mov x0, 0
            0xd2800001,       #        mov x1, 0
            0xd2800002,       #        mov x2, 0
            0xd2800003,       #        mov x3, 0
            0xd2800928,       #        mov x8, 73 (ppoll)
            0xd4000001,       #        svc 0
            0x17fffffa)),     #        b again
}
ARCHITECTURES = tuple(_MACHINES)

_ELF_HEADER = struct.Struct('<16sHHIQQQIHHHHHH')
_PROGRAM_HEADER = struct.Struct('<IIQQQQQQ')
_LOAD_ADDRESS = 0x400000
_PAGE = 0x10000   # the largest that aarch64 kernels use


def program(architecture: str) -> bytes:
    """A static executable that waits until it is killed; see elf(5).

    As pid 1 it gets no signal that it does not handle, except SIGKILL.

    :param architecture: kernel's name of the machine, one of ARCHITECTURES.
    """
    machine = _MACHINES[architecture]
    start = _ELF_HEADER.size + _PROGRAM_HEADER.size
    size = start + len(machine.code)
    elf = _ELF_HEADER.pack(
        b'\x7fELF\x02\x01\x01',      # 64 bits, little endian, version 1
        2, machine.elf, 1,           # ET_EXEC
        _LOAD_ADDRESS + start,       # where it begins
        _ELF_HEADER.size, 0, 0,      # where the program header is; no sections, no flags
        _ELF_HEADER.size, _PROGRAM_HEADER.size, 1, 64, 0, 0)
    segment = _PROGRAM_HEADER.pack(
        1, 5,                        # PT_LOAD, readable and executable
        0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, _PAGE)
    return elf + segment + machine.code


def archive(architecture: str) -> bytes:
    """The image IMAGE as ``docker save`` would write it; always the same bytes."""
    layer = _tar({_PROGRAM: program(architecture)})
    config = _json({
        'architecture': _MACHINES[architecture].oci,
        'os': 'linux',
        'config': {'Entrypoint': [f'/{_PROGRAM}']},
        'rootfs': {'type': 'layers', 'diff_ids': [f'sha256:{_digest(layer)}']},
    })
    config_name = f'{_digest(config)}.json'
    manifest = [{'Config': config_name, 'RepoTags': [IMAGE], 'Layers': ['layer.tar']}]
    return _tar({config_name: config, 'layer.tar': layer, 'manifest.json': _json(manifest)})


def _tar(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode='w') as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mode = 0o555
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
