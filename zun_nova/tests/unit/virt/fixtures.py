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

"""Stand-ins for what zun_nova.virt does as root."""

from __future__ import annotations

from collections.abc import Sequence
import errno
from unittest import mock

import fixtures

from zun_nova.virt import overlay
from zun_nova.virt import privileged


class RecordedMounts(fixtures.Fixture):
    """No mounts at all; says what would be mounted."""

    def __init__(self) -> None:
        super().__init__()
        #: The upper layer of what is mounted, by target.
        self.mounted: dict[str, str] = {}
        #: Targets that cannot be unmounted.
        self.busy: set[str] = set()
        #: What mounting raises.
        self.error: OSError | None = None

    def _setUp(self) -> None:
        for owner, name, value in (
                (privileged, 'mount_overlay', self._mount),
                (privileged, 'unmount', self._unmount),
                (overlay, 'is_mounted', lambda target: target in self.mounted)):
            patcher = mock.patch.object(owner, name, value)
            patcher.start()
            self.addCleanup(patcher.stop)

    def _mount(self, lower: Sequence[str], upper: str, work: str, target: str) -> None:
        if self.error:
            raise self.error
        self.mounted.setdefault(target, upper)

    def _unmount(self, target: str) -> None:
        if target in self.busy:
            raise OSError(errno.EBUSY, 'Device or resource busy')
        self.mounted.pop(target, None)
