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

"""What zun_nova.virt does as root: one privsep context, two calls.

Overlayfs does what a container writes with the rights of who mounted it, so
these are more rights than :mod:`zun_nova.vif.privileged` has. The daemon
starts with the first rescue.

The daemon imports this package, so nothing here imports Nova.
"""

from __future__ import annotations

from collections.abc import Sequence

from oslo_privsep import capabilities
from oslo_privsep import priv_context

from zun_nova.virt import overlay

#: Seconds after which a call is given up.
DEADLINE = 60

context = priv_context.PrivContext(
    'zun_nova.virt',
    cfg_section='zun_nova_mounts_privileged',
    pypath=__name__ + '.context',
    capabilities=[
        capabilities.CAP_SYS_ADMIN,       # mount(2), trusted.overlay.*
        capabilities.CAP_DAC_OVERRIDE,    # all else is what writing files of any owner takes
        capabilities.CAP_DAC_READ_SEARCH,
        capabilities.CAP_CHOWN,
        capabilities.CAP_FOWNER,
        capabilities.CAP_FSETID,
        capabilities.CAP_SETFCAP,
        capabilities.CAP_MKNOD,
    ],
    timeout=DEADLINE,
)


@context.entrypoint  # type: ignore[untyped-decorator]  # privsep has no types
def mount_overlay(lower: Sequence[str], upper: str, work: str, target: str) -> None:
    """See :func:`zun_nova.virt.overlay.mount`."""
    overlay.mount(lower, upper, work, target)


@context.entrypoint  # type: ignore[untyped-decorator]
def unmount(target: str) -> None:
    """See :func:`zun_nova.virt.overlay.unmount`."""
    overlay.unmount(target)
