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

"""Streams of real Docker."""

from __future__ import annotations

from zun_nova import errors
from zun_nova.tests import runtime_contract
from zun_nova.tests import streams_contract
from zun_nova.tests.functional.runtime import docker_case


class DockerStreamsTest(streams_contract.Contract, docker_case.DockerTest):

    def test_the_first_bytes_are_never_lost(self):
        name = self.started(*runtime_contract.SLEEP)
        for number in range(200):
            result = self.run_in(name, 'echo', str(number))
            self.assertEqual((0, f'{number}\n'.encode()), (result.exit_code, result.stdout))

    def test_what_takes_too_long_is_killed_with_its_children(self):
        name = self.started(*runtime_contract.SLEEP)
        self.assertRaises(
            errors.EngineTimeout, self.run_in, name, 'sh', '-c',
            'trap "" TERM HUP; sleep 4321 & sleep 4321', timeout=2)
        self.assertEqual(b'', self.run_in(
            name, 'sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " " | grep -o "sleep 432[1]"'
        ).stdout)

    def test_user_and_environment(self):
        name = self.started(*runtime_contract.SLEEP)
        result = self.run_in(
            name, 'sh', '-c', 'id -u; echo "$A"', user='1234', env={'A': 'b=c'})
        self.assertEqual(b'1234\nb=c\n', result.stdout)
        self.assertRaises(errors.StartFailed, self.run_in, name, 'true', user='nobody-known')
