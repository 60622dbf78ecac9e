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

"""What Nova says of a volume, as data; pure."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import re
from typing import Any

from zun_nova import errors

#: It becomes the name of a directory.
_ID = re.compile(r'[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}')
_RAW = 'raw'


@dataclasses.dataclass(frozen=True)
class Connection:
    """One volume and how this host reaches it."""

    volume_id: str
    #: As os-brick names it: nfs, iscsi, rbd, ...
    protocol: str
    #: What the backend wants to be told; may hold secrets.
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def read_only(self) -> bool:
        return self.data.get('access_mode') == 'ro'


def of_nova(connection_info: Mapping[str, Any], known_as: str | None = None) -> Connection:
    """What Nova keeps of an attachment.

    :param known_as: id of the volume for when that does not say it.
    :raises errors.VolumeError: it names no volume.
    """
    data = connection_info.get('data') or {}
    volume_id = str(connection_info.get('serial') or data.get('volume_id') or known_as or '')
    if not _ID.fullmatch(volume_id):
        raise errors.VolumeError(volume_id[:40], 'that is not the id of a volume')
    return Connection(volume_id, str(connection_info.get('driver_volume_type', '')), data)


def check(connection: Connection) -> None:
    """Refuse what no server can have yet.

    :raises errors.VolumeError: says why.
    """
    if connection.data.get('encrypted'):
        raise errors.VolumeError(
            connection.volume_id, 'it is encrypted, which containers cannot have; '
            'use a volume of another type')
    # Never found out by looking: a tenant can write the header of any format.
    form = connection.data.get('format') or _RAW
    if form != _RAW:
        raise errors.VolumeError(
            connection.volume_id, f'its backend keeps it as {form}, and this host can use raw '
            'volumes only; a volume with snapshots may be one of these, a copy of it is not')
