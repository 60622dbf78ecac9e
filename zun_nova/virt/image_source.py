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

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import hashlib
import json
from typing import Any

from zun_nova import errors
from zun_nova.virt import registry

REPOSITORY = 'zun-nova/glance'
CONTAINER_FORMAT = 'docker'
#: Image properties that make a reference image: what it refers to, and a secret's UUID.
REFERENCE_PROPERTY = 'container_image_ref'
SECRET_PROPERTY = 'container_registry_secret'   # noqa: S105  the name of a property

#: System metadata in which Nova keeps the image's properties.
_SYSTEM_PREFIX = 'image_'
_DIGEST = 'sha256.'
_SIGNATURE = ('img_signature', 'img_signature_hash_method', 'img_signature_key_type',
              'img_signature_certificate_uuid')


@dataclasses.dataclass(frozen=True)
class Remote:
    """Where the content of a reference image is."""

    image: registry.Reference
    #: Of the credentials, in the key manager.
    secret_id: str | None = None


@dataclasses.dataclass(frozen=True)
class Trust:
    """Whose signature the image must have. Certificates are ids of the key manager."""

    #: With which the image says it is signed; None: it says nothing.
    signer: str | None
    #: Those that the server's owner trusts.
    certificates: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Source:
    """An image in Glance and what is needed to bring it into the engine."""

    image_id: str
    #: Its name in the engine.
    reference: str
    #: Of the data in Glance, in bytes; None when Glance does not say.
    size: int | None = None
    #: None: the data in Glance is the content.
    remote: Remote | None = None
    #: None: the server's owner wants no signature.
    trust: Trust | None = None


def properties_of(instance: Any) -> dict[str, str]:
    """All properties of the server's image; Nova's ImageMeta has only those Nova knows."""
    return {name.removeprefix(_SYSTEM_PREFIX): value
            for name, value in instance.system_metadata.items()
            if name.startswith(_SYSTEM_PREFIX)}


def is_shelved(instance: Any, image_meta: Any) -> bool:
    """Whether the image is that of the server itself, which is being unshelved.

    Nova keeps the properties of the image that the server was made of before.
    """
    shelved = instance.system_metadata.get('shelved_image_id')
    return shelved is not None and image_meta.obj_attr_is_set('id') and image_meta.id == shelved


def of_image(image_meta: Any, properties: Mapping[str, Any]) -> Source:
    """The source of a Glance image.

    The checksum or digest in the name guards against an image that was
    deleted and made again with the same id, which administrators can do, and
    against properties that were changed.

    :param image_meta: Nova's ImageMeta.
    :param properties: all the image has.
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
    if properties.get(REFERENCE_PROPERTY):
        return _of_reference(image_meta.id, properties)
    checksum = _value(image_meta, 'checksum')
    return Source(
        image_id=image_meta.id,
        reference=f'{REPOSITORY}:{image_meta.id}-{checksum or "unchecked"}',
        size=_value(image_meta, 'size'))


def _of_reference(image_id: str, properties: Mapping[str, Any]) -> Source:
    try:
        image = registry.parse(str(properties[REFERENCE_PROPERTY]))
    except registry.BadReference as ex:
        raise errors.ImageInvalid(image_id, f'{REFERENCE_PROPERTY}: {ex}') from ex
    return Source(
        image_id=image_id,
        reference=f'{REPOSITORY}:{image_id}-{image.digest.replace("sha256:", _DIGEST)}',
        remote=Remote(image, str(properties.get(SECRET_PROPERTY) or '') or None))


def trusted(source: Source, properties: Mapping[str, Any],
            certificates: Sequence[str]) -> Source:
    """The image for a server whose owner trusts these certificates; itself for none.

    It has a name of its own in the engine, one for each signature: what has that name was
    verified, whatever the same image without it was loaded for.

    :param properties: all the image has, in full; Nova's record of a server cuts signatures.
    """
    if not certificates:
        return source
    signature = json.dumps([properties.get(name) for name in _SIGNATURE])
    digest = hashlib.sha256(signature.encode()).hexdigest()[:32]
    return dataclasses.replace(
        source, reference=f'{source.reference}-signed-{digest}',
        trust=Trust(properties.get(_SIGNATURE[-1]), tuple(certificates)))


def content_of(reference: str) -> str:
    """What only one thread at a time may bring into the engine or take out.

    Equal content of registries has one digest, whichever images refer to it.
    """
    content = reference.removeprefix(f'{REPOSITORY}:')[37:]
    return content if content.startswith(_DIGEST) else reference


def image_id_of(reference: str) -> str:
    """The Glance id in a name that of_image() made."""
    return reference.removeprefix(f'{REPOSITORY}:')[:36]


def _value(image_meta: Any, field: str) -> Any:
    return getattr(image_meta, field) if image_meta.obj_attr_is_set(field) else None
