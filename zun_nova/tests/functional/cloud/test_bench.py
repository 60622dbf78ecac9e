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

"""The benchmarks run, and leave nothing; what they measure is no matter of tests."""

from __future__ import annotations

import os
import pathlib
import subprocess

from zun_nova.tests.functional.cloud import base

BENCH = pathlib.Path(__file__).parents[4] / 'bench'
TIMEOUT = 600


class BenchTest(base.CloudTest):

    def test_all_of_them(self) -> None:
        before = self.traces()
        commands = {
            'spawn': ('-n', '1', '--without-fake'),
            'periodic': ('-n', '1', '3'),
            'image': ('-n', '1', '--mib', '2'),
        }
        # Importing Nova takes the most of their time: together they take less.
        running = {name: self._start(name, *options) for name, options in commands.items()}
        shown = {name: process.communicate(timeout=TIMEOUT)[0]
                 for name, process in running.items()}
        for name, process in running.items():
            self.assertEqual(0, process.returncode, f'bench/{name}: {shown[name]}')
        for expected in ('a floor', 'b driver.spawn', 'c API to ACTIVE', 'b / a: '):
            self.assertIn(expected, shown['spawn'])
        for task in ('update_available_resource', '_sync_power_states'):
            self.assertEqual(2, shown['periodic'].count(task), shown['periodic'])
        self.assertIn('second boot: 0 bytes', shown['image'])
        self.nothing_left(before)

    def _start(self, name: str, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [BENCH / name, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env={**os.environ, 'ZUN_CLOUD_STATE': str(self.settings.state)})
        self.addCleanup(process.kill)
        return process
