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

"""What engines can do that fetch images from registries.

Optional beside :class:`zun_nova.virt.runtime.base.ImageStore`: an engine that
is no :class:`Puller` runs images from Glance only.
"""

from __future__ import annotations

import abc
from collections.abc import Generator
import dataclasses


@dataclasses.dataclass(frozen=True)
class Credentials:
    """Who asks a registry; never shown."""

    username: str = dataclasses.field(repr=False)
    password: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Platform:
    """What an image runs on, by Go's names; '' where it does not say."""

    system: str
    architecture: str

    def __str__(self) -> str:
        return f'{self.system}/{self.architecture}'


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a pull is, in bytes of compressed layers."""

    received: int
    #: Of the layers whose size is known by now.
    total: int


class Puller(abc.ABC):
    """Fetches images from registries.

    ``remote`` is always ``registry/repository@sha256:...``. Nobody's
    credentials but the given ones are used; None is nobody.
    """

    @abc.abstractmethod
    def platforms(self, remote: str, credentials: Credentials | None) -> list[Platform]:
        """Ask the registry for the image, whether or not the engine has it.

        The proof that these credentials may have it: pull() needs none for
        what the engine has.

        :raises errors.AccessDenied: they may not.
        :raises errors.NotFound: the registry has no such image.
        :raises errors.RegistryUnavailable: it does not answer as it should.
        """

    @abc.abstractmethod
    def pull(self, remote: str, reference: str, credentials: Credentials | None,
             timeout: float) -> Generator[Progress, None, None]:
        """Fetch the image; at the end the engine has it under the name ``reference`` alone.

        To close the generator before gives it up and leaves nothing. Not for
        several threads with one digest at a time.

        :param timeout: seconds without progress after which it has failed.
        :raises errors.InvalidRequest: what the registry holds is no image that the
            engine can take; besides what platforms() raises.
        """
