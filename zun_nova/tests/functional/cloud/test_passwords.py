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

import subprocess

from zun_nova.tests.functional.cloud import base

SECRET = 'correct: horse $7'


class PasswordTest(base.CloudTest):

    def test_set_while_it_runs(self) -> None:
        server = self.boot(self.image('sleep 100000'))
        host = self.host_of(server)
        root = f'/proc/{self.container(server)["State"]["Pid"]}/root'
        self.demo.compute.change_server_password(server, SECRET)
        line = host.run('cat', f'{root}/etc/passwd').splitlines()[0]
        name, found, _ = line.split(':', 2)
        wanted = subprocess.run(
            ['busybox', 'mkpasswd', '-P', '0', '-m', 'sha256', '-S', found.split('$')[2]],
            input=SECRET, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
        self.assertEqual(('root', wanted), (name, found))
        logs = self.settings.directory('log').glob('nova-compute-*.log')
        self.assertNotIn(SECRET, ''.join(log.read_text(errors='replace') for log in logs))

        host.run('rm', f'{root}/bin/chpasswd')
        refusal = self.refused(self.demo.compute.change_server_password, server, SECRET)
        self.assertIn('its image has no program chpasswd', refusal)
        self.wait_status(server, 'ACTIVE')
