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

"""Mounts of volumes on the host and in containers that run; as root.

What is in a container is its tenant's: every name can be a link to anywhere.
So names in it are looked up from within its mount namespace only, where
nothing of the host can be reached.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import ctypes
import errno
import os
import threading
import time

# See mount(2), umount(2), open_tree(2), move_mount(2) and unshare(2).
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_PRIVATE = 1, 2, 4, 1 << 18
_UMOUNT_NOFOLLOW = 8
_OPEN_TREE, _OPEN_TREE_CLONE = 428, 1
_MOVE_MOUNT, _MOVE_MOUNT_F_EMPTY_PATH = 429, 4
_AT_FDCWD = -100
_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000
_OPTIONS = {'xfs': 'nouuid'}   # a clone has the UUID of its origin

#: A container that starts beside holds every mount of the host for a moment.
_TRIES, _PAUSE = 10, 0.1

_libc = ctypes.CDLL(None, use_errno=True)


def mount(device: str, kind: str, target: str, read_only: bool) -> None:
    """Mount without devices and setuid; nothing to do when the device is there.

    :param target: absolute path of a directory of ours.
    """
    if _is_at(target, number_of_device(device)):
        return
    flags = _MS_NOSUID | _MS_NODEV | (_MS_RDONLY if read_only else 0)
    _check(_libc.mount(os.fsencode(device), os.fsencode(target), kind.encode(), flags,
                       _OPTIONS.get(kind, '').encode()), target)
    # What is moved into a container is no more the host's affair.
    _check(_libc.mount(None, os.fsencode(target), None, _MS_PRIVATE, None), target)


def unmount(target: str) -> None:
    """Undo mount(); nothing to do when nothing is mounted there.

    :raises OSError: EBUSY: something uses it.
    """
    for left in reversed(range(_TRIES)):
        try:
            while target in (path for path, _ in _mounted('self')):
                _check(_libc.umount2(os.fsencode(target), _UMOUNT_NOFOLLOW), target)
            return
        except OSError as ex:
            if ex.errno != errno.EBUSY or not left:
                raise
        time.sleep(_PAUSE)


def bring_in(pid: int, container_id: str, source: str, target: str) -> None:
    """Have what mount() has mounted at source in a running container; may be called again.

    :param pid: of a process of the container.
    :param target: absolute path in the container.
    """
    with _namespace(pid, container_id) as namespace:
        number = dict(_mounted('self'))[source]
        if (target, number) in _mounted(str(pid)):
            return
        tree = _libc.syscall(
            _OPEN_TREE, _AT_FDCWD, os.fsencode(source), _OPEN_TREE_CLONE | os.O_CLOEXEC)
        _check(tree, source)
        try:
            _inside(namespace, lambda: _check(_libc.syscall(
                _MOVE_MOUNT, tree, b'', _AT_FDCWD, os.fsencode(target),
                _MOVE_MOUNT_F_EMPTY_PATH), target))
        finally:
            os.close(tree)   # or the volume could not be unmounted


def take_out(pid: int, container_id: str, source: str) -> None:
    """Undo bring_in(), wherever in the container it is by now; nothing to do when it is not.

    :raises OSError: EBUSY: a process of the container uses it.
    """
    with _namespace(pid, container_id) as namespace:
        # Nothing is mounted there: what has the number of the directory's own file system
        # must stay.
        number = dict(_mounted('self')).get(source)
        paths = [path for path, its in _mounted(str(pid)) if its == number]

        def unmount_all() -> None:
            for path in reversed(paths):
                _check(_libc.umount2(os.fsencode(path), _UMOUNT_NOFOLLOW), path)

        if paths:
            _inside(namespace, unmount_all)


@contextlib.contextmanager
def _namespace(pid: int, container_id: str) -> Iterator[int]:
    """The container's mount namespace.

    :raises OSError: ESRCH: the process is none of the container, or no more.
    """
    try:
        namespace = os.open(f'/proc/{pid}/ns/mnt', os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as ex:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from ex
    try:
        # After the namespace is held its process may be another's, but not before.
        with open(f'/proc/{pid}/cgroup') as file:
            ours = container_id in file.read()
        if not ours or os.path.samestat(os.fstat(namespace), os.stat('/proc/self/ns/mnt')):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        yield namespace
    finally:
        os.close(namespace)


def _inside(namespace: int, call: Callable[[], None]) -> None:
    """Make the call in another mount namespace: in a thread that never comes back from there."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            # A thread shares root and working directory with all others, so it cannot go alone.
            _check(_libc.unshare(_CLONE_FS), 'unshare')
            _check(_libc.setns(namespace, _CLONE_NEWNS), 'setns')
            call()
        except BaseException as ex:   # noqa: BLE001  it is raised below
            raised.append(ex)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def _is_at(target: str, number: str) -> bool:
    return (target, number) in _mounted('self')


def _mounted(pid: str) -> list[tuple[str, str]]:
    with open(f'/proc/{pid}/mountinfo') as file:
        return mounted(file.read().splitlines())


def mounted(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Where what is mounted, as major:minor, by lines of mountinfo; see proc(5); pure."""
    fields = (line.split(' ', 5) for line in lines)
    return [(each[4].encode().decode('unicode_escape'), each[2]) for each in fields]


def number_of_device(device: str) -> str:
    """The major:minor of what is on it, once it is mounted."""
    return _number(os.stat(device).st_rdev)


def _number(device: int) -> str:
    return f'{os.major(device)}:{os.minor(device)}'


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
