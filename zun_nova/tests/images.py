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

"""Images made on the spot, as ``docker save`` would write them; no registry is needed."""

from __future__ import annotations

from collections.abc import Mapping
import functools
import hashlib
import io
import json
import pathlib
import platform
import subprocess
import tarfile
from typing import Any

BUSYBOX = pathlib.Path('/bin/busybox')
_ARCHITECTURES = {'x86_64': 'amd64', 'aarch64': 'arm64'}


def archive(reference: str, config: Mapping[str, Any] | None = None,
            layer: bytes | None = None) -> bytes:
    """An image of one layer; the same arguments give the same bytes.

    :param config: of the image, such as {'Cmd': ['sh']}.
    :param layer: tar of its files; an empty one when left out.
    """
    layer = tar({}) if layer is None else layer
    image = _json({
        'architecture': architecture(),
        'os': 'linux',
        'config': dict(config or {}),
        'rootfs': {'type': 'layers', 'diff_ids': [f'sha256:{_digest(layer)}']},
    })
    name = f'{_digest(image)}.json'
    manifest = [{'Config': name, 'RepoTags': [reference], 'Layers': ['layer.tar']}]
    return tar({name: image, 'layer.tar': layer, 'manifest.json': _json(manifest)})


def busybox(reference: str, **config: Any) -> bytes:
    """An image with the busybox of this machine and a link for each of its tools.

    :param config: over Cmd=['sh'] and a PATH.
    """
    return archive(
        reference, {'Cmd': ['sh'], 'Env': ['PATH=/bin']} | config, busybox_layer())


def architecture() -> str:
    """Of this machine, by Go's name."""
    return _ARCHITECTURES[platform.machine()]


def why_no_busybox() -> str | None:
    """Why :func:`busybox` cannot work here; None when it can."""
    return None if BUSYBOX.exists() else f'{BUSYBOX} is missing: install busybox-static'


def tar(files: Mapping[str, bytes | str | None]) -> bytes:
    """A tar of files (bytes), symbolic links (their target, a str) and directories (None)."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode='w') as out:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if data is None:
                member.type = tarfile.DIRTYPE
                out.addfile(member)
            elif isinstance(data, str):
                member.type, member.linkname = tarfile.SYMTYPE, data
                out.addfile(member)
            else:
                member.size = len(data)
                out.addfile(member, io.BytesIO(data))
    return content.getvalue()


#: What others have under this name; Debian's busybox has passwd only.
CHPASSWD = rb"""#!/bin/sh
while IFS=: read -r user password; do
    printf '%s\n%s\n' "$password" "$password" | passwd "$user" || exit 1
done
"""


@functools.cache
def busybox_layer() -> bytes:
    """A tar of this machine's busybox, a link for each of its tools, and chpasswd."""
    listed = subprocess.run(
        [BUSYBOX, '--list'], check=True, capture_output=True, text=True, timeout=10).stdout
    tools = {f'bin/{tool}': 'busybox' for tool in listed.split() if tool != 'busybox'}
    return tar({
        'bin': None, 'etc': None, 'tmp': None, 'proc': None, 'sys': None, 'dev': None,
        'bin/busybox': BUSYBOX.read_bytes(),
        'etc/passwd': b'root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000:user:/:/bin/sh\n',
        'etc/group': b'root:x:0:\nuser:x:1000:\n',
        'bin/chpasswd': CHPASSWD,
        **tools,
    })


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
