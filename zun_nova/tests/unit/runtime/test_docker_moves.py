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

"""What resizing and migrating needs, on the fake engine."""

from __future__ import annotations

import dataclasses

from zun_nova.tests import fake_engine
from zun_nova.tests import moves_contract
from zun_nova.tests.unit.runtime import test_docker_contract


class DockerMovesTest(moves_contract.Moves):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.set_up_runtime(test_docker_contract.runtime_on(self.fake))

    def test_all_limits_change(self):
        name = self.started('sleep', 'infinity')
        self.runtime.update_limits(name, self.spec(name=name).limits)
        self.runtime.update_limits(name, dataclasses.replace(
            self.spec(name=name).limits, cpu_quota_us=150_000, cpu_shares=512, pids=32))
        config = self.fake.containers[name].host_config
        self.assertEqual((150_000, 512, 32), (
            config['CpuQuota'], config['CpuShares'], config['PidsLimit']))
