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

"""What the driver keeps of networks on Podman."""

from __future__ import annotations

import pathlib

import fixtures
import testtools

from zun_nova import errors
from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import podman_network


class FilesTest(testtools.TestCase):

    def test_what_a_server_is_called(self):
        made = podman_network.files(container_spec.NetworkSpec(
            name='n', hostname='web.a.test', aliases=('web.a.test', 'web'),
            addresses=('10.0.0.5', 'fd00::5'), dns_search=('a.test',),
            dns_servers=('10.0.0.2', 'fd00::2')))
        self.assertIn('10.0.0.5\tweb.a.test web\nfd00::5\tweb.a.test web\n', made['hosts'])
        self.assertIn('127.0.0.1\tlocalhost\n', made['hosts'])
        self.assertEqual('search a.test\nnameserver 10.0.0.2\nnameserver fd00::2\n',
                         made['resolv.conf'])
        self.assertEqual('web.a.test\n', made['hostname'])

    def test_never_the_name_servers_of_the_host(self):
        made = podman_network.files(container_spec.NetworkSpec(name='n', hostname='web'))
        self.assertEqual('nameserver 127.0.0.1\n', made['resolv.conf'])


class NetworksTest(testtools.TestCase):
    """A namespace is any file here, and whether it is one the test says."""

    def setUp(self):
        super().setUp()
        self.home = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.names = self.home / 'netns'
        self.names.mkdir()
        self.opened = []
        for name, value in (
            ('podman_network.named.DIRECTORY', self.names),
            ('podman_network.named.is_there', pathlib.Path.exists),
            ('podman_network.privileged.make_namespace', self.make),
            ('podman_network.privileged.remove_namespace', self.remove),
        ):
            self.useFixture(fixtures.MonkeyPatch(f'zun_nova.virt.runtime.{name}', value))
        self.networks = podman_network.Networks(self.home / 'networks')

    def make(self, name):
        self.opened.append(name)
        (self.names / name).touch()

    def remove(self, name):
        (self.names / name).unlink()

    def spec(self, name='nova-1', **labels):
        return container_spec.NetworkSpec(name=name, hostname='web', labels=labels)

    def test_opened_once_and_closed(self):
        path = self.networks.open(self.spec())
        self.assertEqual(path, self.networks.open(self.spec()))
        self.assertEqual(['nova-1'], self.opened)
        joined = self.networks.joined('nova-1')
        self.assertEqual((path, 'web'), (joined.path, joined.hostname))
        self.assertEqual('web\n', pathlib.Path(joined.home, 'hostname').read_text())
        self.networks.close('nova-1')
        self.networks.close('nova-1')
        self.assertRaises(errors.NotFound, self.networks.path, 'nova-1')
        self.assertEqual([], list((self.home / 'networks').iterdir()))
        self.assertEqual([], list(self.names.iterdir()))

    def test_the_host_was_restarted(self):
        self.networks.open(self.spec(a='b'))
        self.remove('nova-1')
        self.assertRaises(errors.NotFound, self.networks.path, 'nova-1')
        [row] = self.networks.list({'a': 'b'})
        self.assertIs(base.State.EXITED, row.state)
        self.networks.open(self.spec(a='b'))
        [row] = self.networks.list({'a': 'b'})
        self.assertIs(base.State.RUNNING, row.state)

    def test_killed_before_the_namespace_was_made(self):
        self.useFixture(fixtures.MonkeyPatch(
            'zun_nova.virt.runtime.podman_network.privileged.make_namespace', self.die))
        self.assertRaises(KeyboardInterrupt, self.networks.open, self.spec(a='b'))
        self.assertEqual(['nova-1'], [row.name for row in self.networks.list({'a': 'b'})])
        self.networks.close('nova-1')
        self.assertEqual([], self.networks.list({}))

    def test_found_by_all_labels(self):
        self.networks.open(self.spec('nova-1', host='a', role='network'))
        self.networks.open(self.spec('nova-2', host='b', role='network'))
        for labels, names in (({}, ['nova-1', 'nova-2']), ({'host': 'a'}, ['nova-1']),
                              ({'host': 'a', 'role': 'server'}, [])):
            self.assertEqual(names, [row.name for row in self.networks.list(labels)])

    def die(self, name):
        raise KeyboardInterrupt
