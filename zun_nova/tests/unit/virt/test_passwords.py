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

import logging
import types

import fixtures
from nova import exception

from zun_nova import errors
from zun_nova.tests import fake_engine
from zun_nova.tests import images
from zun_nova.tests import runtime_contract
from zun_nova.tests.unit.runtime import test_docker_contract
from zun_nova.tests.unit.virt import test_driver
from zun_nova.virt import identity
from zun_nova.virt import passwords

UUID = 'd0c7b3f5-8d0e-4c35-9a50-5f36a3e0ad0e'
SECRET = 'hunter2:é'


class SetAdminTest(runtime_contract.Case):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.set_up_runtime(test_docker_contract.runtime_on(self.fake))
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))
        self._start()

    def test_it_is_on_standard_input_only(self):
        passwords.set_admin(self.runtime, _instance(), SECRET)
        [known] = self.fake.engine.execs.all
        self.assertEqual(f'root:{SECRET}\n'.encode(), known.stdin)
        self.assertEqual((['chpasswd'], '0'), (known.argv, known.request['User']))
        self.assertNotIn('hunter2', str(known.request) + str(self.fake.requests) + self.log.output)

    def test_the_images_own_administrator(self):
        passwords.set_admin(self.runtime, _instance(os_admin_user='admin'), SECRET)
        self.assertTrue(self.fake.engine.execs.all[0].stdin.startswith(b'admin:'))

    def test_nothing_can_be_smuggled_into_chpasswds_input(self):
        for user, password in (('root', 'x\nbob:y'), ('root', 'x\r'), ('a:b', 'x'), ('a\nb', 'x')):
            self._refused('line ends', password, os_admin_user=user)
        self.assertEqual([], self.fake.engine.execs.all)

    def test_an_image_without_chpasswd(self):
        self.runtime.remove(identity.name_of(UUID))
        self.runtime.load_image([images.archive(
            'zun-test/bare:1', layer=images.tar({'bin/sleep': b''}))], 'zun-test/bare:1')
        self._start(image='zun-test/bare:1')
        self._refused('has no program chpasswd')

    def test_a_chpasswd_that_fails(self):
        self.fake.engine.execs.exit_codes['chpasswd'] = 1
        self._refused("ended with 1; is there a user 'root'")

    def test_an_engine_without_programs(self):
        failure = self.assertRaises(
            exception.SetAdminPasswdNotSupported, passwords.set_admin, object(), _instance(), 'x')
        self.assertIn('runs no programs', failure.format_message())

    def test_a_container_that_does_not_run(self):
        self.runtime.stop(identity.name_of(UUID), 0)
        self.assertRaises(
            errors.Conflict, passwords.set_admin, self.runtime, _instance(), SECRET)

    def _start(self, **changes):
        name = identity.name_of(UUID)
        self.addCleanup(self.runtime.remove, name)
        self.started(*runtime_contract.SLEEP, name=name, **changes)

    def _refused(self, words, password=SECRET, **properties):
        failure = self.assertRaises(
            exception.SetAdminPasswdNotSupported, passwords.set_admin, self.runtime,
            _instance(**properties), password)
        self.assertIn(words, failure.format_message())
        self.assertNotIn('hunter2', failure.format_message() + self.log.output)


class BootTest(test_driver.DriverCase):

    def setUp(self):
        super().setUp()
        self.flags(inject_password=True, group='zun_nova')
        self.log = self.useFixture(fixtures.FakeLogger(level=logging.DEBUG))

    def started(self, **more):
        """What was run in a new server beside its own process."""
        self.spawn(self.instance(), **more)
        return self.engine.engine.execs.all

    def test_set_once_it_runs(self):
        [known] = self.started()
        self.assertEqual((['chpasswd'], b'root:password\n'), (known.argv, known.stdin))
        self.assertNotIn('root:password', str(self.engine.requests) + self.log.output)

    def test_where_the_operator_has_it_off(self):
        self.flags(inject_password=False, group='zun_nova')
        self.assertEqual([], self.started())

    def test_what_does_not_run(self):
        self.assertEqual([], self.started(power_on=False))

    def test_an_image_that_can_have_none(self):
        """The server is made all the same."""
        self.engine.engine.execs.exit_codes['chpasswd'] = 1
        [known] = self.started()
        self.assertEqual('running', known.owner.status)
        self.assertIn('No password at boot: ', self.log.output)


def _instance(**properties):
    return types.SimpleNamespace(
        uuid=UUID, image_meta=types.SimpleNamespace(properties=properties))
