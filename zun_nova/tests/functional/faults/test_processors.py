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

"""A host whose operator divides its processors."""

from __future__ import annotations

import os
from typing import Any
import unittest
import uuid

from zun_nova.tests.functional.faults import base

# isort: split
from zun_cloud import hosts  # found on the path that the tests of the cloud added

SERVICE = 'nova-compute-1'


class ProcessorsTest(base.FaultsTest):

    def setUp(self) -> None:
        super().setUp()
        if not os.path.exists('/sys/devices/system/cpu/cpu1'):
            raise unittest.SkipTest('this machine has one processor only')
        self.options = hosts.Host(self.settings, 1).etc / 'nova.conf'

    def restart_with(self, text: str) -> None:
        """Restart nova-compute with this nova.conf."""
        self.stop(SERVICE)
        self.options.write_text(text)
        self.start(SERVICE)
        self._broken = False

    def totals(self) -> dict[str, int]:
        """How much there is of each resource of the host, by Placement."""
        provider, = self.admin.placement.resource_providers(name=self.compute.name)
        return {row.resource_class: row.total for row in
                self.admin.placement.resource_provider_inventories(provider)}

    def flavor(self) -> Any:
        made = self.admin.compute.create_flavor(
            name=f'test-{uuid.uuid4().hex[:8]}', vcpus=1, ram=64, disk=1)
        self.addCleanup(self.admin.compute.delete_flavor, made.id)
        self.admin.compute.create_flavor_extra_specs(made, {'hw:cpu_policy': 'dedicated'})
        return made

    def test_a_processor_of_its_own(self) -> None:
        before = self.options.read_text()
        # When the servers are gone, as cleanups run in reverse.
        self.addCleanup(self.restart_with, before)
        self.restart_with(f'{before}\n[compute]\ncpu_shared_set = 0\ncpu_dedicated_set = 1\n')
        self.eventually(lambda: self.totals().get('PCPU') == 1, 'Placement knows the processor')
        self.assertEqual(1, self.totals()['VCPU'])
        flavor = self.flavor()
        config = self.container(self.boot(flavor=flavor.name))['HostConfig']
        self.assertEqual(('1', '0', 0), (
            config['CpusetCpus'], config['CpusetMems'], config['CpuQuota']))
        config = self.container(self.boot())['HostConfig']
        self.assertEqual('0', config['CpusetCpus'])
        self.assertGreater(config['CpuQuota'], 0)
        self.assertIn('No valid host', self.fault_of(flavor=flavor.name))
