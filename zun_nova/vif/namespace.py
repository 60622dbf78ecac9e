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

"""Run code in another network namespace, and set its kernel parameters.

Root only: called in the privileged daemon.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import ctypes
import os
import pathlib
import threading
from typing import ParamSpec
from typing import TypeVar

from pyroute2 import netns

P = ParamSpec('P')
R = TypeVar('R')

_libc = ctypes.CDLL(None, use_errno=True)
_SYSCTL = pathlib.Path('/proc/sys')


def run(path: str, func: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call func in the network namespace at this path; returns what it returns.

    :raises OSError: the namespace cannot be entered; or what func raises.
    """
    def enter_and_call() -> R:
        enter(path)
        return func(*args, **kwargs)

    return in_thread(enter_and_call)


def in_thread(func: Callable[[], R]) -> R:
    """Call func, which changes its thread's namespace; returns what it returns.

    It runs in a thread of its own which ends with it: a thread that has once
    entered a namespace must not serve another call (privsep and Nova reuse
    theirs), and forking, as pyroute2's NetNS does, is four times as slow.

    :raises: what func raises.
    """
    results: list[R] = []
    failures: list[BaseException] = []

    def call() -> None:
        try:
            results.append(func())
        except BaseException as exc:  # noqa: BLE001  raised again in the caller's thread
            failures.append(exc)

    thread = threading.Thread(target=call, name='zun-nova-netns')
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def enter(path: str) -> None:
    """Move the calling thread, and only it, into the network namespace."""
    with opened(path) as fd:
        netns.setns(fd)


def leave() -> None:
    """Move the calling thread, and only it, into a new network namespace.

    :raises OSError: the kernel refuses to make one.
    """
    if _libc.unshare(netns.CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), 'cannot make a network namespace')


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """A descriptor of the network namespace, for as long as the block runs."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def set_sysctl(key: str, value: str) -> None:
    """Set a parameter of the calling thread's network namespace.

    Writes only what differs, for writing can have effects of its own.

    :param key: as a path: 'net/ipv6/conf/eth0/disable_ipv6'.
    :raises FileNotFoundError: this kernel has no such parameter.
    """
    parameter = _SYSCTL / key
    if parameter.read_text().split() != value.split():
        parameter.write_text(value)


def has_ipv6() -> bool:
    """Whether the kernel speaks IPv6 at all."""
    return (_SYSCTL / 'net/ipv6').is_dir()
