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

"""Which image a server is made of, and under which name the engine keeps it; pure."""

from __future__ import annotations

import dataclasses
from typing import Any

from zun_nova import errors

REPOSITORY = 'zun-nova/glance'
CONTAINER_FORMAT = 'docker'


@dataclasses.dataclass(frozen=True)
class Source:
    """An image in Glance and what is needed to bring it into the engine."""

    image_id: str
    #: Its name in the engine.
    reference: str
    #: Of the data in Glance, in bytes; None when Glance does not say.
    size: int | None = None


def of_image(image_meta: Any) -> Source:
    """The source of a Glance image.

    The checksum in the name guards against an image that was deleted and made
    again with the same id, which administrators can do.

    :param image_meta: Nova's ImageMeta.
    :raises errors.ImageInvalid: it is no image of a container.
    """
    if not image_meta.obj_attr_is_set('id'):
        raise errors.ImageInvalid(
            'of the volume', 'servers cannot boot from volumes; name an image')
    if image_meta.container_format != CONTAINER_FORMAT:
        raise errors.ImageInvalid(
            image_meta.id,
            f'its container_format is {image_meta.container_format!r}; upload the output '
            f'of "docker save" with --container-format docker --disk-format raw')
    checksum = _value(image_meta, 'checksum')
    return Source(
        image_id=image_meta.id,
        reference=f'{REPOSITORY}:{image_meta.id}-{checksum or "unchecked"}',
        size=_value(image_meta, 'size'))


def image_id_of(reference: str) -> str:
    """The Glance id in a name that of_image() made."""
    return reference.removeprefix(f'{REPOSITORY}:')[:36]


def _value(image_meta: Any, field: str) -> Any:
    return getattr(image_meta, field) if image_meta.obj_attr_is_set(field) else None
