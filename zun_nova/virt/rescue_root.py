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

"""The root of a rescued server, mounted on the host for its rescue container.

A directory below ``instances_path`` for each. That it is there says that the
server's own container is, or was about to be, set aside for a rescue: it is
made before and removed last, so after a crash it tells what to put in order.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import pathlib
from typing import Any
import urllib.parse

from oslo_privsep import comm
from oslo_privsep import daemon

from zun_nova import errors
from zun_nova.virt import overlay
from zun_nova.virt import privileged
from zun_nova.virt.runtime import roots

DIRECTORY = 'rescue'


class RescueRoots:
    """Those of one compute service; several can share instances_path."""

    def __init__(self, conf: Any, host: str) -> None:
        self._base = pathlib.Path(
            conf.instances_path, 'zun_nova', DIRECTORY, urllib.parse.quote(host, safe=''))

    def path(self, uuid: str) -> pathlib.Path:
        """Where it is mounted; the name is not the tenant's."""
        return self._base.resolve() / uuid

    def noted(self, uuid: str) -> bool:
        """Whether the server is rescued, or was when something was interrupted."""
        return self.path(uuid).is_dir()

    def note(self, uuid: str) -> None:
        """Have :meth:`noted` be true until :meth:`release`."""
        self.path(uuid).mkdir(mode=0o700, parents=True, exist_ok=True)

    def mount(self, uuid: str, layers: roots.Layers) -> None:
        """Have the root there; nothing to do when it is.

        :raises errors.EngineError: the kernel refuses.
        """
        with _asking('mount the root of the server'):
            privileged.mount_overlay(
                list(layers.lower), layers.upper, layers.work, str(self.path(uuid)))

    def unmount(self, uuid: str) -> None:
        """Nothing to do when nothing is mounted.

        :raises errors.EngineError: it is in use.
        """
        path = str(self.path(uuid))
        if overlay.is_mounted(path):
            with _asking('unmount the root of the server'):
                privileged.unmount(path)

    def release(self, uuid: str) -> None:
        """Leave nothing; one look when there is nothing.

        :raises errors.EngineError: it is in use.
        """
        if self.noted(uuid):
            self.unmount(uuid)
            with contextlib.suppress(FileNotFoundError):
                self.path(uuid).rmdir()


@contextlib.contextmanager
def _asking(operation: str) -> Iterator[None]:
    """Around a call of the privileged daemon."""
    try:
        yield
    except OSError as ex:
        raise errors.EngineError(operation, overlay.explain(ex)) from ex
    except comm.PrivsepTimeout as ex:
        raise errors.EngineTimeout(operation, 'the privileged daemon does not answer') from ex
    except daemon.FailedToDropPrivileges as ex:
        raise errors.EngineError(operation, (
            f'{ex}; is helper_command in [{privileged.context.cfg_section}] right?')) from ex
