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

"""Names of images in registries, and which of them this cloud runs; pure.

The grammar is that of https://github.com/distribution/reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import re

from zun_nova.virt.runtime import registry as runtime_registry

_FORM = 'REGISTRY/REPOSITORY@sha256:...'
#: Engines take no longer names.
_MAX_NAME = 255
#: Nova keeps no more of an image's property.
_PROPERTY_BYTES = 255

_COMPONENT = r'[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*'
_LABEL = r'[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?'
_HOST = rf'{_LABEL}(?:\.{_LABEL})*(?::[0-9]+)?'
_NAME = re.compile(rf'({_HOST})/({_COMPONENT}(?:/{_COMPONENT})*)')
_TAG = re.compile(r':[\w][\w.-]{0,127}', re.ASCII)
_DIGEST = re.compile('sha256:[0-9a-f]{64}')

#: Go's name by the kernel's; others are the same.
_ARCHITECTURES = {'x86_64': 'amd64', 'aarch64': 'arm64', 'i686': '386', 'armv7l': 'arm',
                  'loongarch64': 'loong64'}
#: What processors run beside their own.
_OLDER = {'amd64': '386', 'arm64': 'arm'}


class BadReference(Exception):
    """The text names no image that can be had; the text says why and what would be right."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """One image in a registry, by its content."""

    #: Host and, if named, port.
    registry: str
    #: What follows, up to the digest.
    repository: str
    #: sha256:...
    digest: str

    def __str__(self) -> str:
        return f'{self.name}@{self.digest}'

    @property
    def name(self) -> str:
        """Without the digest."""
        return f'{self.registry}/{self.repository}'


def parse(text: str) -> Reference:
    """The reference in a text such as ``registry.example.com/team/web:1@sha256:...``.

    A tag beside the digest is for people and means nothing.

    :raises BadReference: it is none.
    """
    if len(text.encode()) >= _PROPERTY_BYTES:
        raise BadReference(f'it has {_PROPERTY_BYTES} bytes or more, of which Nova keeps no more')
    name, at, digest = text.partition('@')
    if not at:
        raise BadReference(
            f'it names no digest, and what a tag means can change; write {_FORM}')
    if not _DIGEST.fullmatch(digest):
        raise BadReference('its digest is not "sha256:" and 64 digits of 0-9 and a-f')
    slash = name.rfind('/')
    tag = name.find(':', slash + 1)
    if slash != -1 and tag != -1:
        if not _TAG.fullmatch(name[tag:]):
            raise BadReference(f'{_short(name[tag:])} is no tag; leave it out')
        name = name[:tag]
    found = _NAME.fullmatch(name)
    if not found or len(name) > _MAX_NAME:
        raise BadReference(f'{_short(name)} is no registry and repository; write {_FORM}')
    registry, repository = found.groups()
    if not _is_host(registry):
        raise BadReference(
            f'{_short(registry)} is no host of a registry; write it, too, such as '
            f'docker.io/{registry[:40]}/...')
    return Reference(registry.lower(), repository, digest)


def is_allowed(reference: Reference, allowed: Iterable[str]) -> bool:
    """Whether one of these registries, or repositories below one of them, is the image's.

    :param allowed: such as ``registry.example.com``, ``quay.io/team``.
    """
    wanted = {entry.rstrip('/').lower() for entry in allowed}
    return any(prefix in wanted for prefix in prefixes(reference))


def prefixes(reference: Reference) -> Iterator[str]:
    """The whole name, then ever less of it, down to the registry alone."""
    name = reference.name
    while name:
        yield name
        name = name.rpartition('/')[0]


def runs_on(machine: str, platforms: Sequence[runtime_registry.Platform]) -> bool:
    """Whether an image made for these platforms runs on a host.

    :param machine: the kernel's name of the host's architecture.
    :param platforms: none at all when the image does not say.
    """
    architecture = _ARCHITECTURES.get(machine, machine)
    fitting = {'', architecture, _OLDER.get(architecture, architecture)}
    return not platforms or any(
        each.system in ('', 'linux') and each.architecture in fitting for each in platforms)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f'{text[:40]}...')


def _is_host(text: str) -> bool:
    """Engines take what does not look like a host for a part of a name on Docker Hub."""
    return text.partition(':')[0] == 'localhost' or '.' in text or ':' in text
