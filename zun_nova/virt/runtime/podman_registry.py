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

"""How a Podman engine fetches images from registries.

To ask a registry without fetching is what Podman 4 cannot, so skopeo does it:
of the same family, it finds registries, mirrors and certificates where Podman
does (containers-registries.conf(5), containers-certs.d(5)).
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from collections.abc import Iterator
import contextlib
import json
import os
import subprocess
from typing import Any

from zun_nova import errors
from zun_nova.virt import image_json
from zun_nova.virt import tar_stream
from zun_nova.virt.runtime import docker_registry
from zun_nova.virt.runtime import podman_client
from zun_nova.virt.runtime import podman_images
from zun_nova.virt.runtime import podman_request
from zun_nova.virt.runtime import registry

SKOPEO = 'skopeo'

#: Arguments, and the file descriptors they name.
Options = tuple[list[str], list[int]]


class Puller(docker_registry.Puller):
    """See registry.Puller for the contracts."""

    _engine: podman_client.Engine

    def platforms(self, remote: str,
                  credentials: registry.Credentials | None) -> list[registry.Platform]:
        with docker_registry.asking(remote), _authorized(remote, credentials) as options:
            try:
                manifest = self._inspect(remote, options, '--raw')
                described = [image_json.get(each, 'platform')
                             for each in image_json.get_list(manifest, 'manifests')]
                if not described:
                    described = [self._inspect(remote, options, '--raw', '--config')]
                return [registry.Platform(image_json.get_text(each, 'os'),
                                          image_json.get_text(each, 'architecture'))
                        for each in described]
            except tar_stream.BadArchive as ex:
                raise errors.InvalidRequest(
                    f'find {remote} in its registry', 'unsupported media type') from ex

    def pull(self, remote: str, reference: str, credentials: registry.Credentials | None,
             timeout: float) -> Generator[registry.Progress, None, None]:
        if credentials is None:
            # Given none, Podman takes what its operator has logged in with: fine for what
            # anybody may have.
            self.platforms(remote, None)
        yield from super().pull(remote, reference, credentials, timeout)

    def _inspect(self, remote: str, options: Options, *kind: str) -> Any:
        """What skopeo shows of the image, as JSON."""
        operation = f'find {remote} in its registry'
        arguments, descriptors = options
        try:
            done = subprocess.run(  # noqa: S603  no shell, and the name was checked
                [SKOPEO, 'inspect', *kind, *arguments, f'docker://{remote}'],
                pass_fds=descriptors, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                timeout=self._engine.timeout)
        except FileNotFoundError as ex:
            raise errors.Unsupported(operation, 'skopeo is missing on this host') from ex
        except subprocess.TimeoutExpired as ex:
            raise errors.EngineTimeout(operation, 'skopeo got no answer in time') from ex
        if done.returncode:
            raise errors.EngineError(operation, done.stderr.decode(errors='replace'))
        return image_json.parse(done.stdout, 'manifest')

    def _name(self, remote: str, reference: str) -> None:
        repository, tag = podman_request.image_name(reference).rsplit(':', 1)
        with self._engine.ask(f'name image {reference}') as client:
            self._engine.call(client, 'POST', f'{podman_images.path_of(remote)}/tag',
                              params={'repo': repository, 'tag': tag})

    def _unname(self, remote: str) -> None:
        with self._engine.ask(f'take the name {remote}') as client:
            self._engine.call(client, 'DELETE', podman_images.path_of(remote))


@contextlib.contextmanager
def _authorized(remote: str, credentials: registry.Credentials | None) -> Iterator[Options]:
    """Options by which skopeo uses these credentials and no others.

    They are in no file system and in no list of processes.
    """
    if credentials is None:
        yield ['--no-creds'], []
        return
    pair = f'{credentials.username}:{credentials.password}'.encode()
    with open(os.memfd_create('auth.json'), 'wb', buffering=0) as file:
        file.write(json.dumps({'auths': {
            remote.partition('/')[0]: {'auth': base64.b64encode(pair).decode()}}}).encode())
        yield ['--authfile', f'/proc/self/fd/{file.fileno()}'], [file.fileno()]
