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

"""What a server has written, as an image of ours.

A server that is resized or migrated gets a new container. What the old one has
written becomes one more layer on the image it was made from, under a name with
the uuid of the server and the number of the migration.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib

from zun_nova import errors
from zun_nova.virt import identity
from zun_nova.virt import image_source
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import layers
from zun_nova.virt.runtime import snapshots

REPOSITORY = 'zun-nova/layer'
#: Engines mount 125. Some are left for what snapshots, and files in read-only servers, add.
MAX_LAYERS = 110
_GIB = 1024 ** 3


def reference(uuid: str, number: int) -> str:
    """The name of a layer of the server.

    :param number: of the migration for which it was made.
    """
    return f'{REPOSITORY}:{uuid}-{number}'


def uuid_of(name: str) -> str:
    """The server of a name that :func:`reference` made."""
    return name.removeprefix(f'{REPOSITORY}:')[:36]


def check_count(count: int) -> None:
    """Make sure that a container can be made with one layer more; pure.

    :param count: of the layers that the server's image has now.
    :raises errors.TooLarge: it cannot.
    """
    if count + 1 > MAX_LAYERS:
        raise errors.TooLarge(
            f'the server consists of {count} layers, each resize or migration adds one and at '
            f'most {MAX_LAYERS} can be moved; rebuild it from an image with fewer')


def check_size(size_bytes: int, root_gb: int) -> None:
    """Make sure that what was written has room in a flavor; pure.

    :param size_bytes: of all layers over the image's.
    :param root_gb: of the flavor; 0 is no limit.
    :raises errors.TooLarge: it has not.
    """
    if root_gb and size_bytes > root_gb * _GIB:
        raise errors.TooLarge(
            f'the server has written {size_bytes / _GIB:.2f} GiB and the disk of the flavor has '
            f'{root_gb} GiB; delete files in it, or choose a larger flavor')


class LayerStore:
    """The layers of servers in one engine.

    :raises errors.Unsupported: the engine makes no images of containers.
    """

    def __init__(self, engine: base.Engine) -> None:
        if not (isinstance(engine, snapshots.Snapshots) and isinstance(engine, layers.Layers)):
            raise errors.Unsupported('move servers', 'the engine makes no images of containers')
        self._engine = engine
        self._images: base.ImageStore = engine
        self._containers: base.Runtime = engine

    def commit(self, uuid: str, name: str, timeout: float) -> None:
        """Have what the stopped server has written in a layer; may be called again."""
        self._engine.commit(identity.name_of(uuid), name, False, timeout)

    def saved(self, name: str, timeout: float) -> contextlib.AbstractContextManager[
            Iterator[bytes]]:
        """The archive of an image, as the engine makes it."""
        return self._engine.save_image(name, timeout)

    def of(self, name: str) -> layers.ImageLayers:
        """The layers of an image, by name or content id."""
        return self._engine.image_layers(name)

    def bases(self, image_ref: str, image: layers.ImageLayers) -> dict[str, layers.ImageLayers]:
        """The Glance image on which the server's is built, by its names in the engine.

        :param image_ref: the Glance image of the server.
        :returns: nothing when the engine has it no more.
        """
        found = {stored.reference: self._engine.image_layers(stored.reference)
                 for stored in self._images.list_images(image_source.REPOSITORY)
                 if image_source.image_id_of(stored.reference) == image_ref}
        return {name: below for name, below in found.items() if image.begins_with(below)}

    def sweep(self, uuid: str) -> None:
        """Forget the layers that no container of the server is made of; may be called again."""
        found = [image for image in self._images.list_images(REPOSITORY)
                 if uuid_of(image.reference) == uuid]
        used = {row.image_id for row in self._containers.list(
            {identity.LABEL_UUID: uuid})} if found else set()
        for image in found:
            if image.id not in used:
                with contextlib.suppress(errors.Conflict):   # somebody's container is made of it
                    self._images.remove_image(image.reference)

    def servers(self) -> set[str]:
        """The uuids of all servers that have layers here; one engine call."""
        return {uuid_of(image.reference) for image in self._images.list_images(REPOSITORY)}
