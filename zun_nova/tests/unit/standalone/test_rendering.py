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

import configparser
import itertools
import pathlib

from oslotest import base
from zun_cloud import credentials
from zun_cloud import hosts
from zun_cloud import rendering
from zun_cloud import settings


class RenderingTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.passwords = {name: f'password-of-{name}' for name in credentials.NAMES}

    def nova(self, cloud: settings.Settings, host: int | None) -> configparser.ConfigParser:
        output = rendering.Output('nova.conf', pathlib.Path('unused'),
                                  hosts.Host(cloud, host) if host else None)
        text = rendering.render_one(rendering.make_environment(), output, cloud, self.passwords)
        # An option that takes several values may be there several times.
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read_string(text)
        return parser

    def test_every_file_of_the_control_plane(self) -> None:
        cloud = settings.Settings(computes=2)
        environment = rendering.make_environment()
        for output in rendering.control_files(cloud):
            text = rendering.render_one(environment, output, cloud, self.passwords)
            self.assertNotIn('{{', text)

    def test_agents_of_a_host(self) -> None:
        cloud = settings.Settings(computes=2, network='ovs')
        for number, control in ((1, '127.0.0.1'), (2, '172.31.239.1')):
            host = hosts.Host(cloud, number)
            output = rendering.Output('neutron_agents.ini', pathlib.Path('unused'), host,
                                      extra={'datapath': 'netdev'})
            parser = configparser.ConfigParser(interpolation=None)
            parser.read_string(rendering.render_one(
                rendering.make_environment(), output, cloud, self.passwords))
            self.assertEqual(host.name, parser['DEFAULT']['host'])
            self.assertIn(f'@{control}:', parser['DEFAULT']['transport_url'])
            self.assertEqual(('netdev', 'physnet1:br-zun'),
                             (parser['ovs']['datapath_type'], parser['ovs']['bridge_mappings']))
            # Only the machine serves metadata, so only there is the secret.
            self.assertEqual(number == 1, 'metadata_proxy_shared_secret' in parser['DEFAULT'])

    def test_firewall(self) -> None:
        for firewall in settings.FIREWALLS:
            text = rendering.render_one(
                rendering.make_environment(),
                rendering.Output('neutron_firewall.ini', pathlib.Path('unused')),
                settings.Settings(network='ovs', firewall=firewall), self.passwords)
            self.assertIn(f'firewall_driver = {firewall}\n', text)

    def test_ports_are_isolated_until_an_agent_wires_them(self) -> None:
        for network, isolate in (('ovs', 'true'), ('ovn', None)):
            compute = self.nova(settings.Settings(network=network), 1)
            self.assertEqual(isolate, compute['os_vif_ovs'].get('isolate_vif'))

    def test_compute_hosts_have_no_database(self) -> None:
        cloud = settings.Settings()
        self.assertIn('database', self.nova(cloud, None))
        compute = self.nova(cloud, 1)
        self.assertNotIn('database', compute)
        self.assertNotIn('api_database', compute)
        self.assertNotIn('password-of-database', str(dict(compute)))
        self.assertEqual('unix:///var/lib/zun-cloud/run/1/docker.sock',
                         compute['zun_nova']['docker_url'])

    def test_engines_of_hosts(self) -> None:
        cloud = settings.Settings(engine='docker,podman')
        for number, engine in ((1, 'docker'), (2, 'podman'), (3, 'podman')):
            options = self.nova(cloud, number)['zun_nova']
            self.assertEqual(
                (engine, f'unix:///var/lib/zun-cloud/run/{number}/{engine}.sock'),
                (options['engine'], options[f'{engine}_url']))

    def test_hosts_reach_the_control_plane(self) -> None:
        cloud = settings.Settings(computes=2)
        self.assertIn('@127.0.0.1:', self.nova(cloud, 1)['DEFAULT']['transport_url'])
        second = self.nova(cloud, 2)
        self.assertIn('@172.31.239.1:', second['DEFAULT']['transport_url'])
        self.assertEqual('172.31.239.2', second['DEFAULT']['my_ip'])
        self.assertEqual('compute2', second['DEFAULT']['host'])
        self.assertEqual('172.31.239.2', second['serial_console']['proxyclient_address'])

    def test_tempest_says_why_it_skips(self) -> None:
        facts = dict.fromkeys(('image', 'other_image', 'flavor', 'other_flavor',
                               'public_network'), 'an-id')
        output = rendering.Output('tempest.conf', pathlib.Path('unused'), extra=facts)
        text = rendering.render_one(
            rendering.make_environment(), output, settings.Settings(computes=2), self.passwords)
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text)
        self.assertEqual('2', parser['compute']['min_compute_nodes'])
        for before, line in itertools.pairwise(text.splitlines()):
            if line.endswith('= false'):
                self.assertTrue(before.startswith('# ') or before.endswith('= false'), line)


class WritePrivateTest(base.BaseTestCase):

    def test_only_the_owner_may_read(self) -> None:
        path = pathlib.Path(self.create_tempfiles([('secret', b'old')])[0])
        path.chmod(0o644)
        credentials.write_private(path, 'new')
        self.assertEqual((0o600, 'new'), (path.stat().st_mode & 0o777, path.read_text()))
