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

import pathlib
import textwrap

from oslotest import base
from zun_cloud import errors
from zun_cloud import manage


class ManageTest(base.BaseTestCase):

    def test_exit_codes(self) -> None:
        for code, expected in ((None, 0), (0, 0), (3, 3)):
            self.assertEqual(expected, manage._exit_code(SystemExit(code)))


class TailTest(base.BaseTestCase):

    def test_last_lines(self) -> None:
        text = textwrap.dedent('''\
            one
            two
            three
        ''')
        path = pathlib.Path(self.create_tempfiles([('log', text.encode())])[0])
        self.assertEqual('two\nthree', errors.tail(path, lines=2))

    def test_missing_log(self) -> None:
        self.assertIn('No such file', errors.tail(pathlib.Path('/nowhere/log')))
