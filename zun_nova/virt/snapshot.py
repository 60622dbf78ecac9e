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

"""Makes images of servers and gives them to Glance.

The engine makes an image of the container, of which nobody but this module
knows the name, and saves it into a stream that goes to Glance. In the end the
engine's image is removed, whatever happened; what a nova-compute leaves that
is killed, the next one removes.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import hashlib
import threading
from typing import Any

from nova import exception
from nova.compute import task_states
from nova.image import glance
from oslo_log import log as logging
from oslo_utils import strutils

from zun_nova import errors
from zun_nova.virt import download
from zun_nova.virt import identity
from zun_nova.virt import image_source
from zun_nova.virt import snapshot_archive
from zun_nova.virt import snapshot_properties
from zun_nova.virt import upload
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import snapshots

LOG = logging.getLogger(__name__)

REPOSITORY = 'zun-nova/snapshot'
#: Image property: a snapshot is to be of one moment.
_QUIESCE = 'os_require_quiesce'
_SHELVING = (task_states.SHELVING, task_states.SHELVING_IMAGE_PENDING_UPLOAD,
             task_states.SHELVING_IMAGE_UPLOADING)


class Snapshots:
    """The snapshots that one compute service makes.

    :param engine: makes none unless it is a snapshots.Snapshots.
    :param conf: Nova's configuration.
    :param host: of the compute service; several can share an engine.
    """

    def __init__(self, engine: base.Engine, conf: Any, host: str, glance_api: Any = None) -> None:
        self._engine = engine
        self._conf = conf
        self._glance = glance_api or glance.API()
        # A name of an image can have no such letters as that of a host.
        self._repository = f'{REPOSITORY}-{hashlib.sha256(host.encode()).hexdigest()[:12]}'
        self._present: set[str] = set()
        self._lock = threading.Lock()

    def take(self, context: Any, instance: Any, image_id: str,
             update_task_state: Callable[..., None]) -> None:
        """Make an image of the server, in whatever state it is, and leave that as it is.

        :param image_id: of an image in Glance that has no data yet.
        :param update_task_state: Nova's: task_state, and expected_state unless it is the first.
        :raises nova.exception.InstanceNotRunning: the server has no container.
        :raises errors.EngineError: the engine does not make it.
        :raises errors.ImageNotStored: Glance does not take it.
        :raises nova.exception.NovaException: Glance refuses, or the server is being deleted.
        """
        engine = self._capable()
        name = identity.container_name(instance)
        try:
            self._engine.inspect(name)
        except errors.NotFound as ex:
            # Nova takes it for one that is being deleted, and leaves its task as it is.
            update_task_state(task_state=None)
            raise exception.InstanceNotRunning(instance_id=instance.uuid) from ex
        reference = f'{self._repository}:{image_id}'
        with self._removed_if_shelving_fails(context, instance, image_id), \
                self._removed(reference):
            update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
            engine.commit(name, reference, self._pauses(instance),
                          self._conf.zun_nova.snapshot_timeout)
            update_task_state(task_state=task_states.IMAGE_UPLOADING,
                              expected_state=task_states.IMAGE_PENDING_UPLOAD)
            self._upload(context, engine, instance, image_id, reference)

    def clean(self) -> None:
        """Remove what is left of snapshots that were interrupted; may be called at any time.

        :raises errors.EngineError: the engine does not say what there is.
        """
        if isinstance(self._engine, snapshots.Snapshots):
            for image in self._engine.list_images(self._repository):
                with self._lock:
                    present = image.reference in self._present
                if not present:
                    LOG.info('Removing what is left of a snapshot: %s', image.reference)
                    self._remove(image.reference)

    def clean_at_start(self) -> None:
        """The same, but an engine that fails does not keep Nova from starting."""
        try:
            self.clean()
        except errors.EngineError as ex:
            LOG.warning('What snapshots have left stays until images are cleaned: %s', ex)

    def _capable(self) -> snapshots.Snapshots:
        if not isinstance(self._engine, snapshots.Snapshots):
            raise NotImplementedError('the container engine of this host makes no images')
        return self._engine

    def _pauses(self, instance: Any) -> bool:
        wanted = image_source.properties_of(instance).get(_QUIESCE)
        return bool(self._conf.zun_nova.snapshot_pause or strutils.bool_from_string(wanted))

    def _upload(self, context: Any, engine: snapshots.Snapshots, instance: Any, image_id: str,
                reference: str) -> None:
        options = self._conf.zun_nova
        given = self._glance.get(context, image_id)['properties']
        record = {
            'container_format': image_source.CONTAINER_FORMAT, 'disk_format': 'raw',
            'properties': snapshot_properties.of_snapshot(given, instance)}
        with engine.save_image(reference, options.snapshot_timeout) as saved:
            pieces = snapshot_archive.portable(saved, options.image_max_size_gb * 1024 ** 3)
            try:
                upload.send(self._glance, context, image_id, record,
                            download.reported(pieces, image_id, None, done_word='sent'),
                            options.image_timeout, options.snapshot_timeout)
            except snapshot_archive.BadArchive as ex:
                raise errors.EngineError(f'save image {reference}', str(ex)) from ex

    @contextlib.contextmanager
    def _removed(self, reference: str) -> Iterator[None]:
        """Have no image of this name in the engine after the block."""
        with self._lock:
            self._present.add(reference)
        try:
            yield
        finally:
            with self._lock:
                self._present.remove(reference)
            self._remove(reference)

    def _remove(self, reference: str) -> None:
        try:
            self._engine.remove_image(reference)
        except errors.EngineError as ex:   # clean() tries again
            LOG.warning('%s', ex)

    @contextlib.contextmanager
    def _removed_if_shelving_fails(self, context: Any, instance: Any,
                                   image_id: str) -> Iterator[None]:
        """Nova removes the image of a snapshot that fails, but not that of a shelving."""
        try:
            yield
        except Exception:
            if instance.task_state in _SHELVING:
                try:
                    self._glance.delete(context, image_id)
                except Exception:
                    # Whatever Glance's client raises, the cause is what must be seen.
                    LOG.exception('Could not delete image %s', image_id, instance=instance)
            raise
