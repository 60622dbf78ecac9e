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

"""Brings Glance images into the engine.

An image is known by its Glance id and checksum, never by a name that a
tenant could choose.
"""

from __future__ import annotations

from typing import Any

from nova import exception
from nova.image import glance
from oslo_concurrency import lockutils
from oslo_log import log as logging
from oslo_utils import timeutils

from zun_nova import errors
from zun_nova.virt import archive
from zun_nova.virt.runtime import base

LOG = logging.getLogger(__name__)

REPOSITORY = 'zun-nova/glance'
CONTAINER_FORMAT = 'docker'


def reference(image_meta: Any) -> str:
    """The name of a Glance image in the engine's store.

    The checksum guards against an image that was deleted and made again with
    the same id, which administrators can do.

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
    checksum = image_meta.checksum if image_meta.obj_attr_is_set('checksum') else None
    return f'{REPOSITORY}:{image_meta.id}-{checksum or "unchecked"}'


class Images:
    """The images of one compute host."""

    def __init__(self, store: base.ImageStore, glance_api: Any = None) -> None:
        self._store = store
        self._glance = glance_api or glance.API()

    def ensure(self, context: Any, image_meta: Any) -> str:
        """Have the image in the engine; returns its reference there.

        May be called at the same time for one image: it is loaded once.

        :param image_meta: Nova's ImageMeta of an image in Glance.
        :raises errors.ImageInvalid: it is no image of a container.
        :raises nova.exception.NovaException: Glance does not deliver it.
        """
        name = reference(image_meta)
        with lockutils.lock(f'zun-nova-load-{name}'):
            if self._store.image_id(name) is None:
                self._load(context, image_meta, name)
        return name

    def _load(self, context: Any, image_meta: Any, name: str) -> None:
        LOG.info('Loading image %s into the engine', image_meta.id)
        with timeutils.StopWatch() as watch:
            chunks = self._glance.download(context, image_meta.id)
            if chunks is None:
                raise exception.ImageUnacceptable(image_id=image_meta.id, reason='It has no data')
            try:
                self._store.load_image(archive.renamed(chunks, name), name)
            except archive.BadArchive as ex:
                raise errors.ImageInvalid(image_meta.id, str(ex)) from ex
            except errors.InvalidRequest as ex:
                # The engine's words can hold paths of the host.
                LOG.warning('Image %s: %s', image_meta.id, ex)
                raise errors.ImageInvalid(
                    image_meta.id, 'the engine cannot read the archive, though it looks like '
                    'one; compare with the output of "docker save"') from ex
        LOG.info('Loaded image %s in %.1f s', image_meta.id, watch.elapsed())
