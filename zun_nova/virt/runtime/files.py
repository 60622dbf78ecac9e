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

"""Files in containers that do not run yet.

Optional beside :class:`zun_nova.virt.runtime.base.Runtime`.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable

from zun_nova.virt import process


class Files(abc.ABC):
    """An engine that looks into containers and puts files there.

    Paths are absolute; links on the way are followed inside the container
    only. :class:`zun_nova.errors.NotFound` is raised where there is no such
    container.
    """

    @abc.abstractmethod
    def read_file(self, name: str, path: str, max_bytes: int) -> bytes | None:
        """What the file holds; None unless it is a regular file of at most that size."""

    @abc.abstractmethod
    def has_directory(self, name: str, path: str) -> bool:
        """Whether there is a directory, or a link to one."""

    @abc.abstractmethod
    def put_files(self, name: str, files: Iterable[process.File]) -> None:
        """Put them into the container, as :meth:`Runtime.create` does; may be called again.

        :raises errors.InvalidRequest: a file cannot be where it should.
        """
