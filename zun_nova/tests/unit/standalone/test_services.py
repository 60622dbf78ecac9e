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

import fixtures
from oslotest import base
from zun_cloud import bringup
from zun_cloud import errors
from zun_cloud import graph
from zun_cloud import services
from zun_cloud import settings


class ServicesTest(base.BaseTestCase):

    def test_names_are_unique_however_many_hosts(self) -> None:
        names = [item.name for item in services.all_services(settings.Settings(computes=3))]
        self.assertEqual(sorted(set(names)), sorted(names))
        self.assertIn('nova-compute-3', names)

    def test_only_other_hosts_are_entered(self) -> None:
        cloud = settings.Settings(computes=2)
        enter = '/var/lib/zun-cloud/data/compute2/enter'
        self.assertNotEqual(enter, services.find(cloud, 'dockerd-1').command[0])
        second = services.find(cloud, 'dockerd-2')
        self.assertEqual(enter, second.command[0])
        self.assertIn('power-2', second.after)
        self.assertFalse(second.restart)

    def test_unknown_names_are_refused(self) -> None:
        error = self.assertRaises(errors.CloudError, services.find, settings.Settings(), 'nova')
        self.assertIn('nova-api', str(error))


class BringUpTest(base.BaseTestCase):

    def order(self, computes: int, network: str = 'ovn') -> list[str]:
        path = self.useFixture(fixtures.TempDir()).path
        cloud = settings.load(path, {'computes': computes, 'network': network}, {})
        return [node.name for node in graph.check(bringup.BringUp(cloud, None).nodes())]

    def test_everything_waited_for_exists(self) -> None:
        for computes in (1, 3):
            for network in settings.NETWORKS:
                names = self.order(computes, network)
                self.assertIn('compute hosts', names)

    def test_networks_are_made_when_there_is_who_serves_them(self) -> None:
        names = self.order(2, 'ovs')
        self.assertLess(names.index('neutron-ovs-agent-2'), names.index('network agents'))
        self.assertLess(names.index('network agents'), names.index('networks'))
        self.assertNotIn('network agents', self.order(2))

    def test_a_host_is_powered_before_anything_runs_on_it(self) -> None:
        names = self.order(2)
        self.assertLess(names.index('power-2'), names.index('ovsdb-2'))
        self.assertLess(names.index('management'), names.index('ovn-sb'))
        self.assertLess(names.index('schema-nova'), names.index('nova-conductor'))
