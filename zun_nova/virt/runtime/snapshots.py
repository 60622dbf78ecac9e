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

"""What engines can do that make images of containers.

Optional beside :class:`zun_nova.virt.runtime.base.ImageStore`.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
import contextlib


class Snapshots(abc.ABC):
    """Makes images of containers and hands them out."""

    @abc.abstractmethod
    def commit(self, name: str, reference: str, pause: bool, timeout: float) -> str:
        """Make an image of what the container of exactly this name has written.

        A container made of it runs the same: command, arguments, environment,
        user and working directory are the image's. Of the container's labels
        it has the names at most. The container is left in the state it was
        in, also when the caller dies. Another image of this name loses it.

        :param reference: the image's name, ``repository:tag``.
        :param pause: freeze a running container meanwhile, so that its files
            are of one moment. A paused one stays so.
        :param timeout: seconds it may take. Later, whether it was or will be
            done is unknown.
        :returns: the engine's content id.
        :raises errors.NotFound: there is no such container.
        :raises errors.Conflict: it is being removed.
        :raises errors.Unsupported: not all it has written would be in the image.
        """

    @abc.abstractmethod
    def save_image(self, reference: str,
                   timeout: float) -> contextlib.AbstractContextManager[Iterator[bytes]]:
        """The image as a ``docker save`` archive, in pieces, as the engine makes it.

        It has the engine's names and notes in it; nothing of it is kept in
        memory. The iterator raises errors.EngineError when the engine breaks
        off, but a cut archive can also just end: its reader must notice.
        What is raised inside the block is not touched.

        :param timeout: seconds without a byte after which it has failed.
        :raises errors.NotFound: there is no image of this name.
        """
