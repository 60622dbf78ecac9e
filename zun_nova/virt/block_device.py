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

"""Where on this machine a directory is kept: its mount, and the disk below."""

from __future__ import annotations

import dataclasses
import os
import pathlib

SYSFS = pathlib.Path('/sys')


@dataclasses.dataclass(frozen=True)
class Mount:
    """One line of /proc/PID/mountinfo; see proc(5)."""

    path: pathlib.PurePath
    #: 'major:minor' of the file system.
    number: str
    filesystem: str
    source: str
    #: Of the file system, not of this mount.
    options: frozenset[str]


def mount_of(path: str, mountinfo: str) -> Mount:
    """The mount that holds this path.

    :param mountinfo: content of /proc/PID/mountinfo of a process that sees it.
    """
    # max() takes the first of equals: of two mounts on one directory the later one is seen.
    return max(
        (mount for mount in reversed([_mount(line) for line in mountinfo.splitlines()])
         if pathlib.PurePath(path).is_relative_to(mount.path)),
        key=lambda mount: len(mount.path.parts))


def _mount(line: str) -> Mount:
    mount, _, filesystem = line.partition(' - ')
    _id, _parent, number, _root, path, *_ = mount.split()
    kind, source, options = filesystem.split()
    return Mount(pathlib.PurePath(path), number, kind, source, frozenset(options.split(',')))


def disk(mount: Mount, sysfs: pathlib.Path = SYSFS) -> str | None:
    """The whole disk, as /dev/NAME, that a file system is on; None when there is none.

    The kernel limits the use of whole disks only, not that of partitions.
    """
    # btrfs gives itself a number that belongs to no device; then its source says which.
    for entry in (sysfs / 'dev' / 'block' / mount.number,
                  sysfs / 'class' / 'block' / os.path.basename(os.path.realpath(mount.source))):
        if mount.source.startswith('/') and entry.exists():
            device = entry.resolve()
            if (device / 'partition').exists():
                device = device.parent
            return '/dev/' + device.name.replace('!', '/')
    return None
