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

import base64
import json
import pathlib
import types
import uuid

from castellan.common import exception as castellan_exception
from castellan.common.objects import opaque_data
import ddt
import fixtures
from nova import conf
from nova import context as nova_context
from oslo_config import fixture as config_fixture
from oslotest import base

from zun_nova import conf as zun_conf
from zun_nova.tests import key_manager
from zun_nova.virt import registry
from zun_nova.virt import registry_secret

CONF = conf.CONF
zun_conf.register_opts(CONF)
IMAGE = registry.parse('registry.example.com/team/web@sha256:' + '0f' * 32)
HUB = registry.parse('docker.io/library/web@sha256:' + '0f' * 32)
USER, PASSWORD = 'alice', 'won:der"land'


def payload(name, **entry) -> bytes:
    return json.dumps({'auths': {name: entry}}).encode()


@ddt.ddt
class FindTest(base.BaseTestCase):
    """What is read of a secret."""

    @ddt.data(
        'registry.example.com', 'https://registry.example.com', 'Registry.Example.com/',
        'https://registry.example.com/v1/', 'registry.example.com/v2/',
        'registry.example.com/team', 'registry.example.com/team/web')
    def test_names_of_the_registry(self, name):
        found = registry_secret.find(payload(name, username=USER, password=PASSWORD), IMAGE)
        self.assertEqual((USER, PASSWORD), (found.username, found.password))

    def test_as_docker_login_writes_it(self):
        entry = base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()
        for name in ('https://index.docker.io/v1/', 'docker.io'):
            found = registry_secret.find(payload(name, auth=entry), HUB)
            self.assertEqual((USER, PASSWORD), (found.username, found.password))

    def test_the_nearest_entry_decides(self):
        document = json.dumps({'auths': {
            'registry.example.com': {'username': 'a', 'password': 'b'},
            'registry.example.com/team': {'username': 'c', 'password': 'd'}}}).encode()
        self.assertEqual('c', registry_secret.find(document, IMAGE).username)

    @ddt.data(
        b'', b'{', b'[]', b'alice:hunter2', b'{"username": "alice", "password": "hunter2"}',
        b'{"auths": []}', b'{"auths": {"registry.example.com": []}}', b'\xff',
        payload('other.example.com', username=USER, password='hunter2'),
        payload('registry.example.com.evil.org', username=USER, password='hunter2'),
        payload('registry.example.com/te', username=USER, password='hunter2'),
        payload('registry.example.com', username=USER),
        payload('registry.example.com', username=USER, password=['hunter2']),
        payload('registry.example.com', username='', password='hunter2'),
        payload('registry.example.com', auth='hunter2'),
        payload('registry.example.com', auth=base64.b64encode(b'hunter2').decode()),
        payload('registry.example.com', identitytoken='hunter2'),
        payload('registry.example.com', username=USER, password='hunter2' * 10_000),
    )
    def test_what_gives_none(self, document):
        failure = self.assertRaises(
            registry_secret.NoCredentials, registry_secret.find, document, IMAGE)
        self.assertNotIn('hunter2', str(failure))
        self.assertFalse(failure.again)
        self.assertTrue(failure.__suppress_context__ or failure.__context__ is None)


class CredentialsTest(base.BaseTestCase):
    """Where secrets come from."""

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.log = self.useFixture(fixtures.FakeLogger())
        self.options = types.SimpleNamespace(
            state_path=str(self.directory),
            zun_nova=types.SimpleNamespace(registry_auth_file=None))
        self.context = nova_context.RequestContext('user', 'project', is_admin=False)
        self.secret_id = str(uuid.uuid4())
        self.document = payload(IMAGE.registry, username=USER, password=PASSWORD)
        (self.directory / key_manager.FILE).write_text(json.dumps({self.secret_id: {
            'project_id': 'project', 'payload': self.document.decode()}}))

    def ask(self, secret_id=None, context=None, manager=key_manager.FileKeyManager):
        return registry_secret.Secrets(self.options, manager).credentials(
            context or self.context, secret_id, IMAGE)

    def refusal(self, *arguments, **more):
        failure = self.assertRaises(
            registry_secret.NoCredentials, self.ask, *arguments, **more)
        self.assertLess(len(str(failure)), 120)   # Nova cuts off more
        for text in (str(failure), self.log.output):
            self.assertNotIn(PASSWORD, text)
            self.assertNotIn('hunter2', text)
        return failure

    def test_no_secret_is_nobody(self):
        self.assertIsNone(self.ask())

    def test_by_id_and_by_address(self):
        for text in (self.secret_id, f'https://barbican.example.com/v1/secrets/{self.secret_id}'):
            self.assertEqual(PASSWORD, self.ask(text).password)
        self.assertEqual('', self.log.output)

    def test_what_is_no_id(self):
        for text in ('x', '../../etc/passwd', 'https://evil.example.com/x'):
            self.assertIn('neither the UUID nor', str(self.refusal(text)))

    def test_a_secret_of_others(self):
        other = nova_context.RequestContext('user', 'other', is_admin=False)
        for failure in (self.refusal(self.secret_id, other), self.refusal(str(uuid.uuid4()))):
            # Whether it exists is not told.
            self.assertRegex(str(failure), 'no such secret that you may read')

    def test_binary_secrets(self):
        secret = opaque_data.OpaqueData(self.document)
        manager = types.SimpleNamespace(get=lambda context, key: secret)
        self.assertEqual(USER, self.ask(self.secret_id, manager=lambda _: manager).username)

    def test_a_key_manager_that_fails(self):
        class HttpError(Exception):
            status_code = 403

        def get(context, key):
            raise self.failure

        manager = types.SimpleNamespace(get=get)
        for failure, again in ((OSError('hunter2'), True), (HttpError('hunter2'), False),
                               (castellan_exception.KeyManagerError(reason='hunter2'), True)):
            self.failure = failure
            refusal = self.refusal(self.secret_id, manager=lambda _: manager)
            self.assertEqual(again, refusal.again)
            self.assertTrue(refusal.__suppress_context__)

    def test_the_operators_file(self):
        path = self.directory / 'auth.json'
        self.options.zun_nova.registry_auth_file = str(path)
        self.assertIsNone(self.ask())
        path.write_bytes(self.document)
        self.assertEqual(PASSWORD, self.ask().password)
        path.write_bytes(payload('other.example.com', username=USER, password=PASSWORD))
        self.assertIsNone(self.ask())
        self.refusal(str(uuid.uuid4()))   # who names a secret gets that one or none

    def test_nova_loads_it_by_its_name(self):
        fixture = self.useFixture(config_fixture.Config(CONF))
        fixture.config(state_path=str(self.directory))
        fixture.config(backend='zun_nova.tests.key_manager.FileKeyManager', group='key_manager')
        found = registry_secret.Secrets(CONF).credentials(self.context, self.secret_id, IMAGE)
        self.assertEqual(PASSWORD, found.password)
