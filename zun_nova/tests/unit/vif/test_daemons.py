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

import os
import shutil
import stat
import tempfile
import unittest
from unittest import mock

from oslo_config import cfg
from oslo_privsep import capabilities
from oslo_privsep import priv_context

from zun_nova.vif import daemons

SECTION = 'zun_nova_test_privileged'

context = priv_context.PrivContext(
    __name__, cfg_section=SECTION, pypath=__name__ + '.context',
    capabilities=[capabilities.CAP_NET_ADMIN])


class TestStart(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        self.helper = os.path.join(directory, 'helper')
        self.started = os.path.join(directory, 'started')
        patcher = mock.patch.object(daemons, 'CONTEXTS', (context,))
        patcher.start()
        self.addCleanup(patcher.stop)

    def run_helper(self, exit_code: int) -> None:
        """Have a helper that notes its start and ends, and start what there is."""
        with open(self.helper, 'w') as file:
            file.write(f'#!/bin/sh\necho "$@" >> {self.started}\nexit {exit_code}\n')
        os.chmod(self.helper, stat.S_IRWXU)
        cfg.CONF.set_override('helper_command', self.helper, group=SECTION)
        self.addCleanup(cfg.CONF.clear_override, 'helper_command', group=SECTION)
        daemons.start().join()

    def starts(self) -> list[str]:
        if not os.path.exists(self.started):
            return []
        with open(self.started) as file:
            return file.read().splitlines()

    def test_one_that_does_not_start_is_logged_and_tried_again(self) -> None:
        for times in (1, 2):
            with self.assertLogs(daemons.LOG.logger, 'ERROR') as logged:
                self.run_helper(exit_code=3)
            self.assertIn(SECTION, logged.output[0])
            self.assertEqual(times, len(self.starts()))
            self.assertIsNone(context.channel)
        self.assertIn('--privsep_context ' + __name__ + '.context', self.starts()[0])

    def test_no_helper(self) -> None:
        cfg.CONF.set_override('helper_command', '/no/such/program', group=SECTION)
        self.addCleanup(cfg.CONF.clear_override, 'helper_command', group=SECTION)
        with self.assertLogs(daemons.LOG.logger, 'ERROR'):
            daemons.start().join()

    def test_one_that_runs_is_left_alone(self) -> None:
        with mock.patch.object(context, 'channel', mock.Mock()):
            self.run_helper(exit_code=3)
        self.assertEqual([], self.starts())

    def test_none_is_started_where_the_calls_are_made_in_this_process(self) -> None:
        context.set_client_mode(False)
        self.addCleanup(context.set_client_mode, True)
        self.run_helper(exit_code=3)
        self.assertEqual([], self.starts())
