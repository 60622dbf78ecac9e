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

"""Where engines keep the root file systems of containers.

Optional beside :class:`zun_nova.virt.runtime.base.Runtime`.
"""

from __future__ import annotations

import abc
import dataclasses


@dataclasses.dataclass(frozen=True)
class Layers:
    """A root that is in no use, as what overlayfs makes it of: directories of the host."""

    #: Of the image, the topmost first.
    lower: tuple[str, ...]
    #: What the container has written.
    upper: str
    work: str


class Roots(abc.ABC):
    """An engine that tells of what a container's root consists."""

    @abc.abstractmethod
    def root_layers(self, name: str) -> Layers:
        """Of what to mount the root of a container that does not run.

        It must not be started, committed or copied from while it is mounted.

        :raises errors.NotFound: there is none.
        :raises errors.Unsupported: the storage driver keeps roots in another way.
        """
