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

"""The errors of zun_nova, by kind.

::

    ZunNovaError
    ├── EngineError              the container engine did not do what it was asked
    │   ├── EngineUnavailable    no answer: not running, refused, cut off (may be tried again)
    │   ├── EngineTimeout        no answer within the deadline (the outcome is unknown)
    │   ├── EngineTooOld         it runs, but it cannot serve this driver
    │   ├── NotFound             it knows no such container or image
    │   ├── Conflict             the object is in a state that forbids the operation
    │   ├── Unsupported          this engine or OCI runtime cannot do it at all
    │   ├── InvalidRequest       it refuses the arguments
    │   ├── StartFailed          the container's process could not be started
    │   ├── AccessDenied         a registry wants other credentials than it was given
    │   └── RegistryUnavailable  a registry does not answer as it should (may be tried again)
    ├── InvalidSpec              what the user or operator asked for makes no container
    ├── ImageInvalid             the image's bytes are no image that can be run
    ├── ImageUnavailable         Glance or a registry does not deliver it (may be tried again)
    ├── OtherTenant              the host may not have servers of both projects
    ├── TooLarge                 what a server has written does not fit where it is to go
    ├── TransferFailed           it could not be brought to another host (may be tried again)
    ├── ImageNotStored           Glance does not take an image (may be tried again)
    ├── VifError                 a port could not be wired to the server
    ├── VolumeError              a volume could not be brought to the server, or taken from it
    │   └── VolumeInUse          a process has it open
    ├── SwitchUnavailable        the host's switch does not say which ports it has
    └── ConsoleUnavailable       nobody can reach the terminals of this host's servers

``zun_nova.virt.runtime`` maps what engines answer to these kinds;
``zun_nova.virt.faults`` maps these kinds to Nova's exceptions. Nothing else
compares error texts or status codes.
"""

from __future__ import annotations


class ZunNovaError(Exception):
    """Base of all errors raised by zun_nova; the text is meant for people."""


class EngineError(ZunNovaError):
    """The container engine did not do what it was asked.

    :param operation: what was asked, as a verb phrase ("create container X").
    :param detail: the engine's own words or ours; must hold no secret.
    """

    def __init__(self, operation: str, detail: str) -> None:
        super().__init__(f'Cannot {operation}: {detail}')
        self.operation = operation
        self.detail = detail


class EngineUnavailable(EngineError):
    """No answer from the engine; the same call may succeed later."""


class EngineTimeout(EngineError):
    """No answer before the deadline; whether it was done is unknown."""


class EngineTooOld(EngineError):
    """The engine's API is older than this driver can use."""


class NotFound(EngineError):
    """The engine knows no such container or image."""


class Conflict(EngineError):
    """The container's present state forbids the operation."""


class Unsupported(EngineError):
    """This engine or OCI runtime cannot do it, now or later."""


class InvalidRequest(EngineError):
    """The engine refuses the arguments."""


class StartFailed(EngineError):
    """The container exists, but its process could not be started."""


class AccessDenied(EngineError):
    """A registry does not give the image to whom the credentials belong."""


class RegistryUnavailable(EngineError):
    """A registry does not answer, or not as one should; it may later."""


class InvalidSpec(ZunNovaError):
    """What was asked for makes no container.

    :param where: the field and where it came from ("metadata container:env").
    :param reason: what is wrong and what would be right.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f'{where}: {reason}')
        self.where = where
        self.reason = reason


class ImageInvalid(ZunNovaError):
    """The image's bytes are no image that can be run."""

    def __init__(self, image_id: str, reason: str) -> None:
        super().__init__(f'Image {image_id} cannot be run as a container: {reason}')
        self.image_id = image_id
        self.reason = reason


class ImageUnavailable(ZunNovaError):
    """The image could not be fetched; the same call may succeed later.

    :param reason: who failed and how; must hold no secret.
    """

    def __init__(self, image_id: str, reason: str) -> None:
        super().__init__(f'Image {image_id} cannot be fetched: {reason}')
        self.image_id = image_id
        self.reason = reason


class OtherTenant(ZunNovaError):
    """A flavor keeps servers of different projects from sharing this host."""


class TooLarge(ZunNovaError):
    """What a server has written does not fit where it is to go."""


class TransferFailed(ZunNovaError):
    """What a server has written could not be brought to another host.

    :param host: the other host's address.
    :param reason: what failed, and its cure; must hold no secret.
    """

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f'Cannot bring the server to {host}: {reason}')
        self.host = host
        self.reason = reason


class ImageNotStored(ZunNovaError):
    """The image could not be given to Glance; another one may be.

    :param reason: who failed and how; must hold no secret.
    """

    def __init__(self, image_id: str, reason: str) -> None:
        super().__init__(f'Image {image_id} cannot be stored: {reason}')
        self.image_id = image_id
        self.reason = reason


class VifError(ZunNovaError):
    """A port could not be wired to the server.

    :param port_id: the Neutron port's UUID.
    """

    def __init__(self, port_id: str, reason: str) -> None:
        super().__init__(f'Port {port_id}: {reason}')
        self.port_id = port_id
        self.reason = reason


class VolumeError(ZunNovaError):
    """A volume could not be brought to the server, or taken from it.

    :param reason: why, and the cure; must hold no secret.
    """

    def __init__(self, volume_id: str, reason: str) -> None:
        super().__init__(f'Volume {volume_id}: {reason}')
        self.volume_id = volume_id
        self.reason = reason


class VolumeInUse(VolumeError):
    """A process of the server has it open."""

    def __init__(self, volume_id: str) -> None:
        super().__init__(volume_id, (
            'a process uses it; end all that have files open on it, or stop the server'))


class SwitchUnavailable(ZunNovaError):
    """The host's virtual switch does not answer; the same call may succeed later."""

    def __init__(self, reason: str) -> None:
        super().__init__(f'The virtual switch does not answer: {reason}')


class ConsoleUnavailable(ZunNovaError):
    """Nobody can reach the terminals of this host's servers.

    :param address: where they should be reached.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f'Cannot offer serial consoles at {address}: {reason}')
