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

"""The time zone of a server: /etc/localtime, from the time zones of the host.

Every libc reads that file, so that images need no time zones of their own.
TZ in the environment would name one that the image may not have, and then
means UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import pathlib
import zoneinfo

from zun_nova import errors
from zun_nova.virt import process
from zun_nova.virt import spec

LOCALTIME = '/etc/localtime'
# RFC 8536; other files lie among the time zones.
_MAGIC = b'TZif'


def with_timezone(container: spec.ContainerSpec,
                  directories: Sequence[str] = zoneinfo.TZPATH) -> spec.ContainerSpec:
    """The container with the file of its time zone, unless its owner gave one.

    :param directories: where time zones are on the host, the best first.
    :raises errors.InvalidSpec: the host knows no such time zone.
    """
    name = container.timezone
    if name is None or any(file.path == LOCALTIME for file in container.files):
        return container
    for directory in directories:
        path = pathlib.Path(directory) / name
        content = path.read_bytes() if path.is_file() else b''
        if content.startswith(_MAGIC):
            file = process.File(LOCALTIME, content)
            return dataclasses.replace(container, files=(*container.files, file))
    raise errors.InvalidSpec(
        'timezone', 'the host knows no such time zone; write it as Europe/Vienna, or UTC')
