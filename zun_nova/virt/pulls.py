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

"""Brings reference images into the engine: those whose content is in a registry.

Every use asks the registry first whether the user may have the image. That it
is in the engine already, perhaps for another project, gives nobody a right to it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import platform
from typing import Any

from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt import download
from zun_nova.virt import image_source
from zun_nova.virt import registry
from zun_nova.virt import registry_secret
from zun_nova.virt import signature
from zun_nova.virt.runtime import registry as runtime_registry

LOG = logging.getLogger(__name__)

_MACHINE = platform.machine()


class Pulls:
    """The way from registries to one engine.

    :param engine: fetches nothing unless it is a runtime_registry.Puller.
    :param conf: Nova's configuration.
    """

    def __init__(self, engine: object, conf: Any,
                 secrets: registry_secret.Secrets | None = None) -> None:
        self._engine = engine
        self._conf = conf
        self._secrets = secrets or registry_secret.Secrets(conf)

    def authorize(self, context: Any, source: image_source.Source,
                  remote: image_source.Remote) -> runtime_registry.Credentials | None:
        """Make sure that the user may have the image; returns with which credentials.

        :raises errors.ImageInvalid: this cloud or this host cannot run it.
        :raises errors.ImageUnavailable: it cannot be had, or not by this user.
        """
        puller = self._puller(source, remote.image)
        credentials = self._credentials(context, source, remote)
        with _translated(source, remote.image, credentials):
            platforms = puller.platforms(str(remote.image), credentials)
        if not registry.runs_on(_MACHINE, platforms):
            made_for = ', '.join(sorted({str(each) for each in platforms}))
            raise errors.ImageInvalid(
                source.image_id, 'it is not made for the processors of this host '
                f'({_MACHINE}), only for {made_for}')
        return credentials

    def fetch(self, source: image_source.Source, remote: image_source.Remote,
              credentials: runtime_registry.Credentials | None,
              check: Callable[[], None] = lambda: None) -> None:
        """Pull the image.

        :param credentials: those that authorize() returned.
        :param check: is called now and then; what it raises ends the pull.
        :raises: what authorize() does, and errors.EngineError.
        """
        puller = self._puller(source, remote.image)
        report = download.Report(source.image_id)
        limit = self._conf.zun_nova.image_max_size_gb
        with _translated(source, remote.image, credentials):
            with contextlib.closing(puller.pull(
                    str(remote.image), source.reference, credentials,
                    self._conf.zun_nova.image_timeout)) as pull:
                for progress in pull:
                    check()
                    report.reached(progress.received, progress.total)
                    if progress.total > limit * 1024 ** 3:
                        raise errors.ImageInvalid(
                            source.image_id, f'its layers have more than {limit} GiB, the limit '
                            'of this cloud')
        report.ended()

    def _puller(self, source: image_source.Source,
                reference: registry.Reference) -> runtime_registry.Puller:
        """The engine, when this image may be pulled by it."""
        allowed = self._conf.zun_nova.allowed_registries
        if not registry.is_allowed(reference, allowed):
            known = ', '.join(allowed) or 'none'
            raise errors.ImageInvalid(
                source.image_id, f'no images of {reference.name} are run here; upload the image '
                f'itself (allowed: {known})')
        if signature.demanded(source):
            raise errors.ImageInvalid(
                source.image_id, 'only signed images are wanted, and what a registry '
                'delivers has no signature; upload the image itself')
        if not isinstance(self._engine, runtime_registry.Puller):
            raise errors.ImageInvalid(
                source.image_id, 'the container engine of this host fetches no images from '
                'registries; upload the image itself')
        return self._engine

    def _credentials(self, context: Any, source: image_source.Source,
                     remote: image_source.Remote) -> runtime_registry.Credentials | None:
        try:
            return self._secrets.credentials(context, remote.secret_id, remote.image)
        except registry_secret.NoCredentials as ex:
            kind = errors.ImageUnavailable if ex.again else errors.ImageInvalid
            raise kind(source.image_id, f'{image_source.SECRET_PROPERTY}: {ex}') from None


@contextlib.contextmanager
def _translated(source: image_source.Source, reference: registry.Reference,
                credentials: runtime_registry.Credentials | None) -> Iterator[None]:
    """Say what it means for the image that the engine could not do what it was asked.

    In few words: Nova cuts the message of a fault after 255 bytes, of which
    two UUIDs and its own words take 110.
    """
    where = f'registry {reference.registry}'
    try:
        yield
    except errors.AccessDenied as ex:
        LOG.info('Image %s: %s', source.image_id, ex)
        cure = ('check the credentials in the secret' if credentials else
                f'name a secret with credentials in {image_source.SECRET_PROPERTY}')
        raise errors.ImageUnavailable(
            source.image_id, f'{where} {ex.detail} to {reference.repository}; {cure}') from None
    except errors.NotFound as ex:
        raise errors.ImageInvalid(
            source.image_id, f'{where} {ex.detail}; check name and digest in '
            f'{image_source.REFERENCE_PROPERTY}') from ex
    except errors.InvalidRequest as ex:
        raise errors.ImageInvalid(source.image_id, f'{where} {ex.detail}') from ex
    except errors.RegistryUnavailable as ex:
        raise errors.ImageUnavailable(
            source.image_id, f'{where} {ex.detail}; try again later') from ex
