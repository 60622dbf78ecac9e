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

"""Results of suites, as the documentation gets them."""

from __future__ import annotations

import datetime
import io
import pathlib
import sys

from oslotest import base
import subunit

sys.path.append(str(pathlib.Path(__file__).parents[4] / 'tools'))

import record_results


class RecordTest(base.BaseTestCase):

    def test_counts_by_class(self) -> None:
        tests = 'zun_nova.tests.nova_functional.test_nova'
        run = record_results.record(
            {f'{tests}.ATest.test_a': 'passed', f'{tests}.ATest.test_b': 'failed',
             f'{tests}.BTest.test_c': 'skipped'},
            {f'{tests}.BTest.test_c': 'no\nengine'})
        self.assertEqual({'ATest': {'passed': 1, 'failed': 1, 'skipped': 0},
                          'BTest': {'passed': 0, 'failed': 0, 'skipped': 1}}, run['groups'])
        self.assertEqual([f'{tests}.ATest.test_b'], run['failed'])
        self.assertEqual({'no engine': [f'{tests}.BTest.test_c']}, run['skipped'])

    def test_classes_as_a_whole(self) -> None:
        module = 'tempest.api.compute.test_versions'
        run = record_results.record(
            {f'setUpClass ({module}.ATest)': 'skipped', f'setUpClass ({module}.BTest)': 'failed',
             f'{module}.CTest.test_c[id-3]': 'passed'},
            {f'setUpClass ({module}.ATest)': 'switched off'},
            [f'{module}.ATest.test_a[id-1,smoke]', f'{module}.ATest.test_b[id-2]',
             f'{module}.BTest.test_a[id-4]', f'{module}.CTest.test_c[id-3]',
             f'{module}.CTest.test_d[id-5]'])
        self.assertEqual({'compute.test_versions': {'passed': 1, 'failed': 1, 'skipped': 2}},
                         run['groups'])
        self.assertEqual([f'{module}.BTest.test_a'], run['failed'])
        self.assertEqual(2, len(run['skipped']['switched off']))
        self.assertEqual(1, run['not_run'])

    def test_a_stream(self) -> None:
        stream = io.BytesIO()
        writer = subunit.StreamResultToBytes(stream)
        began = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        for name, status in (('a', 'success'), ('b', 'fail'), ('c', 'skip'), ('d', 'inprogress')):
            writer.status(test_id=name, test_status=status, timestamp=began)
        writer.status(test_id='a', test_status='success',
                      timestamp=began + datetime.timedelta(seconds=83))
        writer.status(test_id='c', file_name='reason', file_bytes=b'why', eof=True)
        stream.seek(0)
        collector = record_results.Collector()
        subunit.ByteStreamToStreamResult(stream).run(collector)
        self.assertEqual({'a': 'passed', 'b': 'failed', 'c': 'skipped', 'd': 'failed'},
                         collector.outcomes)
        self.assertEqual({'c': 'why'}, collector.reasons)
        self.assertEqual(83, collector.seconds)
