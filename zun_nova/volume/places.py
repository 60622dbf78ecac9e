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

"""Where the volumes of a server are on the host, and what is known of them.

Each server has a directory below ``instances_path``::

    UUID/inside/            what its container sees at INSIDE, read-only
    UUID/inside/VOLUME_ID/  where a volume is mounted
    UUID/VOLUME_ID.json     a Record; there before the volume is, gone after it

Nothing here follows what is in a volume, and nothing is removed but empty
directories: a mistake must not delete a tenant's data.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
from typing import Any
import urllib.parse

#: Where servers see their volumes.
INSIDE = '/mnt/volumes'

# The host's users get no further than to the directory of all servers.
_PRIVATE, _PUBLIC = 0o700, 0o755
_SUFFIX, _UNFINISHED = '.json', '.new'


@dataclasses.dataclass(frozen=True)
class Record:
    """What this host has of a volume."""

    volume_id: str
    #: Of the file or device that os-brick has given.
    path: str
    #: os-brick's name of how it is reached.
    protocol: str


class Places:
    """Those of one compute service; several can share instances_path.

    :param conf: ConfigOpts.
    """

    def __init__(self, conf: Any, host: str) -> None:
        name = urllib.parse.quote(host, safe='')
        self._base = pathlib.Path(conf.instances_path, 'zun_nova', 'volumes', name)
        #: Where os-brick mounts shares with volumes.
        self.shares = pathlib.Path(conf.instances_path, 'zun_nova', 'shares', name)

    def make(self, uuid: str) -> str:
        """Have the directory that the server's container mounts; its path."""
        inside = self._inside(uuid)
        if not inside.is_dir():
            self._base.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            inside.parent.mkdir(mode=_PUBLIC, exist_ok=True)
            inside.mkdir(mode=_PUBLIC, exist_ok=True)
            inside.chmod(_PUBLIC)   # whatever nova-compute's umask is
        return str(inside)

    def exist(self, uuid: str) -> bool:
        """Whether the server's container mounts what is here."""
        return self._inside(uuid).is_dir()

    def target(self, uuid: str, volume_id: str) -> str:
        """Where the volume is mounted."""
        return str(self._inside(uuid) / volume_id)

    def records(self, uuid: str) -> list[Record]:
        """All of the server's."""
        return [_read(path) for path in sorted((self._base / uuid).glob(f'*{_SUFFIX}'))]

    def record(self, uuid: str, volume_id: str) -> Record | None:
        with contextlib.suppress(FileNotFoundError):
            return _read(self._file(uuid, volume_id))
        return None

    def note(self, uuid: str, record: Record) -> None:
        """Keep the record, and have a directory for its volume."""
        self.make(uuid)
        file = self._file(uuid, record.volume_id)
        new = file.with_suffix(_UNFINISHED)
        new.write_text(json.dumps(dataclasses.asdict(record)))
        os.replace(new, file)
        pathlib.Path(self.target(uuid, record.volume_id)).mkdir(mode=_PRIVATE, exist_ok=True)

    def leave(self, uuid: str, volume_id: str) -> None:
        """Remove the directory of a volume that is not mounted; may be called again.

        :raises OSError: something is mounted there, or in it.
        """
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(self.target(uuid, volume_id))

    def forget(self, uuid: str, volume_id: str) -> None:
        """Remove the record, last of all; may be called again."""
        self._file(uuid, volume_id).unlink(missing_ok=True)

    def remove(self, uuid: str) -> None:
        """Remove the directory of a server that has no volumes; otherwise nothing is done."""
        if not self.records(uuid):
            # Of what was killed while it wrote a record, or while it made the directories.
            for half in (self._base / uuid).glob(f'*{_UNFINISHED}'):
                half.unlink(missing_ok=True)
            for directory in (self._inside(uuid), self._base / uuid):
                with contextlib.suppress(OSError):   # there is none, or it is not empty
                    directory.rmdir()

    def uuids(self) -> set[str]:
        """The servers that have something here."""
        return {path.name for path in self._base.iterdir()} if self._base.is_dir() else set()

    def is_shared(self, directory: str) -> bool:
        """Whether a volume of any server is in this directory."""
        return any(directory == os.path.dirname(record.path)
                   for uuid in self.uuids() for record in self.records(uuid))

    def _inside(self, uuid: str) -> pathlib.Path:
        return self._base.resolve() / uuid / 'inside'

    def _file(self, uuid: str, volume_id: str) -> pathlib.Path:
        return self._base / uuid / (volume_id + _SUFFIX)


def _read(path: pathlib.Path) -> Record:
    return Record(**json.loads(path.read_text()))
