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

"""What the driver asks of a container engine.

:class:`Runtime` is the life cycle every engine must have. What only some
engines can do is declared in :class:`Capabilities`. Engines are loaded by
name from the entry point group ``zun_nova.runtimes``.

Every method may be called from any thread and at the same time as others;
each call has a deadline. All raise :class:`zun_nova.errors.EngineUnavailable`
and :class:`zun_nova.errors.EngineTimeout` besides what they name. Containers
are found by exact name, never by a part of one.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import enum
from typing import Any

import stevedore.driver

from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import oci

NAMESPACE = 'zun_nova.runtimes'


@dataclasses.dataclass(frozen=True)
class Capabilities:
    """What this engine, as installed on this host, can do beside the life cycle."""

    pause: bool = True
    #: Change cpu and memory limits of a running container.
    update_limits: bool = False
    #: Freeze a container to disk and resume it (CRIU).
    checkpoint: bool = False
    #: Enforce ContainerSpec.disk_bytes on the writable layer.
    disk_quota: bool = False
    #: Knows devices by the names of the Container Device Interface.
    cdi: bool = False
    #: ContainerInfo.oom_killed is to be believed when it is False.
    tells_out_of_memory: bool = True
    #: Run the healthchecks of images and owners.
    healthcheck: bool = True


@dataclasses.dataclass(frozen=True)
class EngineInfo:
    """What the engine says of itself and its host."""

    #: 'docker', 'podman': also Nova's hypervisor type.
    name: str
    #: Such as '20.10.24+dfsg1'.
    version: str
    #: The negotiated API version, such as '1.41'.
    api_version: str
    #: Kernel's name of the machine: 'x86_64', 'aarch64'.
    architecture: str
    cpus: int
    memory_bytes: int
    #: Directory that holds images and writable layers.
    data_root: str
    storage_driver: str
    #: OCI runtimes by the names the engine knows.
    runtimes: tuple[str, ...]
    default_runtime: str
    #: Containers go on running while the engine is restarted.
    live_restore: bool
    capabilities: Capabilities
    #: The disk below data_root, /dev/NAME; None when it is on none of its own.
    disk_device: str | None = None
    #: Root in containers is nobody on the host. None: that is no setting of this engine.
    remaps_users: bool | None = None
    #: What is special about its OCI runtimes, by their names; those left out are as runc.
    special: Mapping[str, oci.OciRuntime] = dataclasses.field(default_factory=dict)

    def oci_runtime(self, name: str | None) -> oci.OciRuntime:
        """What can be done with containers of this runtime; None: of the default one."""
        return self.special.get(name or self.default_runtime, oci.OciRuntime())


class State(enum.Enum):
    """State of a container, whatever the engine calls it."""

    CREATED = 'created'
    RUNNING = 'running'
    PAUSED = 'paused'
    EXITED = 'exited'
    #: Half removed or damaged: only good for remove().
    DEAD = 'dead'


@dataclasses.dataclass(frozen=True)
class ContainerSummary:
    """One row of :meth:`Runtime.list`."""

    id: str
    name: str
    state: State
    labels: Mapping[str, str]
    #: The engine's id of the image it was made from.
    image_id: str


@dataclasses.dataclass(frozen=True)
class StoredImage:
    """One name of an image in the engine's store."""

    #: repository:tag.
    reference: str
    #: The engine's content id; equal content has one id, whatever its names.
    id: str


@dataclasses.dataclass(frozen=True)
class ContainerInfo:
    """One container in full."""

    id: str
    name: str
    state: State
    labels: Mapping[str, str]
    #: The engine's id of the image it was made from.
    image_id: str
    #: Of the first process, in the engine's pid namespace; None unless running.
    pid: int | None
    #: Of the last run; None before the first one has ended, and while it runs.
    exit_code: int | None
    oom_killed: bool
    #: The engine's words on why it could not start, '' when it could.
    error: str
    #: ContainerSpec.stop_timeout.
    stop_timeout: int | None = None
    #: Where it sees volumes that its image wants; what is in them is in no layer.
    volumes: tuple[str, ...] = ()
    #: The OCI runtime, one of EngineInfo.runtimes; None where the engine does not say.
    runtime: str | None = None


