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

"""The container a server becomes, as data.

:func:`build` is pure: flavor, image and the server's own words go in, a
:class:`ContainerSpec` comes out. It does no I/O and knows no engine.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import types

NO_LABELS: Mapping[str, str] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a container may use of its host."""

    memory_bytes: int
    #: Memory and swap together.
    memory_swap_bytes: int
    #: Processor time in each cpu_period_us; 200000 of 100000 is two processors.
    cpu_quota_us: int
    #: Weight against others when processors are short; 1024 per vcpu.
    cpu_shares: int
    #: Processes and threads.
    pids: int
    cpu_period_us: int = 100_000
    #: Size of the writable layer; enforced where the engine can.
    disk_bytes: int = 0


@dataclasses.dataclass(frozen=True)
class Security:
    """What a container is kept from. The seccomp profile is the engine's default."""

    no_new_privileges: bool = True
    cap_drop: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ContainerSpec:
    """Everything an engine needs to make one container.

    A field that is None leaves the image's own value.
    """

    name: str
    #: Reference in the engine's image store.
    image: str
    hostname: str
    limits: Limits
    security: Security
    #: Replaces the image's ENTRYPOINT.
    command: tuple[str, ...] | None = None
    #: Replaces the image's CMD.
    args: tuple[str, ...] | None = None
    env: Mapping[str, str] = NO_LABELS
    user: str | None = None
    working_dir: str | None = None
    tty: bool = False
    stop_signal: str | None = None
    labels: Mapping[str, str] = NO_LABELS
    #: Of the OCI runtime; None is the engine's default.
    runtime: str | None = None
    #: Name given to Runtime.open_network(); None is no network at all.
    network: str | None = None
    sysctls: Mapping[str, str] = NO_LABELS
    log_max_bytes: int = 10 * 1024 * 1024
