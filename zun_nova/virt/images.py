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

"""Brings Glance images into the engine, and takes them out again.

An image is known by its Glance id and checksum, never by a name that a
tenant could choose.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import threading
import time
from typing import Any

from nova import objects
from nova.image import glance
from oslo_concurrency import lockutils
from oslo_log import log as logging
from oslo_utils import timeutils

from zun_nova import errors
from zun_nova.virt import archive
from zun_nova.virt import download
from zun_nova.virt import image_source
from zun_nova.virt import pulls
from zun_nova.virt import signature
from zun_nova.virt.runtime import base

LOG = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0


class Images:
    """The images of one compute host.

    :param conf: Nova's configuration.
    """

    def __init__(self, store: base.ImageStore, conf: Any, glance_api: Any = None) -> None:
        self._store = store
        self._conf = conf
        self._glance = glance_api or glance.API()
        self._pulls = pulls.Pulls(store, conf)
        self._held: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def held(self, context: Any, source: image_source.Source,
             check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Have the image in the engine, and keep it there inside the block.

        :param check: is called while the image comes, unless somebody else waits for it;
            what it raises ends that.
        :raises: what ensure() does.
        """
        with self._lock:
            self._held[source.reference] += 1
        try:
            self.ensure(context, source, lambda: self._check(source, check))
            yield
        finally:
            with self._lock:
                self._held[source.reference] -= 1

    def ensure(self, context: Any, source: image_source.Source,
               check: Callable[[], None] = lambda: None) -> bool:
        """Have the image in the engine; returns whether it had to be fetched.

        May be called at the same time for one image: it is loaded once. When
        that fails, the next one who waits tries again. Whether the user may
        have a reference image is asked of its registry every time.

        :param check: is called while the image comes; what it raises ends that.
        :raises errors.ImageInvalid: it is no image of a container.
        :raises errors.ImageUnavailable: Glance or the registry does not deliver it.
        :raises errors.EngineError: the engine does not take it.
        :raises nova.exception.NovaException: Glance refuses.
        """
        remote = source.remote
        credentials = self._pulls.authorize(context, source, remote) if remote else None
        with self._alone(source.reference):
            if self._store.image_id(source.reference) is not None:
                signature.check_signer(context, source)
                return False
            LOG.info('Loading image %s into the engine', source.image_id)
            with timeutils.StopWatch() as watch:
                if remote:
                    self._pulls.fetch(source, remote, credentials, check)
                else:
                    self._fetch(context, source, check)
            LOG.info('Loaded image %s in %.1f s', source.image_id, watch.elapsed())
            return True

    def source(self, context: Any, image_id: str,
               certificates: Sequence[str] = ()) -> image_source.Source:
        """What Glance says now of an image.

        :param certificates: those that are trusted; none: the image need not be signed.
        :raises errors.ImageInvalid: it is no image of a container.
        :raises nova.exception.NovaException: Glance has none, or refuses.
        """
        image = self._glance.get(context, image_id)
        image_meta = objects.ImageMeta.from_dict(image)
        image_meta.id = image_id
        return image_source.trusted(
            image_source.of_image(image_meta, image['properties']), image['properties'],
            certificates)

    def trusted(self, context: Any, source: image_source.Source,
                certificates: Sequence[str]) -> image_source.Source:
        """The same for a server whose owner trusts these certificates.

        :raises: what source() does.
        """
        return self.source(context, source.image_id, certificates) if certificates else source

    def forget(self, reference: str) -> bool:
        """Remove an image that nobody uses; returns whether it is gone."""
        with self._alone(reference):
            with self._lock:
                if self._held[reference]:
                    return False
            try:
                self._store.remove_image(reference)
            except errors.Conflict as ex:   # a container was made of it meanwhile
                LOG.info('Keeping image %s: %s', reference, ex)
                return False
            return True

    @staticmethod
    def _alone(reference: str) -> contextlib.AbstractContextManager[Any]:
        lock: contextlib.AbstractContextManager[Any] = lockutils.lock(
            f'zun-nova-image-{image_source.content_of(reference)}')
        return lock

    def _check(self, source: image_source.Source, check: Callable[[], None]) -> None:
        if self._held[source.reference] == 1:
            check()

    def _fetch(self, context: Any, source: image_source.Source,
               check: Callable[[], None]) -> None:
        left = self._conf.glance.num_retries
        while True:
            try:
                self._load(context, source, check)
                return
            except download.BrokenOff as ex:
                if not left:
                    raise
                left -= 1
                LOG.warning('%s; trying again', ex)
                time.sleep(_RETRY_SECONDS)

    def _load(self, context: Any, source: image_source.Source,
              check: Callable[[], None]) -> None:
        data = download.chunks(
            self._glance, context, source, self._conf.zun_nova.image_timeout)
        try:
            with contextlib.closing(data):
                pieces = _checked(download.reported(data, source.image_id, source.size), check)
                self._store.load_image(
                    archive.renamed(
                        pieces, source.reference,
                        self._conf.zun_nova.image_max_size_gb * 1024 ** 3),
                    source.reference)
        except archive.BadArchive as ex:
            raise errors.ImageInvalid(source.image_id, str(ex)) from ex
        except errors.InvalidRequest as ex:
            # The engine's words can hold paths of the host.
            LOG.warning('Image %s: %s', source.image_id, ex)
            raise errors.ImageInvalid(
                source.image_id, 'the engine cannot read the archive, though it looks like '
                'one; compare with the output of "docker save"') from ex


def _checked(pieces: Iterable[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        check()
        yield piece
