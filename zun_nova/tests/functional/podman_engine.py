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

"""A real Podman engine for tests."""

from __future__ import annotations

import os
import types

from zun_nova.tests.functional import engine
from zun_nova.vif import named
from zun_nova.vif import privileged
from zun_nova.virt.runtime import podman

PODMAN = '/usr/bin/podman'

# Its own mount namespace: crun refuses a hierarchy of version 2 beside those of version 1. The
# names of network namespaces made outside must be seen inside, as on a host where systemd has
# made all mounts shared.
_SCRIPT = """
umount /sys/fs/cgroup/unified 2>/dev/null
exec "$@"
"""


def why_not() -> str | None:
    """Why no engine can be had here; None when one can."""
    if os.geteuid() != 0:
        return 'a Podman engine of our own needs root'
    if not os.path.exists(PODMAN):
        return f'{PODMAN} is missing: install podman'
    return None


class PodmanEngine(engine.DockerEngine):
    """A Podman service of the test's own, with its containers and images; leaves nothing.

    :ivar url: unix://...
    """

    def _setUp(self) -> None:
        privileged_was = privileged.context.client_mode
        privileged.context.set_client_mode(False)
        self.addCleanup(privileged.context.set_client_mode, privileged_was)
        super()._setUp()

    def why_not(self) -> str | None:
        return why_not()

    def runtime(self, timeout: int = 60) -> podman.PodmanRuntime:
        """A runtime on this engine, configured as in nova.conf."""
        return podman.PodmanRuntime(types.SimpleNamespace(
            state_path=str(self._root / 'state'),
            zun_nova=types.SimpleNamespace(
                podman_url=self.url, engine_timeout=timeout,
                podman_cgroup_parent=f'/{self._root.name}')))

    def given_url(self) -> str:
        return ''

    def command(self) -> list[str]:
        named.share_directory()
        return ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', _SCRIPT, 'sh',
                PODMAN, '--root', str(self.data), '--runroot', str(self._root / 'run'),
                '--tmpdir', str(self._root / 'tmp'), '--cgroup-manager', 'cgroupfs',
                '--events-backend', 'file', 'system', 'service', '--time', '0', self.url]
