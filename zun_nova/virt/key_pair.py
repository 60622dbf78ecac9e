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

"""The owner's public key, where sshd looks for it.

Containers mostly have no sshd, and images need have neither users nor homes:
where the key does not fit, the server is made without. The metadata service
and the config drive have it in any case.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt import guest
from zun_nova.virt import process
from zun_nova.virt import spec
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import files

LOG = logging.getLogger(__name__)

_USERS = '/etc/passwd'
# Nobody's file is that long; tenants make images.
_MAX_BYTES = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class User:
    """One line of /etc/passwd."""

    uid: int
    gid: int
    home: pathlib.PurePosixPath


def put(runtime: base.Runtime, container: spec.ContainerSpec, instance: Any) -> None:
    """Add the key to authorized_keys of the image's administrator; may be called again.

    The container was made, and has not been started.
    """
    if not instance.key_data or container.read_only or not isinstance(runtime, files.Files):
        return
    user = _user(runtime, container.name, guest.admin_of(instance))
    if user is None:
        LOG.info('No home for the key pair in the image', instance=instance)
        return
    path = str(user.home / '.ssh' / 'authorized_keys')
    content = with_key(runtime.read_file(container.name, path, _MAX_BYTES) or b'',
                       instance.key_data)
    try:
        runtime.put_files(container.name, [process.File(
            path, content, mode=0o600, uid=user.uid, gid=user.gid, private_directory=True)])
    except errors.InvalidRequest as ex:   # .ssh is a file, say
        LOG.info('No place for the key pair in the image: %s', ex, instance=instance)


def _user(runtime: files.Files, container: str, name: str) -> User | None:
    """None when the image has no such user, or not the user's home."""
    user = find(runtime.read_file(container, _USERS, _MAX_BYTES) or b'', name)
    if user is None or not runtime.has_directory(container, str(user.home)):
        return None
    return user


def find(passwd: bytes, name: str) -> User | None:
    """The user of this name in the text of /etc/passwd, see passwd(5); pure."""
    for line in passwd.decode(errors='replace').splitlines():
        fields = line.split(':')
        if len(fields) == 7 and fields[0] == name:
            uid, gid, home = fields[2], fields[3], pathlib.PurePosixPath(fields[5])
            if uid.isdecimal() and gid.isdecimal() and home.is_absolute() and (
                    '..' not in home.parts and '\0' not in fields[5]):
                return User(int(uid), int(gid), home)
    return None


def with_key(content: bytes, key: str) -> bytes:
    """Those that are there, and this one; each once."""
    line = key.strip().encode()
    if line in content.splitlines():
        return content
    if content and not content.endswith(b'\n'):
        content += b'\n'
    return content + line + b'\n'
