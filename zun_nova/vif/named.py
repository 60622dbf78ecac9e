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

"""Network namespaces with a name in /run/netns, as iproute2 makes them.

Root only: called in the privileged daemon.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import ctypes
import fcntl
import os
import pathlib
import threading

import pyroute2
from pyroute2 import netns

from zun_nova.vif import namespace

#: Where iproute2 keeps them.
DIRECTORY = pathlib.Path('/run/netns')
_OWN = pathlib.Path('/proc/thread-self')
_MOUNT_POINT = 4   # the field's place in a line, from 0; those that may be absent follow
_FIRST_OPTIONAL = 6

# Of mount(2).
_BIND, _RECURSIVE, _SHARED = 4096, 16384, 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)
_lock = threading.Lock()


def make(name: str) -> None:
    """Have a namespace of this name, only lo in it, which is up.

    One that is there stays as it is.

    :raises OSError: the kernel refuses to make it.
    """
    _check(name)
    path = DIRECTORY / name
    with _lock:
        if is_there(path):
            return
        # What a restart of the host, or of this process, left of one.
        path.unlink(missing_ok=True)
        share_directory()
        namespace.in_thread(lambda: _make(path))


def is_there(path: pathlib.Path) -> bool:
    """Whether a namespace is mounted there, and not only the file to mount it on.

    Needs no privilege.
    """
    try:
        return path.stat().st_dev == os.stat('/proc/self/ns/net').st_dev
    except FileNotFoundError:
        return False


def remove(name: str) -> None:
    """Take the name, and the namespace when nobody is in it; nothing to do when absent."""
    _check(name)
    with _lock, contextlib.suppress(FileNotFoundError):
        netns.remove(str(DIRECTORY / name))


def share_directory() -> None:
    """Have the directory, such that names made in it are seen in other mount namespaces.

    It must become a mount point for that, but only once: every further mount of
    it on itself doubles all that are there, in all mount namespaces that share
    it, until the kernel does nothing else. So this looks first, under the lock
    that iproute2 takes for the same (since 6.0; bugs.debian.org/949235).

    :raises OSError: the kernel refuses.
    """
    DIRECTORY.mkdir(exist_ok=True)
    with _opened(DIRECTORY) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Anew: another process may have mounted it since.
        with _opened(DIRECTORY) as directory:
            is_shared = _is_shared_mount(directory)
        if is_shared is None:
            _mount(DIRECTORY, DIRECTORY, _BIND | _RECURSIVE)
        if not is_shared:
            _mount(DIRECTORY, DIRECTORY, _SHARED)


def _is_shared_mount(directory: int) -> bool | None:
    """What is_shared_mount() says of an open directory."""
    return is_shared_mount(
        (_OWN / 'mountinfo').read_text(), (_OWN / f'fdinfo/{directory}').read_text(),
        os.readlink(_OWN / f'fd/{directory}'))


def is_shared_mount(mountinfo: str, fdinfo: str, path: str) -> bool | None:
    """Whether mounts made below a directory are seen elsewhere; None: it is no mount point.

    Pure. To compare devices, as os.path.ismount() does, tells nothing of a directory that is
    mounted on itself.

    :param mountinfo: of this thread, as proc(5) has it.
    :param fdinfo: of the open directory.
    :param path: of it.
    """
    mount = dict(line.split(':\t', 1) for line in fdinfo.splitlines())['mnt_id']
    for line in mountinfo.splitlines():
        fields = line.split(' ')
        if (fields[0], fields[_MOUNT_POINT]) == (mount, path):
            optional = fields[_FIRST_OPTIONAL:fields.index('-', _FIRST_OPTIONAL)]
            return any(field.startswith('shared:') for field in optional)
    return None


def _make(path: pathlib.Path) -> None:
    namespace.leave()
    with pyroute2.IPRoute() as ipr:
        ipr.link('set', index=1, state='up')
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0))
    # A name for the thread's own: nobody sees the namespace before it is ready.
    _mount(_OWN / 'ns/net', path, _BIND)


@contextlib.contextmanager
def _opened(directory: pathlib.Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _mount(source: pathlib.Path, target: pathlib.Path, flags: int) -> None:
    if _libc.mount(bytes(source), bytes(target), b'none', ctypes.c_ulong(flags), None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def _check(name: str) -> None:
    if not name or '/' in name or name.startswith('.'):
        raise ValueError(f'{name!r} is no name of a network namespace')
