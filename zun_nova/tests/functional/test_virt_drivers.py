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

"""Nova's driver suite in its strict form, on a real engine."""

from __future__ import annotations

import pathlib

import fixtures
from nova import test

from zun_nova.tests.conformance import test_virt_drivers as conformance
from zun_nova.tests.functional import engine
from zun_nova.vif import daemons
from zun_nova.vif import privileged
from zun_nova.virt import overlay
from zun_nova.virt import privileged as virt_privileged
from zun_nova.virt import rescue_root


class DockerSuite(conformance.DriverSuite):
    """Real containers with real network namespaces; only the switch is left out."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.engine = engine.for_class(cls)

    def set_up_engine(self) -> None:
        self.use_engine(self.engine.url)
        for context in (*daemons.CONTEXTS, virt_privileged.context):
            context.set_client_mode(False)
            self.addCleanup(context.set_client_mode, True)
        for name in ('plug', 'unplug'):
            self.useFixture(fixtures.MonkeyPatch(f'os_vif.{name}', lambda *_: None))
        self.useFixture(fixtures.MonkeyPatch('zun_nova.vif.switch.ports', list))
        self.addCleanup(self.remove_links, self.links())
        self.addCleanup(self.unmount, self.rescue_roots())
        self.addCleanup(self.engine.clean)

    @staticmethod
    def rescue_roots() -> set[str]:
        lines = pathlib.Path('/proc/self/mountinfo').read_text().splitlines()
        return {path for path in overlay.mount_points(lines)
                if f'/{rescue_root.DIRECTORY}/' in path}

    def unmount(self, before: set[str]) -> None:
        """The suite does not end what it rescues."""
        for path in self.rescue_roots() - before:
            overlay.unmount(path)

    @staticmethod
    def links() -> set[str]:
        return {path.name for path in pathlib.Path('/sys/class/net').iterdir()}

    def remove_links(self, before: set[str]) -> None:
        """The suite does not destroy what it spawns."""
        for name in self.links() - before:
            privileged.delete(name)


DockerConformance = type(
    'DockerConformance', (DockerSuite, test.TestCase), conformance.STRICT)
