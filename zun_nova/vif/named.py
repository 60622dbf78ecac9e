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

import contextlib
import os
import pathlib
import threading

import pyroute2
from pyroute2 import netns

from zun_nova.vif import namespace

#: Where iproute2 keeps them.
DIRECTORY = pathlib.Path('/run/netns')
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
        namespace.in_thread(lambda: _make(name))


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
        netns.remove(name)


def _make(name: str) -> None:
    namespace.leave()
    with pyroute2.IPRoute() as ipr:
        ipr.link('set', index=1, state='up')
    # A name for the thread's own: nobody sees the namespace before it is ready.
    netns.attach(name, 'thread-self')


def _check(name: str) -> None:
    if not name or '/' in name or name.startswith('.'):
        raise ValueError(f'{name!r} is no name of a network namespace')
