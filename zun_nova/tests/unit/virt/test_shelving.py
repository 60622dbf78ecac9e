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

from nova.compute import task_states
import testtools

from zun_nova.tests.unit.virt import fakes
from zun_nova.virt import shelving


class ReleaseTest(testtools.TestCase):

    def test_those_whose_shelving_was_interrupted(self) -> None:
        saved = []
        for state, after in (
            (task_states.SHELVING, None), (task_states.SHELVING_IMAGE_PENDING_UPLOAD, None),
            (task_states.SHELVING_IMAGE_UPLOADING, None), (task_states.SHELVING_OFFLOADING, None),
            (task_states.UNSHELVING, task_states.UNSHELVING), (None, None),
        ):
            server = fakes.instance(task_state=state, save=lambda: saved.append(1))
            shelving.release([server])
            self.assertEqual(after, server.task_state)
        self.assertEqual(4, len(saved))
