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
import unittest

from zun_bench import phases


class Engine:

    def start(self, name: str) -> str:
        return f'started {name}'

    def fail(self) -> None:
        raise LookupError('gone')


class WatchedTest(unittest.TestCase):

    def test_calls_are_counted_and_pass_through(self) -> None:
        original = Engine.start
        with phases.watched([(Engine, 'start', 'start'), (Engine, 'fail', 'fail')]) as watch:
            self.assertEqual('started a', Engine().start('a'))
            self.assertEqual('started b', Engine().start(name='b'))
            self.assertRaises(LookupError, Engine().fail)
        self.assertEqual({'start': 2, 'fail': 1}, watch.calls)
        self.assertEqual(watch.calls.keys(), watch.seconds.keys())
        self.assertIs(original, Engine.start)

    def test_at_the_same_time(self) -> None:
        watch = phases.Watch()
        inside = threading.Barrier(2)
        step = watch.wrapped(lambda: inside.wait(60), 'step')
        threads = [threading.Thread(target=step) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({'step': 2}, watch.calls)
