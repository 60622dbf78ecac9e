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

"""What the source of a migration tells its destination.

It travels as Nova's ``disk_info``, from migrate_disk_and_power_off to
finish_migration.
"""

from __future__ import annotations

import dataclasses
import json

#: Of the form below; a destination takes no other.
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Moved:
    """How a server was left on its source."""

    #: The name of its layer; '' when only limits change and its container stays.
    layer: str = ''
    #: The Glance image below it, by its name in the engine; '' when the archive has all layers.
    base: str = ''
    #: Of the archive that was sent; '' when the layer is in this engine.
    sha256: str = ''

    @property
    def stays(self) -> bool:
        """The container goes on as it is."""
        return not self.layer

    @property
    def was_sent(self) -> bool:
        return bool(self.sha256)

    def to_json(self) -> str:
        return json.dumps({'version': VERSION, **dataclasses.asdict(self)})


def from_json(text: str) -> Moved:
    """:raises ValueError: another version of the driver wrote it."""
    values = json.loads(text)
    if values.pop('version', None) != VERSION:
        raise ValueError('source and destination run versions of zun_nova that do not fit')
    return Moved(**values)
