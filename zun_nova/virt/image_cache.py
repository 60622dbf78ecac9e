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

"""Removes images that no server has used for long, as Nova's own cache options say.

``[image_cache] remove_unused_base_images`` switches it on and
``remove_unused_original_minimum_age_seconds`` is the age. When an image was
last seen in use is kept in a small file below ``instances_path``; without the
file, ages begin anew. Only images of the driver's own repository are looked
at, and none is removed that any container of the engine was made of.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import json
import os
import pathlib
import threading
import time
from typing import Any
import urllib.parse

from oslo_log import log as logging

from zun_nova.virt import image_source
from zun_nova.virt import images
from zun_nova.virt.runtime import base

LOG = logging.getLogger(__name__)

DIRECTORY = 'zun_nova'


class ImageCache:
    """The images that a compute service keeps for the next server.

    :param host: of the compute service; several can share instances_path.
    :param clock: seconds since the epoch.
    """

    def __init__(self, engine: base.Engine, image_store: images.Images, conf: Any, host: str,
                 clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._images = image_store
        self._conf = conf
        self._host = host
        self._clock = clock
        self._lock = threading.Lock()

    def fetch(self, context: Any, image_id: str) -> bool:
        """Have an image before a server wants it; returns whether it had to be fetched.

        Its age begins anew, also when it was there.

        :raises: what Images.ensure() does.
        """
        source = self._images.source(context, image_id)
        fetched = self._images.ensure(context, source)
        with self._lock:
            self._write({**self._read(), source.reference: self._clock()})
        return fetched

    def clean(self, instances: Iterable[Any]) -> None:
        """Remove what was not used for long; two engine calls when there is nothing to do.

        :param instances: Nova's Instances, of this host and perhaps of others.
        """
        with self._lock:
            stored = self._engine.list_images(image_source.REPOSITORY)
            used = self._used(stored, instances)
            seen = last_used(
                [image.reference for image in stored], used, self._read(), self._clock())
            for reference in sorted(self._expired(seen) - used):
                if self._images.forget(reference):
                    del seen[reference]
                    LOG.info('Removed image %s, which no server has used for long', reference)
            self._write(seen)

    def _used(self, stored: Iterable[base.StoredImage], instances: Iterable[Any]) -> set[str]:
        """Names of images that a container was made of, or a server of this host will be."""
        of_containers = {row.image_id for row in self._engine.list({})}
        of_servers = {
            instance.image_ref for instance in instances if instance.host == self._host}
        return {image.reference for image in stored
                if image.id in of_containers
                or image_source.image_id_of(image.reference) in of_servers}

    def _expired(self, seen: Mapping[str, float]) -> set[str]:
        if not self._conf.image_cache.remove_unused_base_images:
            return set()
        oldest = self._clock() - self._conf.image_cache.remove_unused_original_minimum_age_seconds
        return {reference for reference, when in seen.items() if when <= oldest}

    @property
    def _file(self) -> pathlib.Path:
        name = urllib.parse.quote(self._host, safe='')
        return pathlib.Path(self._conf.instances_path, DIRECTORY, f'images-{name}.json')

    def _read(self) -> dict[str, float]:
        try:
            content = json.loads(self._file.read_text())
            return {str(name): float(when) for name, when in content.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError, OSError) as ex:
            LOG.warning('Ages of images begin anew: cannot read %s: %s', self._file, ex)
            return {}

    def _write(self, seen: Mapping[str, float]) -> None:
        """Replace the file; a crash leaves the old one or the new one."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        path = self._file.with_suffix('.new')
        with path.open('w') as new:
            json.dump(seen, new)
            new.flush()
            os.fsync(new.fileno())
        path.replace(self._file)


def last_used(present: Iterable[str], used: set[str], before: Mapping[str, float],
              now: float) -> dict[str, float]:
    """When each image that is present was last in use; one seen first counts from now."""
    return {reference: now if reference in used else min(before.get(reference, now), now)
            for reference in present}
