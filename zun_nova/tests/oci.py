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

"""Images in OCI's layout, as other tools than Docker save them."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import gzip
import hashlib
import json
from typing import Any

from zun_nova.tests import images

_INDEX = 'application/vnd.oci.image.index.v1+json'
_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
_CONFIG = 'application/vnd.oci.image.config.v1+json'
LAYER = 'application/vnd.oci.image.layer.v1.tar'


@dataclasses.dataclass
class Layout:
    """A layout under construction."""

    blobs: dict[str, bytes] = dataclasses.field(default_factory=dict)

    def blob(self, data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        """Keep a blob; returns its descriptor."""
        name = hashlib.sha256(data).hexdigest()
        self.blobs[f'blobs/sha256/{name}'] = data
        return {'mediaType': media_type, 'digest': f'sha256:{name}', 'size': len(data), **more}

    def image(self, *layers: bytes, config: Mapping[str, Any] | None = None,
              compress: Any = gzip.compress, layer_type: str = LAYER + '+gzip',
              config_type: str = _CONFIG, architecture: str | None = None,
              **more: Any) -> dict[str, Any]:
        """Keep an image; returns its descriptor.

        :param layers: tars of files.
        :param more: of the descriptor, such as platform.
        """
        document = {
            'architecture': architecture or images.architecture(), 'os': 'linux',
            'config': dict(config or {}),
            'rootfs': {'type': 'layers', 'diff_ids': [
                f'sha256:{hashlib.sha256(layer).hexdigest()}' for layer in layers]}}
        manifest = {
            'schemaVersion': 2, 'mediaType': _MANIFEST,
            'config': self.blob(_json(document), config_type),
            'layers': [self.blob(compress(layer), layer_type) for layer in layers]}
        return self.blob(_json(manifest), _MANIFEST, **more)

    def index(self, *manifests: Mapping[str, Any]) -> dict[str, Any]:
        """Keep an index; returns its descriptor."""
        return self.blob(index(*manifests), _INDEX)

    def tar(self, *manifests: Mapping[str, Any], order: Sequence[str] = ()) -> bytes:
        """The archive of a layout whose index.json names these.

        :param order: what comes first, of its members.
        """
        members = {'oci-layout': _json({'imageLayoutVersion': '1.0.0'}), 'blobs': None,
                   'blobs/sha256': None, **self.blobs, 'index.json': index(*manifests)}
        return images.tar({name: members[name] for name in (*order, *members)})


def index(*manifests: Mapping[str, Any]) -> bytes:
    """An index that names these."""
    return _json({'schemaVersion': 2, 'mediaType': _INDEX, 'manifests': list(manifests)})


def busybox(**config: Any) -> bytes:
    """The archive of an image with the busybox of this machine.

    :param config: over Cmd=['sh'] and a PATH.
    """
    layout = Layout()
    return layout.tar(layout.image(
        images.busybox_layer(), config={'Cmd': ['sh'], 'Env': ['PATH=/bin']} | config))


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
