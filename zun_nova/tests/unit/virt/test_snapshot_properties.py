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

from __future__ import annotations

import base64
from typing import Any

import testtools

from zun_nova.tests.unit.virt import fakes
from zun_nova.virt import owner_config
from zun_nova.virt import snapshot_properties

BASE = {'container:args': '[base]', 'os_command_line': 'base words', 'os_distro': 'debian',
        'container_image_ref': 'registry.test/a@sha256:0', 'container_registry_secret': 'id'}


def instance(document: str = '', **changes: Any) -> Any:
    user_data = base64.b64encode(f'#container-config\n{document}\n'.encode()).decode()
    return fakes.instance(
        user_data=user_data if document else None,
        system_metadata={f'image_{name}': value for name, value in BASE.items()}, **changes)


class PropertiesTest(testtools.TestCase):

    def test_what_the_image_itself_says_is_inherited_by_its_content_only(self) -> None:
        self.assertEqual({'os_distro': 'debian', 'image_type': 'snapshot'},
                         snapshot_properties.of_snapshot(
                             BASE | {'image_type': 'snapshot'}, instance()))

    def test_what_is_asked_for_with_the_snapshot_stays(self) -> None:
        self.assertEqual(
            {'os_distro': 'debian', 'container:args': '[other]', 'container:tty': 'true'},
            snapshot_properties.of_snapshot(
                BASE | {'container:args': '[other]', 'container:tty': 'true'},
                instance('tty: false')))

    def test_what_no_image_can_say_is_carried(self) -> None:
        server = instance(
            'command: [sh]\ntty: true\nstop_timeout: 7\nread_only: true\n'
            'sysctls: {net.core.somaxconn: "9"}\nulimits: {nofile: "5:6"}\n'
            'tmpfs: [{path: /run, size_mb: 2}]\nfiles: [{path: /f, content: x}]',
            metadata={'container:env:A': '1'})
        found = snapshot_properties.of_snapshot({}, server)
        self.assertEqual({
            'container:tty', 'container:stop_timeout', 'container:read_only',
            'container:sysctls:net.core.somaxconn', 'container:ulimits:nofile',
            'container:tmpfs'}, set(found))
        again = owner_config.read(None, {}, found)
        said = owner_config.read(server.user_data, {}, {})
        self.assertEqual({key: str(said[key]) for key in again},
                         {key: str(value) for key, value in again.items()})

    def test_too_long_for_a_property(self) -> None:
        mounts = ', '.join(f'{{path: /run/{number:020}}}' for number in range(9))
        self.assertEqual(
            {}, snapshot_properties.of_snapshot({}, instance(f'tmpfs: [{mounts}]')))

    def test_metadata_that_has_become_wrong(self) -> None:
        self.assertEqual({'a': 'b'}, snapshot_properties.of_snapshot(
            {'a': 'b'}, instance(metadata={'container:tty': 'perhaps'})))
