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

"""What differs between the OCI runtimes that one engine runs containers with; pure.

runc and crun make processes of the host. gVisor (runsc) answers a container's system calls
itself and Kata runs it in a virtual machine: what the host sees of such a container is not what is
in it.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import os

GVISOR = 'gVisor'
KATA = 'Kata'

# Its own threads count: an idle sandbox has about 37, and does not start when there may be fewer.
_GVISOR_LEAST_PIDS = 128
_HOST_NETWORK = '--network=host'


@dataclasses.dataclass(frozen=True)
class OciRuntime:
    """What can be done with a container that it runs."""

    #: GVISOR, KATA, or '' for one whose containers are processes of the host.
    sandbox: str = ''
    #: Why a running container gets no further network interface; '' when it does.
    no_hotplug: str = ''
    #: Change the limits of a running container.
    update_limits: bool = True
    #: Fewer processes may not be allowed.
    least_pids: int = 0


def of(name: str, path: str, arguments: Sequence[str]) -> OciRuntime:
    """What is known of an OCI runtime.

    :param name: by which the engine knows it.
    :param path: of its program; '' or a name of containerd's (io.containerd.kata.v2) where the
        engine names no program.
    :param arguments: what the engine gives it before all others.
    """
    names = (name, os.path.basename(path), *path.split('.'))
    # Flags can be written with one dash as well.
    given = {'-' + argument if argument[:2] != '--' else argument for argument in arguments}
    if any(each.startswith('runsc') for each in names):
        return _gvisor(name, given)
    if any(each.startswith('kata') for each in names):
        return OciRuntime(sandbox=KATA, update_limits=False)
    return OciRuntime()


def _gvisor(name: str, arguments: set[str]) -> OciRuntime:
    return OciRuntime(
        sandbox=GVISOR,
        no_hotplug='' if _HOST_NETWORK in arguments else (
            f'the OCI runtime {name} sees interfaces only when it starts; stop the server first'),
        update_limits=False,
        least_pids=_GVISOR_LEAST_PIDS,
    )