class Runtime(abc.ABC):
    """The life cycle of containers on one engine."""

    @abc.abstractmethod
    def info(self) -> EngineInfo:
        """Ask the engine what it is.

        :raises errors.EngineTooOld: it cannot serve this driver.
        """

    @abc.abstractmethod
    def list(self, labels: Mapping[str, str]) -> list[ContainerSummary]:
        """All containers, in whatever state, that carry all these labels.

        What holds an open network (:meth:`open_network`) is one of them, with
        the network's labels, also where it is no container.

        One engine call, however many containers there are.
        """

    @abc.abstractmethod
    def inspect(self, name: str) -> ContainerInfo:
        """The container of exactly this name.

        :raises errors.NotFound: there is none.
        """

    @abc.abstractmethod
    def create(self, spec: container_spec.ContainerSpec) -> str:
        """Make a container with its files and leave it unstarted; returns the engine's id.

        Its network namespace must be open (:meth:`open_network`) unless
        spec.network is None. After a failure :meth:`remove` removes what was
        made.

        :raises errors.Conflict: the name is taken.
        :raises errors.NotFound: the image is not in the engine.
        :raises errors.InvalidRequest: the engine refuses the spec.
        """

    @abc.abstractmethod
    def start(self, name: str) -> None:
        """Start it; nothing to do when it runs already.

        :raises errors.NotFound: there is none.
        :raises errors.StartFailed: its process could not be started.
        """

    @abc.abstractmethod
    def stop(self, name: str, timeout: int) -> None:
        """Send its stop signal and kill it when it still runs after timeout seconds.

        A timeout of 0 kills at once. Nothing to do when it is not running; a
        paused one is stopped all the same.

        :raises errors.NotFound: there is none.
        """

    @abc.abstractmethod
    def pause(self, name: str) -> None:
        """Freeze all its processes; nothing to do when they are frozen already.

        :raises errors.NotFound: there is none.
        :raises errors.Conflict: it is not running.
        """

    @abc.abstractmethod
    def unpause(self, name: str) -> None:
        """Let its processes go on; nothing to do when it is not paused.

        :raises errors.NotFound: there is none.
        """

    @abc.abstractmethod
    def rename(self, name: str, new_name: str) -> None:
        """Give it another name, in whatever state it is.

        Nothing else of it changes: not its labels, nor the network it is in.

        :raises errors.NotFound: there is none.
        :raises errors.Conflict: the new name is taken.
        """

    @abc.abstractmethod
    def remove(self, name: str) -> None:
        """Kill it, remove it and all create() made; nothing to do when absent."""

    @abc.abstractmethod
    def logs(self, name: str, max_bytes: int) -> bytes:
        """The last max_bytes, at most, of what it wrote to stdout and stderr.

        Works in every state.

        :raises errors.NotFound: there is none.
        """

    @abc.abstractmethod
    def open_network(self, network: container_spec.NetworkSpec) -> str:
        """Make the network namespace a container joins, with only lo in it.

        It outlives the container's process and the container. Nothing to do
        when it is open already; one that was lost (restart of the host) is
        made anew.

        :returns: the path of the namespace for setns(2), in the engine's
            mount namespace. It stays the same until close_network() or a
            restart of the host.
        """

    @abc.abstractmethod
    def network_path(self, name: str) -> str:
        """The path :meth:`open_network` returned.

        :raises errors.NotFound: it is not open.
        """

    @abc.abstractmethod
    def close_network(self, name: str) -> None:
        """Remove the network namespace; nothing to do when absent."""


class ImageStore(abc.ABC):
    """The engine's own store of images.

    Images are named ``repository:tag`` by the driver, never by tenants.
    """

    @abc.abstractmethod
    def image_id(self, reference: str) -> str | None:
        """The engine's content id of the image of this name, None when absent."""

    @abc.abstractmethod
    def list_images(self, repository: str) -> list[StoredImage]:
        """All names ``repository:tag`` of this repository, in one engine call."""

    @abc.abstractmethod
    def load_image(self, archive: Iterable[bytes], reference: str) -> str:
        """Load a ``docker save`` archive; returns the engine's content id.

        The archive must name its one image ``reference``. When the iterable
        raises, nothing is loaded and its exception goes to the caller.

        :raises errors.InvalidRequest: the engine cannot read the archive.
        """

    @abc.abstractmethod
    def remove_image(self, reference: str) -> None:
        """Forget the name, and the image when nothing else uses it.

        Nothing to do when absent.

        :raises errors.Conflict: a container uses it.
        """


class Engine(Runtime, ImageStore):
    """A whole engine: what the entry points of ``zun_nova.runtimes`` name."""


def load(conf: Any) -> Engine:
    """The engine that conf.zun_nova.engine names.

    :raises stevedore.exception.NoMatches: no installed package brings it.
    """
    manager = stevedore.driver.DriverManager(
        NAMESPACE, conf.zun_nova.engine, invoke_on_load=True, invoke_args=(conf,))
    engine: Engine = manager.driver
    return engine
