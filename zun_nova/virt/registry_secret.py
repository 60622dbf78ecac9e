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

"""The credentials with which an image is asked of its registry.

They come from the key manager of the cloud (Barbican or another that
castellan knows), with the rights of who asks for the server; or, for images
that name no secret, from a file of the operator's. Nothing here ends in a
log, in the text of an error or in the repr of an object.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from collections.abc import Mapping
import json
import pathlib
from typing import Any

from castellan import key_manager
from castellan.common import exception as castellan_exception
from oslo_log import log as logging
from oslo_utils import uuidutils

from zun_nova.virt import registry
from zun_nova.virt.runtime import registry as runtime_registry

LOG = logging.getLogger(__name__)

_MAX_BYTES = 64 * 1024
#: Under which names programs note Docker Hub's.
_HUB = 'docker.io'
_HUB_NAMES = ('index.docker.io', 'registry-1.docker.io')
_FORM = '{"auths": {"REGISTRY": {"username": ..., "password": ...}}}'


class NoCredentials(Exception):
    """None can be had; the text says why and what to do, and holds no secret.

    :param again: another attempt may do better.
    """

    def __init__(self, reason: str, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


class Secrets:
    """Where credentials come from.

    :param conf: Nova's configuration.
    :param manager: makes castellan's key manager; called for every secret, as
        some drivers keep what belongs to one user.
    """

    def __init__(self, conf: Any, manager: Callable[[Any], Any] = key_manager.API) -> None:
        self._conf = conf
        self._manager = manager

    def credentials(self, context: Any, secret_id: str | None,
                    reference: registry.Reference) -> runtime_registry.Credentials | None:
        """Who asks the registry for this image; None is nobody.

        :param context: of who wants the server.
        :param secret_id: the UUID of a secret, or its address in Barbican; None: the
            image names none.
        :raises NoCredentials: the secret gives none for this registry.
        """
        if secret_id is not None:
            return find(self._payload(context, secret_id), reference)
        if self._conf.zun_nova.registry_auth_file is None:
            return None
        try:
            return find(self._operators(), reference)
        except NoCredentials as ex:   # the file is about other registries
            LOG.debug('No credentials for %s: %s', reference.registry, ex)
            return None

    def _operators(self) -> bytes:
        path = pathlib.Path(self._conf.zun_nova.registry_auth_file)
        try:
            return path.read_bytes()
        except OSError as ex:
            LOG.warning('[zun_nova] registry_auth_file: %s', ex)
            raise NoCredentials('it cannot be read') from None

    def _payload(self, context: Any, secret_id: str) -> bytes:
        # The address would let the image's owner choose whom the user's token is sent to.
        key = secret_id.rstrip('/').rpartition('/')[2]
        if not uuidutils.is_uuid_like(key):
            raise NoCredentials('it is neither the UUID nor the address of a secret')
        try:
            payload = self._manager(self._conf).get(context, key).get_encoded()
        except castellan_exception.ManagedObjectNotFoundError:
            raise NoCredentials(
                'there is no such secret that you may read') from None
        except Exception as ex:  # noqa: BLE001
            # Drivers let through whatever their libraries raise, and what those
            # say can hold a token or the secret: neither text nor traceback is kept.
            raise _refusal(key, ex) from None
        return payload.encode() if isinstance(payload, str) else bytes(payload or b'')


def find(payload: bytes, reference: registry.Reference) -> runtime_registry.Credentials:
    """The credentials for the image's registry in a document like Docker's config.json.

    A secret names the registry that it is for: otherwise the owner of an
    image could have the secrets of its users sent anywhere.

    :raises NoCredentials: it holds none.
    """
    try:
        if len(payload) > _MAX_BYTES:
            raise ValueError
        document = json.loads(payload)
        known = {_plain(name): entry for name, entry in document['auths'].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NoCredentials(f'it is not of the form {_FORM}') from None
    entry = next((known[prefix] for prefix in registry.prefixes(reference) if prefix in known),
                 None)
    if entry is None:
        raise NoCredentials(f'it has nothing for {reference.registry}: {_FORM}')
    return _credentials(entry)


def _credentials(entry: Mapping[str, Any]) -> runtime_registry.Credentials:
    try:
        if 'username' in entry:
            username, password = entry['username'], entry['password']
        else:
            username, _, password = base64.b64decode(
                entry['auth'], validate=True).decode().partition(':')
    except (binascii.Error, ValueError, KeyError, TypeError):
        username = password = None
    if not (isinstance(username, str) and isinstance(password, str) and username and password):
        raise NoCredentials('what it holds for the registry is no user name and password')
    return runtime_registry.Credentials(username, password)


def _plain(name: str) -> str:
    """A registry as it is named in an image's name: without scheme and version."""
    _, scheme, rest = name.partition('://')
    host, slash, path = (rest if scheme else name).rstrip('/').partition('/')
    host = host.lower()
    if host in _HUB_NAMES:
        host = _HUB
    return host if path in ('', 'v1', 'v2') else f'{host}{slash}{path}'


def _refusal(key: str, ex: Exception) -> NoCredentials:
    if (isinstance(ex, castellan_exception.Forbidden)
            or getattr(ex, 'status_code', None) in (401, 403)):
        return NoCredentials('there is no such secret that you may read')
    LOG.warning('The key manager did not give secret %s: %s', key, type(ex).__name__)
    return NoCredentials('the key manager does not answer as it should', again=True)
