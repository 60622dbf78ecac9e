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

import pathlib

import fixtures
from oslotest import base
from zun_cloud import agents
from zun_cloud import errors
from zun_cloud import flavour
from zun_cloud import hosts
from zun_cloud import leftovers
from zun_cloud import services
from zun_cloud import settings


class AgentsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        state = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.cloud = settings.Settings(state=state, network='ovs', computes=2)

    def names(self, cloud: settings.Settings) -> set[str]:
        return {item.name for item in services.all_services(cloud)}

    def test_agents_stand_in_for_ovn(self) -> None:
        names = self.names(self.cloud)
        self.assertEqual(set(), {name for name in names if 'ovn' in name})
        self.assertLessEqual({'neutron-rpc', 'neutron-ovs-agent-1', 'neutron-ovs-agent-2',
                              'neutron-l3-1', 'neutron-dhcp-1', 'neutron-metadata-1'}, names)
        self.assertEqual(set(), {'neutron-l3-2', 'neutron-dhcp-2', 'neutron-metadata-2'} & names)
        other = self.names(settings.Settings())
        self.assertIn('neutron-ovn-maintenance', other)
        self.assertNotIn('neutron-rpc', other)

    def test_what_is_waited_for_is_what_runs(self) -> None:
        wanted = {agents.service_of(*item) for item in agents.wanted(self.cloud)}
        runs = {item.name for host in hosts.all_hosts(self.cloud)
                for item in agents.of_host(host)}
        self.assertEqual(runs, wanted)

    def test_agents_find_their_own_switch(self) -> None:
        for host in hosts.all_hosts(self.cloud):
            for item in agents.of_host(host):
                self.assertEqual(str(host.run / 'ovs'), item.env['OVS_RUNDIR'])

    def test_another_firewall_restarts_no_other_agent(self) -> None:
        for host in hosts.all_hosts(self.cloud):
            reads = {item.name for item in agents.of_host(host)
                     if agents.firewall(host) in item.files}
            self.assertEqual({f'neutron-ovs-agent-{host.number}'}, reads)

    def test_a_server_needs_the_layer_2_agent(self) -> None:
        self.assertIn('neutron-ovs-agent-2', services.find(self.cloud, 'nova-compute-2').after)

    def test_namespaces_by_what_the_agents_keep(self) -> None:
        machine = hosts.Host(self.cloud, 1)
        self.assertEqual([], agents.namespaces(machine))
        (agents.state(machine) / 'dhcp/network').mkdir(parents=True)
        proxies = agents.state(machine) / 'ns-metadata-proxy'
        proxies.mkdir()
        (proxies / 'router.conf').touch()
        names = agents.namespaces(machine)
        self.assertLessEqual({'qdhcp-network', 'qrouter-router'}, set(names))
        # None of them is on this machine.
        self.assertEqual([], leftovers.namespaces(self.cloud))


class FlavourTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.state = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (self.state / 'data/compute1').mkdir(parents=True)

    def cloud(self, network: str) -> settings.Settings:
        return settings.Settings(state=self.state, network=network)

    def test_a_new_cloud_may_be_either(self) -> None:
        for network in settings.NETWORKS:
            flavour.check(self.cloud(network))

    def test_data_stay_with_what_they_were_made_with(self) -> None:
        flavour.note(self.cloud('ovs'))
        flavour.check(self.cloud('ovs'))
        error = self.assertRaises(errors.CloudError, flavour.check, self.cloud('ovn'))
        self.assertIn('--network ovs', str(error))
        self.assertIn('cloud reset', str(error))

    def test_data_without_a_note_are_of_ovn(self) -> None:
        (self.state / 'data/compute1/ovnnb_db.db').touch()
        flavour.check(self.cloud('ovn'))
        self.assertRaises(errors.CloudError, flavour.check, self.cloud('ovs'))
