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

import threading
import time

from oslotest import base
from zun_cloud import graph


def nothing() -> None:
    pass


class CheckTest(base.BaseTestCase):

    def test_order(self) -> None:
        nodes = [graph.Node('c', nothing, ('b',)), graph.Node('a', nothing),
                 graph.Node('b', nothing, ('a',))]
        self.assertEqual(['a', 'b', 'c'], [node.name for node in graph.check(nodes)])

    def test_refused(self) -> None:
        for nodes in (
            [graph.Node('a', nothing), graph.Node('a', nothing)],
            [graph.Node('a', nothing, ('missing',))],
            [graph.Node('a', nothing, ('b',)), graph.Node('b', nothing, ('a',))],
        ):
            self.assertRaises(ValueError, graph.check, nodes)


class RunTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.ended: list[str] = []

    def report(self, name: str, seconds: float) -> None:
        self.ended.append(name)

    def test_each_after_what_it_needs(self) -> None:
        seen: list[str] = []
        nodes = [graph.Node(name, lambda name=name: seen.append(name), after)
                 for name, after in (('d', ('b', 'c')), ('b', ('a',)), ('c', ('a',)), ('a', ()))]
        graph.run(nodes, self.report)
        self.assertEqual(('a', 'd'), (seen[0], seen[-1]))
        self.assertEqual(['a', 'b', 'c', 'd'], sorted(self.ended))

    def test_what_can_runs_at_once(self) -> None:
        together = threading.Barrier(2, timeout=10)
        graph.run([graph.Node('a', lambda: (together.wait(), None)[1]),
                   graph.Node('b', lambda: (together.wait(), None)[1])], self.report)
        self.assertEqual({'a', 'b'}, set(self.ended))

    def test_failure_stops_the_rest(self) -> None:
        def fail() -> None:
            raise RuntimeError('broken')

        slow = graph.Node('slow', lambda: time.sleep(0.2))
        later = graph.Node('later', nothing, ('slow',))
        error = self.assertRaises(
            RuntimeError, graph.run, [graph.Node('a', fail), slow, later], self.report)
        self.assertEqual('broken', str(error))
        self.assertNotIn('later', self.ended)
