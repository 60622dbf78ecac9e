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

"""What a Podman engine tells of the layers of its images."""

from __future__ import annotations

from zun_nova.virt.runtime import layers
from zun_nova.virt.runtime import podman_client
from zun_nova.virt.runtime import podman_images


class Layers(layers.Layers):
    """See layers.Layers for the contracts."""

    _engine: podman_client.Engine

    def image_layers(self, reference: str) -> layers.ImageLayers:
        with self._engine.ask(f'find the layers of image {reference}') as client:
            answer = self._engine.call(
                client, 'GET', f'{podman_images.path_of(reference)}/json')
        return layers.ImageLayers(tuple(answer['RootFS'].get('Layers') or ()), answer['Size'])
