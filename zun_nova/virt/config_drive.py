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

"""Config drives: what the metadata service tells, as files in the server.

A virtual machine gets a disk with them; a container sees a directory, which
it cannot write. Nova says what is in it, drive by drive the same.
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
from typing import Any

from nova.api.metadata import base as metadata
from nova.virt import configdrive

from zun_nova.virt import guest
from zun_nova.virt import spec

#: Where servers see theirs: the label of the disk that a virtual machine gets.
TARGET = '/config-2'

# The host's users get no further than to the directory of all drives. In the
# server all of its users may read, as on the disk of a virtual machine.
_PRIVATE, _DIRECTORY, _FILE = 0o700, 0o755, 0o444


class ConfigDrives:
    """Those of one compute service.

    Each is in a directory named by its server's uuid. The host is in the path
    because hosts may share instances_path.

    :param conf: ConfigOpts.
    """

    def __init__(self, conf: Any, host: str) -> None:
        self._base = pathlib.Path(conf.instances_path) / 'config-drives' / host

    def mounts(self, instance: Any, network_info: Any,
               given: guest.Given | None) -> tuple[spec.Mount, ...]:
        """Have the server's drive, if it is to have one, and say what its container mounts.

        :param given: what goes into it beside what Nova knows. None: the
            server was built before; what the host has of it stays.
        """
        if not configdrive.required_by(instance):
            return ()
        drive = self._base / str(instance.uuid) / 'drive'
        if given is not None or not drive.is_dir():
            self._make(drive, instance, network_info, given or guest.Given())
        return (spec.Mount(str(drive), TARGET, read_only=True),)

    def _make(self, drive: pathlib.Path, instance: Any, network_info: Any,
              given: guest.Given) -> None:
        """All of it or nothing: a crash leaves what remove() removes."""
        secret = {'admin_pass': given.admin_password} if given.admin_password else {}
        told = metadata.InstanceMetadata(
            instance, content=[(file.path, file.content) for file in given.files],
            extra_md=secret, network_info=network_info)
        new = drive.with_name('new')
        self.remove(str(instance.uuid))
        self._base.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        drive.parent.mkdir(mode=_PRIVATE)
        _directory(new)
        for path, content in told.metadata_for_config_drive():
            _write(new, pathlib.PurePosixPath(path), content)
        new.rename(drive)

    def remove(self, uuid: str) -> None:
        """Remove the server's drive; nothing to do when it has none."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._base / uuid)

    def uuids(self) -> set[str]:
        """The servers that have something here."""
        return {path.name for path in self._base.iterdir()} if self._base.is_dir() else set()


def _write(drive: pathlib.Path, path: pathlib.PurePosixPath, content: str | bytes) -> None:
    for parent in reversed(path.parents[:-1]):
        if not (drive / parent).is_dir():
            _directory(drive / parent)
    file = drive / path
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    file.chmod(_FILE)


def _directory(path: pathlib.Path) -> None:
    """Readable by all, whatever nova-compute's umask is."""
    path.mkdir()
    path.chmod(_DIRECTORY)
