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

"""What is on a device, and file systems for those with nothing; as root.

A file system is what its tenant made it: the kernel reads it, no program of ours does.
"""

from __future__ import annotations

from oslo_concurrency import processutils

XFS, EXT4 = 'xfs', 'ext4'
#: Those that may be mounted; other drivers of the kernel are no better than their fuzzers.
KNOWN = (XFS, EXT4, 'ext3', 'ext2')
#: Under this size there is no XFS: mkfs.xfs refuses.
XFS_LEAST_BYTES = 300 * 1024 ** 2

#: Seconds that a program may take.
_DEADLINE = 600
_BLOCK = 1024 ** 2
#: blkid's exit code for nothing found.
_NOTHING = 2


def choose(wanted: str, size: int) -> str:
    """The file system for an empty device of so many bytes; pure."""
    return EXT4 if wanted == XFS and size < XFS_LEAST_BYTES else wanted


def probe(device: str) -> str:
    """The type of what is on it by blkid's names, '' for nothing.

    'unknown' for data that blkid does not know, 'partitions' for a partition table.
    """
    output, _ = processutils.execute(
        'blkid', '--probe', '--output', 'export', device, timeout=_DEADLINE,
        check_exit_code=[0, _NOTHING])
    return kind_of(output) or ('' if _is_blank(device) else 'unknown')


def kind_of(output: str) -> str:
    """The same by what blkid has told; pure."""
    told = dict(line.split('=', 1) for line in output.splitlines() if '=' in line)
    if 'TYPE' in told:
        return told['TYPE']
    return 'partitions' if 'PTTYPE' in told else ''


def _is_blank(device: str) -> bool:
    """Whether beginning and end are zeros, as of a new volume."""
    with open(device, 'rb') as file:
        begin = file.read(_BLOCK)
        file.seek(max(0, size(device) - _BLOCK))
        return not (begin.strip(b'\0') or file.read(_BLOCK).strip(b'\0'))


def size(device: str) -> int:
    """In bytes."""
    with open(device, 'rb') as file:
        return file.seek(0, 2)


def make(device: str, kind: str) -> None:
    """Make a file system of KNOWN; whatever is there is gone."""
    force = '-f' if kind == XFS else '-F'
    processutils.execute(f'mkfs.{kind}', '-q', force, device, timeout=_DEADLINE)


def grow(device: str, kind: str, target: str) -> None:
    """Have a mounted file system use all of its device.

    :param target: where it is mounted.
    """
    if kind == XFS:
        processutils.execute('xfs_growfs', '-d', target, timeout=_DEADLINE)
    else:
        processutils.execute('resize2fs', device, timeout=_DEADLINE)
