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

from zun_bench import boots

SERVER = 'd16d035b-29c8-4678-a24e-3bcc0eebfa9d'
LOG = f"""\
2026-11-21 16:37:17.000 8006 INFO nova.compute.claims [-] [instance: {SERVER}] Claim successful on node compute1
2026-11-21 16:37:18.000 8006 INFO zun_nova.vif.events [-] [instance: other] Neutron took 9.00 s to say
2026-11-21 16:37:19.500 8006 INFO zun_nova.vif.events [-] [instance: {SERVER}] Neutron took 0.42 s to say
2026-11-21 16:37:20.250 8006 INFO nova.compute.manager [-] [instance: {SERVER}] Took 2.50 seconds to spawn the instance
Traceback of {SERVER}
"""  # noqa: E501  as they are


class MarksTest(unittest.TestCase):

    def test_of_one_server(self) -> None:
        marks = boots._marks(LOG, SERVER)
        claimed, wired, spawned = (marks[name] for name in ('claimed', 'wired', 'spawned'))
        self.assertEqual((0.0, 0.42, 2.5), (claimed[1], wired[1], spawned[1]))
        self.assertEqual((2.5, 3.25), (wired[0] - claimed[0], spawned[0] - claimed[0]))

    def test_of_none(self) -> None:
        self.assertEqual({}, boots._marks(LOG, 'another'))
