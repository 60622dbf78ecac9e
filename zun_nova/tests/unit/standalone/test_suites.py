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

import io

from oslotest import base
import subunit
from zun_cloud import errors
from zun_cloud import suites


class SuitesTest(base.BaseTestCase):

    def test_choose_keeps_the_order(self) -> None:
        names = [suite.name for suite in suites.choose(['functional', 'pep8'])]
        self.assertEqual(['pep8', 'functional'], names)
        self.assertEqual(list(suites.SUITES), suites.choose([]))
        self.assertRaises(errors.CloudError, suites.choose, ['bogus'])

    def test_some_suites_only_on_request(self) -> None:
        volumes, = suites.choose(['volumes'])
        self.assertEqual(('cinder',), volumes.extras)
        self.assertNotIn(volumes, suites.choose([]))
        self.assertEqual(['functional', 'moves'], [
            suite.name for suite in suites.choose(['moves', 'functional'])])

    def test_results_of_a_stream(self) -> None:
        stream = io.BytesIO()
        writer = subunit.StreamResultToBytes(stream)
        for name, status in (('a', 'success'), ('b', 'fail'), ('c', 'skip'), ('d', 'inprogress')):
            writer.status(test_id=name, test_status=status)
        writer.status(test_id='b', file_name='traceback', file_bytes=b'in here\nNo: bad', eof=True)
        writer.status(test_id='c', file_name='reason', file_bytes=b'no\nengine', eof=True)
        stream.seek(0)
        result = suites.read(stream)
        self.assertEqual(1, result.passed)
        self.assertEqual({'b': 'in here\nNo: bad', 'd': 'its last state: inprogress'},
                         result.failed)
        self.assertEqual({'c': 'no engine'}, result.skipped)

    def test_summary(self) -> None:
        total = suites.Result(passed=1)
        total.add(suites.Result(2, {'y': 'in here\nNo: bad'}, {'x': 'why'}))
        self.assertEqual('Skipped tests: 1\n  x: why\n\nFAILED: y\n  in here\n  No: bad\n\n'
                         '3 passed, 1 failed, 1 skipped',
                         total.summary())
