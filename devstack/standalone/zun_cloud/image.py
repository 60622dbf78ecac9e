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

"""Container images without a registry: a ``docker save`` archive made from plain values.

Usable on its own, by tests that need an image of a certain shape::

    image.write(path, [image.directory("tmp", 0o1777), image.file("bin/app", data, 0o755)],
                {"Cmd": ["/bin/app"]}, "app:latest")

The archive depends only on its arguments, so equal images have equal checksums.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import pathlib
import subprocess
import tarfile
import typing

EPOCH = '1970-01-01T00:00:00Z'

# Ends at once on SIGTERM, unlike a shell that waits for a child.
HELLO = """\
#!/bin/sh
echo "Hello from $(hostname), a container that is a Nova server."
echo
ip address show
echo
ip route show
ip -6 route show
mkdir -p /tmp/www
echo "Hello from $(hostname)" > /tmp/www/index.html
trap 'kill "$server"; exit 0' TERM INT
httpd -f -p 80 -h /tmp/www &
server=$!
echo
echo "httpd listens on port 80"
wait "$server"
"""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One file, directory or symbolic link of the image's root file system."""

    path: str
    mode: int = 0o644
    data: bytes | None = None
    link: str | None = None

    def member(self) -> tarfile.TarInfo:
        info = tarfile.TarInfo(self.path)
        info.mode = self.mode
        if self.link is not None:
            info.type, info.linkname = tarfile.SYMTYPE, self.link
        elif self.data is None:
            info.type = tarfile.DIRTYPE
        else:
            info.size = len(self.data)
        return info


def directory(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, mode)


def file(path: str, data: bytes | str, mode: int = 0o644) -> Entry:
    return Entry(path, mode, data.encode() if isinstance(data, str) else data)


def symlink(path: str, target: str) -> Entry:
    return Entry(path, 0o777, link=target)


def write(
    target: pathlib.Path,
    entries: typing.Iterable[Entry],
    config: typing.Mapping[str, typing.Any],
    tag: str,
    architecture: str = 'amd64',
) -> None:
    """Write an image of one layer as ``docker save`` would.

    :param config: the image's own configuration by OCI's names: Cmd, Entrypoint, Env, ...
    :param tag: ``name:tag`` for a person's eye; a loader may ignore it.
    """
    layer = _tar((entry.member(), entry.data) for entry in entries)
    layer_id = hashlib.sha256(layer).hexdigest()
    image = json.dumps({
        'architecture': architecture,
        'os': 'linux',
        'created': EPOCH,
        'config': dict(config),
        'rootfs': {'type': 'layers', 'diff_ids': [f'sha256:{layer_id}']},
        'history': [{'created': EPOCH, 'created_by': 'zun_cloud'}],
    }, sort_keys=True).encode()
    image_name = f'{hashlib.sha256(image).hexdigest()}.json'
    manifest = json.dumps(
        [{'Config': image_name, 'RepoTags': [tag], 'Layers': [f'{layer_id}/layer.tar']}]
    ).encode()
    members = [
        directory(layer_id), file(f'{layer_id}/VERSION', '1.0'),
        file(f'{layer_id}/json', json.dumps({'id': layer_id, 'created': EPOCH})),
        file(f'{layer_id}/layer.tar', layer), file(image_name, image),
        file('manifest.json', manifest),
    ]
    target.write_bytes(_tar((entry.member(), entry.data) for entry in members))


#: What others have under this name; Debian's busybox has passwd only.
CHPASSWD = r"""#!/bin/sh
while IFS=: read -r user password; do
    printf '%s\n%s\n' "$password" "$password" | passwd "$user" || exit 1
done
"""


def busybox_entries(
    binary: pathlib.Path = pathlib.Path('/bin/busybox'), command: str = HELLO
) -> list[Entry]:
    """A small root file system around a static busybox of this machine.

    :param command: a shell script, put at ``/bin/hello``.
    """
    listed = subprocess.run([binary, '--list'], capture_output=True, text=True, check=True)
    applets = sorted(set(listed.stdout.split()) - {'busybox'})
    entries = [directory(name) for name in ('bin', 'dev', 'etc', 'proc', 'sys', 'usr', 'var')]
    entries += [directory('root', 0o700), directory('tmp', 0o1777)]
    entries += [file('bin/busybox', binary.read_bytes(), 0o755)]
    entries += [symlink(f'bin/{name}', 'busybox') for name in applets]
    entries += [
        symlink('sbin', 'bin'),
        file('bin/hello', command, 0o755),
        file('bin/chpasswd', CHPASSWD, 0o755),
        file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n'),
        file('etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
    ]
    return entries


def write_busybox(target: pathlib.Path) -> None:
    """The image the cloud boots its first server from."""
    config = {'Cmd': ['/bin/hello'], 'Env': ['PATH=/bin'], 'WorkingDir': '/root'}
    write(target, busybox_entries(), config, 'busybox:latest')


def _tar(members: typing.Iterable[tuple[tarfile.TarInfo, bytes | None]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w', format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data) if data is not None else None)
    return buffer.getvalue()
