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

"""Mounts of overlayfs; as root, so nothing here looks into what is mounted.

Its content is a tenant's: every name in it can be a link to anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import ctypes
import errno
import os
import pathlib

# See mount(2) and umount(2).
_MS_NOSUID = 2
_MS_NODEV = 4
_UMOUNT_NOFOLLOW = 8
# Of the paths of layers, which with 125 of them would not fit into the one page of options.
_PATH_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Where it is on, the layers remember with what they were mounted. Docker turns it off likewise.
_INDEX = pathlib.Path('/sys/module/overlay/parameters/index')
_MOUNTINFO = pathlib.Path('/proc/self/mountinfo')

_libc = ctypes.CDLL(None, use_errno=True)


def mount(lower: Sequence[str], upper: str, work: str, target: str) -> None:
    """Mount these layers, without devices and setuid; nothing to do when something is there.

    Whoever writes through the mount does it with the rights of who calls this:
    all that a container's root may do with files is needed.

    :param target: absolute path of a directory without links in it.
    """
    if is_mounted(target):
        return
    with contextlib.ExitStack() as opened:
        names = [_held(opened, path) for path in (*lower, upper, work)]
        options = (f'lowerdir={":".join(names[:-2])},upperdir={names[-2]},workdir={names[-1]}'
                   f'{",index=off" if _INDEX.exists() else ""}')
        _check(_libc.mount(b'overlay', os.fsencode(target), b'overlay',
                           _MS_NOSUID | _MS_NODEV, os.fsencode(options)), target)


def unmount(target: str) -> None:
    """Undo mount(); nothing to do when nothing is mounted there."""
    with contextlib.suppress(FileNotFoundError):
        while is_mounted(target):
            _check(_libc.umount2(os.fsencode(target), _UMOUNT_NOFOLLOW), target)


def is_mounted(target: str) -> bool:
    """Whether something is mounted at exactly this path, in this mount namespace."""
    return target in mount_points(_MOUNTINFO.read_text().splitlines())


def mount_points(lines: Iterable[str]) -> set[str]:
    """The paths of /proc/self/mountinfo."""
    return {line.split(' ', 5)[4].encode().decode('unicode_escape') for line in lines}


def _held(opened: contextlib.ExitStack, path: str) -> str:
    """A short name of the directory, good as long as the stack is open."""
    fd = os.open(path, _PATH_FLAGS)
    opened.callback(os.close, fd)
    return f'/proc/self/fd/{fd}'


def _check(result: int, target: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def explain(ex: OSError) -> str:
    """What an administrator reads."""
    if ex.errno == errno.EBUSY:
        return f'{ex}: a program on the host uses it'
    return str(ex)
