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

import types
import unittest

from nova.compute import power_state

from zun_nova.virt import identity
from zun_nova.virt import states
from zun_nova.virt.runtime import base


def row(uuid: str, state: base.State) -> base.ContainerSummary:
    return base.ContainerSummary(
        id=f'id-{uuid}', name=f'nova-{uuid}', state=state,
        labels={identity.LABEL_UUID: uuid}, image_id='sha256:1')


class StatesTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.now = 1000.0
        self.states = states.States(lambda: self.now)
        self.states.note([row('a', base.State.RUNNING), row('b', base.State.EXITED)])

    def confirmed(self, uuid: str, state: int) -> str | None:
        info = self.states.confirmed(types.SimpleNamespace(uuid=uuid, power_state=state))
        if info is None:
            return None
        self.assertEqual(state, info.state)
        return info.internal_id

    def test_as_nova_has_it(self) -> None:
        self.assertEqual('id-a', self.confirmed('a', power_state.RUNNING))
        self.assertEqual('id-b', self.confirmed('b', power_state.SHUTDOWN))

    def test_otherwise_than_nova_has_it(self) -> None:
        self.assertIsNone(self.confirmed('a', power_state.SHUTDOWN))
        self.assertIsNone(self.confirmed('b', power_state.RUNNING))

    def test_unknown(self) -> None:
        self.assertIsNone(self.confirmed('c', power_state.RUNNING))
        self.assertIsNone(states.States().confirmed(
            types.SimpleNamespace(uuid='a', power_state=power_state.RUNNING)))

    def test_a_list_does_not_last(self) -> None:
        self.now += states.LASTS + 1
        self.assertIsNone(self.confirmed('a', power_state.RUNNING))
        self.states.note([row('a', base.State.RUNNING)])
        self.assertEqual('id-a', self.confirmed('a', power_state.RUNNING))
        self.assertIsNone(self.confirmed('b', power_state.SHUTDOWN))
