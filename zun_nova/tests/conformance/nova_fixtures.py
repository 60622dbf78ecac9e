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
"""Nova's fixtures, with images that a container engine can load."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nova.tests import fixtures as nova_fixtures

from zun_nova.tests import images

_PIECE = 64 * 1024


class GlanceFixture(nova_fixtures.GlanceFixture):
    """Every stock image is a container that waits to be stopped."""

    def create(self, context: Any, metadata: Any, data: Any = None) -> Any:
        return super().create(
            context, {'properties': {}, **metadata, 'container_format': 'docker',
                      'disk_format': 'raw'}, data)

    def download(self, context: Any, image_id: str, data: Any = None, dst_path: Any = None,
                 trusted_certs: Any = None) -> Iterator[bytes] | None:
        if data is not None or dst_path is not None:
            super().download(context, image_id, data, dst_path, trusted_certs)
            return None
        return iter([self.archive(f'fake/{image_id}:latest')])

    def update(self, context: Any, image_id: str, metadata: Any, data: Any = None,
               purge_props: bool = False) -> Any:
        """Take the data as Glance does, which says how much it was."""
        size = len(b''.join(iter(lambda: data.read(_PIECE), b''))) if data else 0
        return super().update(
            context, image_id, {**metadata, 'size': size, 'checksum': None}, None, purge_props)

    @staticmethod
    def archive(name: str) -> bytes:
        """The ``docker save`` archive of every image."""
        return images.busybox(name, Cmd=['sleep', '1000'], StopSignal='SIGKILL')
