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

"""Carries what a server has written to another host, and in there.

Only the server's own layers travel. The image below comes from Glance, through
the other host's own cache; if Glance has it no more, its layers travel as well.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
from typing import Any

from nova import exception
from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt import archive
from zun_nova.virt import image_source
from zun_nova.virt import images
from zun_nova.virt import layer_archive
from zun_nova.virt import layers
from zun_nova.virt import moved
from zun_nova.virt import received
from zun_nova.virt import signature
from zun_nova.virt import tar_stream
from zun_nova.virt import transport
from zun_nova.virt.runtime import base

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What will travel."""

    #: The Glance image that stays behind, by its name in the engine; '' for none.
    base: str
    #: How many layers that are.
    below: int


class Carrier:
    """To and from one host.

    :param conf: Nova's configuration.
    """

    def __init__(self, engine: base.Engine, image_store: images.Images, conf: Any) -> None:
        self._layers = layers.LayerStore(engine)
        self._engine = engine
        self._images = image_store
        self._conf = conf
        self._transport = transport.of(conf)
        self._received = received.Store(transport.directory(conf))

    def plan(self, context: Any, instance: Any, container: base.ContainerInfo,
             dest: str) -> Plan:
        """Look whether the server can travel, before it is stopped.

        :raises errors.ZunNovaError: it cannot.
        :raises nova.exception.NovaException: Glance does not say what it has.
        """
        if container.volumes:
            raise errors.Unsupported(
                'move the server', 'its image keeps volumes at '
                f'{", ".join(container.volumes)}, and what is in them cannot be moved to another '
                'host; it can be resized on its own')
        self._transport.check(dest)
        bases = self._layers.bases(instance.image_ref, self._layers.of(container.image_id))
        name = self._in_glance(context, instance) if bases else ''
        return Plan(name, len(bases[name].diff_ids)) if name in bases else Plan('', 0)

    def _in_glance(self, context: Any, instance: Any) -> str:
        try:
            return self._source(context, instance).reference
        except (exception.ImageNotFound, exception.ImageNotAuthorized, errors.ImageInvalid):
            return ''

    def _source(self, context: Any, instance: Any) -> image_source.Source:
        return self._images.source(
            context, instance.image_ref, signature.trusted_by(instance))

    def send(self, plan: Plan, layer: str, name: str, dest: str) -> moved.Moved:
        """Have the layer of a server on another host.

        :param layer: its name in the engine.
        :param name: of the file there.
        :raises errors.ZunNovaError: it is not there.
        """
        timeout = self._conf.zun_nova.migration_timeout
        try:
            with self._layers.saved(layer, timeout) as pieces:
                saved = layer_archive.find(pieces)
            with self._layers.saved(layer, timeout) as pieces:
                digest = self._transport.send(
                    dest, name, layer_archive.without_below(pieces, saved, plan.below, layer),
                    self._limit)
        except tar_stream.BadArchive as ex:
            raise errors.TransferFailed(dest, str(ex)) from ex
        left = moved.Moved(layer=layer, base=plan.base, sha256=digest)
        # Nova tells it as well, unless nova-compute dies before.
        self._transport.note(dest, name, left.to_json())
        return left

    def take_back(self, name: str, dest: str) -> None:
        """Have it there no more; if it cannot be, that host removes it itself later."""
        try:
            self._transport.drop(dest, name)
        except errors.TransferFailed as ex:
            LOG.info('%s', ex)

    @property
    def _limit(self) -> int:
        return int(self._conf.zun_nova.image_max_size_gb) * 1024 ** 3

    @contextlib.contextmanager
    def loaded(self, context: Any, instance: Any, left: moved.Moved,
               name: str) -> Iterator[None]:
        """Have a layer that was sent here in the engine; its file goes when the block succeeds.

        :raises errors.TransferFailed: it is not what was sent.
        :raises: what Images.held() does.
        """
        with contextlib.ExitStack() as held:
            if left.base:
                held.enter_context(self._images.held(context, self._source(context, instance)))
            if self._engine.image_id(left.layer) is None:
                self._load(left, name)
            yield
        self.forget(str(instance.uuid))

    def _load(self, left: moved.Moved, name: str) -> None:
        below = self._layers.of(left.base).diff_ids if left.base else ()
        LOG.info('Loading %s into the engine', left.layer)
        try:
            pieces = received.checked(self._received.read(name), left.sha256)
            self._engine.load_image(
                archive.renamed(pieces, left.layer, self._limit, below=below), left.layer)
        except (FileNotFoundError, received.Refused, archive.BadArchive) as ex:
            raise errors.TransferFailed(
                str(self._conf.my_ip), f'what has come is not what was sent: {ex}') from ex

    def note(self, left: moved.Moved, name: str) -> None:
        """Remember how a server was left, for who has to make it after a crash.

        :raises errors.TransferFailed: this host cannot.
        """
        try:
            self._received.note(name, left.to_json())
        except received.Refused as ex:
            raise errors.TransferFailed(str(self._conf.my_ip), str(ex)) from ex

    def noted(self, name: str) -> moved.Moved | None:
        text = self._received.noted(name)
        return None if text is None else moved.from_json(text)

    def forget(self, uuid: str) -> None:
        """Remove what has come of a server as files; may be called again."""
        for name in self._received.servers().get(uuid, ()):
            self._received.drop(name)

    def servers(self) -> set[str]:
        """The uuids of all servers of which something has come as a file."""
        return set(self._received.servers())
