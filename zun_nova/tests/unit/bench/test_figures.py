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

import contextlib
import io
import unittest

from zun_bench import figures


class FiguresTest(unittest.TestCase):

    def test_medians_of_phases(self) -> None:
        runs = [{'a': 1.0, 'b': 5.0}, {'a': 3.0, 'c': 9.0}, {'a': 2.0, 'b': 7.0}]
        self.assertEqual({'a': 2.0, 'b': 5.0, 'c': 0.0}, figures.medians(runs))
        self.assertEqual({}, figures.medians([]))

    def test_spread(self) -> None:
        self.assertEqual('   200 ms  (100-900, n=3)', figures.spread([0.9, 0.1, 0.2]))

    def test_aim(self) -> None:
        self.assertEqual('b / a: 1.25, aim at most 1.25: met', figures.aim('b / a', 1.25, 1.25))
        self.assertEqual('c - d: 0.31 s, aim at most 0.3 s: MISSED',
                         figures.aim('c - d', 0.31, 0.3, ' s'))

    def test_show_phases(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            figures.show_phases('phases:', [{'start': 0.1}, {'start': 0.3}, {'start': 0.2}])
        self.assertEqual('  phases:\n       200 ms  start\n', shown.getvalue())
