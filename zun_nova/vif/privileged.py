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

"""All that zun_nova does as root: one privsep context, ten calls.

Arguments and results are only what msgpack carries; a Nic travels as
:meth:`zun_nova.vif.model.Nic.to_wire`. A failure arrives in the caller as
OSError or pyroute2's NetlinkError, whichever the kernel's answer became.

The daemon imports this package, so nothing here imports Nova: that would cost
it half a second and thirty megabytes.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import ParamSpec
from typing import TypeVar

from oslo_privsep import capabilities
from oslo_privsep import priv_context

from zun_nova.vif import announce
from zun_nova.vif import link
from zun_nova.vif import model
from zun_nova.vif import named
from zun_nova.virt.runtime import sessions

P = ParamSpec('P')
R = TypeVar('R')

#: Seconds after which a call is given up; each takes a few milliseconds.
DEADLINE = 60

context = priv_context.PrivContext(
    'zun_nova.vif',
    cfg_section='zun_nova_privileged',
    pypath=__name__ + '.context',
    capabilities=[
        capabilities.CAP_KILL,        # what was started in a container for somebody who left
        capabilities.CAP_NET_ADMIN,   # links, addresses, routes, sysctls
        capabilities.CAP_NET_RAW,     # gratuitous ARP, unsolicited NA
        capabilities.CAP_SYS_ADMIN,   # setns(2)
        capabilities.CAP_SYS_PTRACE,  # open /proc/PID/ns/net of a process with other capabilities
    ],
    timeout=DEADLINE,
)


def _entrypoint(func: Callable[P, R]) -> Callable[P, R]:
    """privsep's decorator, which has no types, with the function's own."""
    wrapped: Callable[P, R] = context.entrypoint(func)
    return wrapped


@_entrypoint
def is_wired(nic: Mapping[str, Any], netns_path: str) -> bool:
    """See :func:`zun_nova.vif.link.is_wired`."""
    return link.is_wired(model.Nic.from_wire(nic), netns_path)


@_entrypoint
def create(nic: Mapping[str, Any], netns_path: str | None) -> None:
    """See :func:`zun_nova.vif.link.create`."""
    link.create(model.Nic.from_wire(nic), netns_path)


@_entrypoint
def bring_in(nic: Mapping[str, Any], netns_path: str) -> bool:
    """See :func:`zun_nova.vif.link.bring_in`."""
    return link.bring_in(model.Nic.from_wire(nic), netns_path)


@_entrypoint
def attach(nic: Mapping[str, Any]) -> None:
    """See :func:`zun_nova.vif.link.attach`."""
    link.attach(model.Nic.from_wire(nic))


@_entrypoint
def configure(nic: Mapping[str, Any], netns_path: str) -> None:
    """See :func:`zun_nova.vif.link.configure`."""
    link.configure(model.Nic.from_wire(nic), netns_path)


@_entrypoint
def delete(device: str) -> None:
    """See :func:`zun_nova.vif.link.delete`."""
    link.delete(device)


@_entrypoint
def send_announcements(nic: Mapping[str, Any], netns_path: str) -> None:
    """See :func:`zun_nova.vif.announce.send`."""
    announce.send(model.Nic.from_wire(nic), netns_path)


@_entrypoint
def kill_session(pid: int, container_id: str) -> int:
    """See :func:`zun_nova.virt.runtime.sessions.kill`."""
    return sessions.kill(pid, container_id)


@_entrypoint
def make_namespace(name: str) -> None:
    """See :func:`zun_nova.vif.named.make`."""
    named.make(name)


@_entrypoint
def remove_namespace(name: str) -> None:
    """See :func:`zun_nova.vif.named.remove`."""
    named.remove(name)
