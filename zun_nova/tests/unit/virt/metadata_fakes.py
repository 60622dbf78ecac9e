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

"""Nova's InstanceMetadata without database, Neutron and vendors of data."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any


class Told:
    """Tells back what it was given, in files of its own."""

    def __init__(self, instance: Any, content: Sequence[tuple[str, bytes]],
                 extra_md: Mapping[str, str], network_info: Any) -> None:
        self._content = content
        self._extra = extra_md

    def metadata_for_config_drive(self) -> Iterator[tuple[str, str | bytes]]:
        """Text and bytes, as Nova's."""
        yield 'of/password', f'{self._extra.get("admin_pass", "none")}\n'
        yield 'of/content', b''.join(b'%s: %s' % (path.encode(), content)
                                     for path, content in self._content)
        yield 'deep/er/x', b''
