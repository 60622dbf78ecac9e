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

"""What engines can tell of the layers of their images.

Optional beside :class:`zun_nova.virt.runtime.base.ImageStore`.
"""

from __future__ import annotations

import abc
import dataclasses


@dataclasses.dataclass(frozen=True)
class ImageLayers:
    """The layers of one image."""

    #: Digests of the uncompressed layers (``sha256:...``), the lowest first.
    diff_ids: tuple[str, ...]
    #: Of all layers together, unpacked.
    size_bytes: int

    def begins_with(self, other: ImageLayers) -> bool:
        """Whether the other's layers are the lowest of these."""
        return self.diff_ids[:len(other.diff_ids)] == other.diff_ids


class Layers(abc.ABC):
    """Tells what images consist of."""

    @abc.abstractmethod
    def image_layers(self, reference: str) -> ImageLayers:
        """The layers of the image of this name or content id.

        :raises errors.NotFound: there is none.
        """
