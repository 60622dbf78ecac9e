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

    def test_a_terminal_that_is_left_is_killed_with_its_children(self):
        name = self.started(*runtime_contract.SLEEP)
        terminal = self.opened(name, 'sh')
        terminal.send(b'sleep 4322 & echo $((6*7))-started; sleep 4322\n')
        self.until(terminal, b'42-started')
        terminal.close()
        self.assertEqual(b'', self.run_in(
            name, 'sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " " | grep -o "sleep 432[2]"'
        ).stdout)

    def test_sizes(self):
        name = self.shell()
        for terminal in (self.opened(name), self.opened(name, 'sh')):
            terminal.resize(51, 133)
            terminal.send(b'stty size\n')
            self.until(terminal, b'51 133')

    def test_who_does_not_look_holds_up_and_loses_nothing(self):
        terminal = self.opened(self.started(*runtime_contract.SLEEP), 'sh')
        terminal.send(b'stty -onlcr; seq 1 1000000; echo the-$((6*7))-end\n')
        self.run_in(self.started(*runtime_contract.SLEEP), 'true')
        seen = self.until(terminal, b'the-42-end')
        self.assertIn(b''.join(b'%d\n' % number for number in range(1, 1000001)), seen)

    def test_user_and_environment(self):
        name = self.started(*runtime_contract.SLEEP)
        result = self.run_in(
            name, 'sh', '-c', 'id -u; echo "$A"', user='1234', env={'A': 'b=c'})
        self.assertEqual(b'1234\nb=c\n', result.stdout)
        self.assertRaises(errors.StartFailed, self.run_in, name, 'true', user='nobody-known')
