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
from typing import Any

from zun_nova import errors
from zun_nova.virt import flavor_config
from zun_nova.virt import flavor_quota
from zun_nova.virt import identity
from zun_nova.virt import owner_config
from zun_nova.virt import process
from zun_nova.virt import processors as host_processors

#: System metadata in which Nova keeps the image's properties.
_IMAGE_PREFIX = 'image_'
#: Where containers find their huge pages.
HUGE_PAGES = '/dev/hugepages'


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a container may use of its host."""

    memory_bytes: int
    #: Memory and swap together.
    memory_swap_bytes: int
    #: Processor time in each cpu_period_us; 200000 of 100000 is two processors, 0 no limit.
    cpu_quota_us: int
    #: Weight against others when processors are short; 1024 per vcpu.
    cpu_shares: int
    #: Processes and threads.
    pids: int
    cpu_period_us: int = 100_000
    #: Size of the writable layer; enforced where the engine can.
    disk_bytes: int = 0
    #: Of the device that holds the writable layer.
    disk: flavor_quota.DiskLimits = flavor_quota.NO_DISK_LIMITS
    #: Processors of the host; empty is all.
    cpus: tuple[int, ...] = ()
    #: NUMA nodes of the host for its memory; empty is all.
    mems: tuple[int, ...] = ()
    #: For files in hugetlbfs, the smallest size at HUGE_PAGES.
    huge_pages: tuple[host_processors.HugePages, ...] = ()


def huge_pages_path(pages: host_processors.HugePages, number: int) -> str:
    """Where a container has its huge pages of this size, the number-th from 0 of its sizes."""
    return HUGE_PAGES + (f'-{pages.size_kb}kB' if number else '')


@dataclasses.dataclass(frozen=True)
class Security:
    """What a container is kept from, and what it may beyond others."""

    no_new_privileges: bool = True
    #: Of the engine's default capabilities; names without CAP_, or ALL.
    cap_drop: tuple[str, ...] = ()
    #: In spite of cap_drop, too.
    cap_add: tuple[str, ...] = ()
    #: All of the host; the others but no_new_privileges mean nothing then.
    privileged: bool = False
    #: No seccomp profile instead of the engine's default.
    seccomp_unconfined: bool = False
    devices: tuple[flavor_config.Device, ...] = ()
    #: Names that the engine must know (Capabilities.cdi).
    cdi: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
    """A server's network namespace, and the files that go with it.

    Host name and name servers belong to the namespace, not to the container:
    engines give them to all containers that join it.
    """

    name: str
    hostname: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: For resolv.conf; IPv4 or IPv6 addresses in order of preference. None at
    #: all means none: never those of the compute host.
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    #: The server's own addresses, for its names in the hosts file.
    addresses: tuple[str, ...] = ()
    #: What the hosts file calls it besides its host name.
    aliases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Mount:
    """A file or directory of the host that a container sees, with what is mounted in it."""

    #: Path on the host; it must exist.
    source: str
    #: Absolute path in the container; made when absent.
    target: str
    read_only: bool = False
    #: read_only is also what is mounted in it, where the engine can do that.
    recursive: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContainerSpec(process.Process):
    """Everything an engine needs to make one container: its process and what surrounds it."""

    name: str
    #: Reference in the engine's image store.
    image: str
    limits: Limits
    security: Security
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: Of the OCI runtime; None is the engine's default.
    runtime: str | None = None
    #: NetworkSpec.name of an open network; None is no network at all.
    network: str | None = None
    mounts: tuple[Mount, ...] = ()
    #: Name of a container whose volumes it shares: they stay as long as one of the two.
    volumes_from: str | None = None
    log_max_bytes: int = 10 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Defaults:
    """What nova.conf says for every server of this host."""

    host: str
    runtime: str | None
    pids_limit: int
    cap_drop: tuple[str, ...]
    log_max_bytes: int
    processors: host_processors.Processors = host_processors.ANY


def defaults(conf: Any, host: str) -> Defaults:
    """Read the options that shape the containers of the compute service on host.

    :raises nova.exception.InvalidConfiguration: nova.conf gives servers
        processors that this host has not.
    """
    options = conf.zun_nova
    return Defaults(
        host=host,
        runtime=options.default_runtime,
        pids_limit=options.pids_limit,
        cap_drop=tuple(options.drop_capabilities),
        log_max_bytes=options.log_max_size_mb * 1024 * 1024,
        processors=host_processors.of_host(),
    )


def build(instance: Any, image: str, os_command_line: str | None,
          default: Defaults) -> ContainerSpec:
    """The container that this server becomes.

    :param instance: Nova's Instance with flavor, metadata, system metadata and
        NUMA topology loaded.
    :param image: the image's reference in the engine.
    :param os_command_line: the Glance image property of that name.
    :raises errors.InvalidSpec: the owner or the flavor asks for what makes no
        container; the text names the key and the rule.
    """
    properties = {key.removeprefix(_IMAGE_PREFIX): text
                  for key, text in instance.system_metadata.items()
                  if key.startswith(_IMAGE_PREFIX + owner_config.PREFIX)}
    if os_command_line:
        properties[owner_config.COMMAND_LINE] = os_command_line
    wishes = process.from_config(
        owner_config.read(instance.user_data, instance.metadata, properties))
    return of_process(instance, image, wishes, default)


def of_process(instance: Any, image: str, wishes: process.Process,
               default: Defaults) -> ContainerSpec:
    """The same with a process that is not its owner's.

    :raises errors.InvalidSpec: the flavor asks for what makes no container.
    """
    power = flavor_config.from_extra_specs(instance.flavor.extra_specs)
    name = identity.container_name(instance)
    return ContainerSpec(
        name=name,
        image=image,
        limits=_limits(
            instance.flavor, power.pids_limit or default.pids_limit,
            host_processors.choice(instance.numa_topology, default.processors)),
        security=_security(power, default),
        labels=identity.labels(instance, default.host, identity.ROLE_SERVER),
        runtime=power.runtime or default.runtime,
        network=name,
        log_max_bytes=default.log_max_bytes,
        **vars(wishes),
    )


def _security(power: flavor_config.FlavorConfig, default: Defaults) -> Security:
    kept = () if flavor_config.ALL in power.cap_add else tuple(
        name for name in default.cap_drop if name not in power.cap_add)
    return Security(
        no_new_privileges=power.no_new_privileges,
        cap_drop=tuple(dict.fromkeys((*kept, *power.cap_drop))),
        cap_add=power.cap_add,
        privileged=power.privileged,
        seccomp_unconfined=power.seccomp_unconfined,
        devices=power.devices,
        cdi=power.cdi,
    )


def limits(flavor: Any, default: Defaults) -> Limits:
    """What servers of this flavor may use that Nova has given no processors of their own.

    :raises errors.InvalidSpec: it asks for what no container keeps.
    """
    power = flavor_config.from_extra_specs(flavor.extra_specs)
    return _limits(flavor, power.pids_limit or default.pids_limit,
                   host_processors.choice(None, default.processors))


def _limits(flavor: Any, pids: int, choice: host_processors.Choice) -> Limits:
    if flavor.ephemeral_gb:
        raise errors.InvalidSpec(
            'flavor ephemeral disk', 'a container has one disk; give the server a volume')
    quota = flavor_quota.from_extra_specs(flavor.extra_specs)
    memory = flavor.memory_mb * 1024 * 1024
    period = quota.cpu_period_us or Limits.cpu_period_us
    of_one = quota.cpu_quota_us
    if of_one is None:
        # Processors of its own are all that it can use, and at any time.
        of_one = 0 if choice.dedicated else period
    return Limits(
        memory_bytes=memory,
        memory_swap_bytes=memory + flavor.swap * 1024 * 1024,
        cpu_period_us=period,
        cpu_quota_us=flavor.vcpus * of_one,
        cpu_shares=quota.cpu_shares or flavor.vcpus * 1024,
        pids=pids,
        disk_bytes=flavor.root_gb * 1024 ** 3,
        disk=quota.disk,
        cpus=choice.cpus,
        mems=choice.mems,
        huge_pages=choice.huge_pages,
    )
