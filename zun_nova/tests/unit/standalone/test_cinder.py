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
import pathlib
import subprocess
from unittest import mock

import fixtures
from oslotest import base
from zun_cloud import bringup
from zun_cloud import cinder
from zun_cloud import credentials
from zun_cloud import databases
from zun_cloud import errors
from zun_cloud import graph
from zun_cloud import identity
from zun_cloud import install
from zun_cloud import rendering
from zun_cloud import services
from zun_cloud import settings

PASSWORDS = {name: f'password-of-{name}' for name in credentials.NAMES}
WITH = settings.Settings(extras=('cinder',))
WITHOUT = settings.Settings()


class CinderTest(base.BaseTestCase):

    def files(self, cloud: settings.Settings) -> dict[str, str]:
        """The control plane's files below ``etc``, by path."""
        environment = rendering.make_environment()
        return {
            str(output.path.relative_to(cloud.etc)):
            rendering.render_one(environment, output, cloud, PASSWORDS)
            for output in rendering.control_files(cloud)}

    def test_only_when_asked_for(self) -> None:
        for cloud, there in ((WITH, True), (WITHOUT, False)):
            names = {
                *(item.name for item in services.all_services(cloud)),
                *(schema.service for schema in databases.schemas(cloud, PASSWORDS)),
                *(kind for _, kind in identity.endpoints(cloud)),
                *identity.service_users(cloud), *self.files(cloud),
            }
            for name in ('cinder', 'cinder-scheduler', 'cinder-volume', 'block-storage',
                         'cinder/cinder.conf', 'uwsgi/cinder.ini'):
                self.assertEqual(there, name in names, name)

    def test_every_extra_has_its_packages(self) -> None:
        self.assertEqual(set(settings.EXTRAS), set(install.FOR_EXTRAS))

    def test_brought_up_in_order(self) -> None:
        state = self.useFixture(fixtures.TempDir()).path
        cloud = settings.load(state, {'extras': ('cinder',), 'computes': 2}, {})
        order = [node.name for node in graph.check(bringup.BringUp(cloud, None).nodes())]
        for before, after in (('schema-cinder', 'cinder'), ('cinder', 'volume type'),
                              ('cinder-volume', 'volume back end')):
            self.assertLess(order.index(before), order.index(after))

    def test_configuration(self) -> None:
        files = self.files(WITH)
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(files['cinder/cinder.conf'])
        self.assertEqual(cinder.HOST, parser['DEFAULT']['host'])
        self.assertEqual((cinder.TYPE, cinder.TYPE), (
            parser['DEFAULT']['default_volume_type'], parser[cinder.TYPE]['volume_backend_name']))
        self.assertEqual('true', parser['service_user']['send_service_user_token'])
        self.assertEqual('true', parser['keystone_authtoken']['service_token_roles_required'])
        self.assertEqual(parser['nfs']['nfs_shares_config'], f'{WITH.etc}/cinder/shares')
        for name in cinder.DIRECTORIES:
            self.assertTrue(name.startswith('cinder/'))
        self.assertIn(f'pyargv = --config-file={WITH.etc}/cinder/cinder.conf\n',
                      files['uwsgi/cinder.ini'])
        self.assertNotIn('pyargv', files['uwsgi/glance.ini'])

    def test_a_server_of_shares(self) -> None:
        own = self.files(WITH)
        self.assertEqual(f'127.0.0.1:{WITH.data}/cinder/share\n', own['cinder/shares'])
        self.assertIn('cinder/bin/mount', own)
        real = self.files(settings.Settings(extras=('cinder',), nfs_share='server:/volumes'))
        self.assertEqual('server:/volumes\n', real['cinder/shares'])
        self.assertNotIn('cinder/bin/mount', real)

    def test_hosts_find_the_same_programs(self) -> None:
        found = cinder.search_path(WITH)['PATH'].split(':')
        self.assertEqual([f'{WITH.etc}/cinder/bin', f'{WITH.venv}/bin'], found[:2])
        for cloud, there in ((WITH, True), (WITHOUT, False)):
            compute = services.find(cloud, 'nova-compute-1')
            self.assertEqual(there, 'PATH' in compute.env)

    def test_the_type_is_made_once(self) -> None:
        admin = mock.MagicMock()
        admin.block_storage.find_type.return_value = None
        cinder.make_type(admin)
        admin.block_storage.create_type.assert_called_once_with(
            name='nfs', extra_specs={'volume_backend_name': 'nfs'})
        admin.block_storage.find_type.return_value = 'there'
        cinder.make_type(admin)
        admin.block_storage.create_type.assert_called_once()

    def test_a_back_end_nobody_hears_of(self) -> None:
        admin = mock.MagicMock()
        admin.block_storage.backend_pools.return_value = iter(())
        self.assertRaises(errors.CloudError, cinder.wait_pool, admin, timeout=-1)
        admin.block_storage.backend_pools.return_value = iter(['cinder@nfs#nfs'])
        cinder.wait_pool(admin, timeout=-1)


class StandInTest(base.BaseTestCase):
    """The programs of ``cinder.programs``, run for real."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

        for name in ('mount', 'mount.nfs'):
            # What they hand over to is printed instead.
            text = (rendering.TEMPLATES / f'{name}.sh').read_text()
            path = self.directory / name
            path.write_text(text.replace('exec /usr/bin/mount', 'exec echo mount'))
            path.chmod(0o700)

    def run_program(self, *command: str) -> tuple[int, str]:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.strip() or done.stderr.strip()

    def test_mount(self) -> None:
        mount = str(self.directory / 'mount')
        for options in ([], ['-o', 'vers=4,minorversion=2'], ['-o', 'ro', '-v']):
            self.assertEqual((0, f'mount --bind {self.directory} /to'), self.run_program(
                mount, '-t', 'nfs', *options, f'127.0.0.1:{self.directory}', '/to'))
        for other in (['-t', 'xfs', '/dev/loop0', '/to'], ['--bind', '/a', '/b'], []):
            self.assertEqual((0, ' '.join(['mount', *other])), self.run_program(mount, *other))
        code, said = self.run_program(mount, '-t', 'nfs', '127.0.0.1:/no/where', '/to')
        self.assertEqual((32, True), (code, '/no/where' in said))

    def test_is_there(self) -> None:
        self.assertEqual(1, self.run_program(str(self.directory / 'mount.nfs'))[0])
