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

"""Nova's fixture for Glance, with content in its images."""

from __future__ import annotations

import io
from typing import Any

from nova.tests import fixtures as nova_fixtures

from zun_nova.tests import images

_PIECE = 64 * 1024


class GlanceFixture(nova_fixtures.GlanceFixture):
    """Stock images are containers that wait to be stopped; what is uploaded is kept."""

    def create(self, context: Any, metadata: Any, data: Any = None) -> Any:
        if metadata.get('container_format') in ('raw', 'ami', 'bare', 'ova'):
            metadata = {**metadata, 'container_format': 'docker'}
        return super().create(context, {'properties': {}, **metadata}, data)

    def update(self, context: Any, image_id: str, metadata: Any, data: Any = None,
               purge_props: bool = False) -> Any:
        if data is not None:
            content = b''.join(iter(lambda: data.read(_PIECE), b''))
            self._imagedata[image_id] = content
            metadata = {**metadata, 'size': len(content), 'status': 'active'}
        if purge_props:   # of the properties; Nova's fixture would lose the rest, too
            metadata = {**self.show(context, image_id), **metadata}
        return super().update(context, image_id, metadata, purge_props=purge_props)

    def download(self, context: Any, image_id: str, data: Any = None, dst_path: Any = None,
                 trusted_certs: Any = None) -> Any:
        self.show(context, image_id)
        content = self._imagedata.get(image_id) or images.busybox(
            f'fake/{image_id}:latest', Cmd=['sleep', '1000'], StopSignal='SIGKILL')
        stream = io.BytesIO(content)
        return iter(lambda: stream.read(_PIECE), b'')
