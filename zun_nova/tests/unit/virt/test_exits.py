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

import unittest

from zun_nova.virt import exits


class ReasonTest(unittest.TestCase):

    def test_words(self) -> None:
        for code, oom_killed, words in (
            (0, False, 'Exit code 0: completed'),
            (3, False, 'Exit code 3: error'),
            (128, False, 'Exit code 128: error'),
            (137, False, 'Exit code 137: killed by SIGKILL'),
            (143, False, 'Exit code 143: killed by SIGTERM'),
            (255, False, 'Exit code 255: error'),
            (137, True, 'Exit code 137: out of memory, killed because the memory of the flavor '
                        'was used up'),
            (1, True, 'Exit code 1: error; a process of it was killed because the memory of the '
                      'flavor was used up'),
        ):
            self.assertEqual(words, exits.reason(code, oom_killed))
