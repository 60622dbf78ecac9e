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

"""What zun_nova.volume does as root: one privsep context.

os-brick has one of its own. The daemon starts with the first volume.

The daemon imports this package, so nothing here imports Nova.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec
from typing import TypeVar

from oslo_privsep import capabilities
from oslo_privsep import priv_context

from zun_nova.volume import filesystem
from zun_nova.volume import loop
from zun_nova.volume import mounts

P = ParamSpec('P')
R = TypeVar('R')

#: Seconds after which a call is given up; making a file system takes longest.
DEADLINE = 660

context = priv_context.PrivContext(
    'zun_nova.volume',
    cfg_section='zun_nova_volumes_privileged',
    pypath=__name__ + '.context',
    capabilities=[
        capabilities.CAP_SYS_ADMIN,        # mount(2), setns(2), loop devices
        capabilities.CAP_SYS_CHROOT,       # setns(2) into mount namespaces
        capabilities.CAP_SYS_PTRACE,       # open /proc/PID/ns/mnt
        capabilities.CAP_DAC_OVERRIDE,     # devices, and directories of containers
        capabilities.CAP_DAC_READ_SEARCH,
    ],
    timeout=DEADLINE,
)


def _entrypoint(func: Callable[P, R]) -> Callable[P, R]:
    """privsep's decorator, which has no types, with the function's own."""
    wrapped: Callable[P, R] = context.entrypoint(func)
    return wrapped


@_entrypoint
def attach_loop(path: str, read_only: bool) -> str:
    """See :func:`zun_nova.volume.loop.attach`."""
    return loop.attach(path, read_only)


@_entrypoint
def detach_loop(path: str) -> None:
    """See :func:`zun_nova.volume.loop.detach`."""
    loop.detach(path)


@_entrypoint
def resize_loop(path: str) -> None:
    """See :func:`zun_nova.volume.loop.resize`."""
    loop.resize(path)


@_entrypoint
def size(device: str) -> int:
    """See :func:`zun_nova.volume.filesystem.size`."""
    return filesystem.size(device)


@_entrypoint
def probe(device: str) -> str:
    """See :func:`zun_nova.volume.filesystem.probe`."""
    return filesystem.probe(device)


@_entrypoint
def make_filesystem(device: str, kind: str) -> None:
    """See :func:`zun_nova.volume.filesystem.make`."""
    filesystem.make(device, kind)


@_entrypoint
def grow(device: str, kind: str, target: str) -> None:
    """See :func:`zun_nova.volume.filesystem.grow`."""
    filesystem.grow(device, kind, target)


@_entrypoint
def mount(device: str, kind: str, target: str, read_only: bool) -> None:
    """See :func:`zun_nova.volume.mounts.mount`."""
    mounts.mount(device, kind, target, read_only)


@_entrypoint
def unmount(target: str) -> None:
    """See :func:`zun_nova.volume.mounts.unmount`."""
    mounts.unmount(target)


@_entrypoint
def bring_in(pid: int, container_id: str, source: str, target: str) -> None:
    """See :func:`zun_nova.volume.mounts.bring_in`."""
    mounts.bring_in(pid, container_id, source, target)


@_entrypoint
def take_out(pid: int, container_id: str, source: str) -> None:
    """See :func:`zun_nova.volume.mounts.take_out`."""
    mounts.take_out(pid, container_id, source)
