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

"""The contract on the fake engine, and registries' words and faults only a fake can have."""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import time

import fixtures

from zun_nova import errors
from zun_nova.tests import fake_engine
from zun_nova.tests import images
from zun_nova.tests import registry_contract
from zun_nova.tests import runtime_contract
from zun_nova.tests.unit.runtime import test_docker_contract
from zun_nova.virt.runtime import docker_errors
from zun_nova.virt.runtime import registry

HOST = 'registry.example.com'
ALICE = registry_contract.ALICE


class DockerPullsTest(registry_contract.Pulls):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.set_up_runtime(test_docker_contract.runtime_on(self.fake))

    def push(self, *, closed=False, architecture=None, is_list=False):
        archive = images.busybox('x:1', Labels={'of': self.id()})
        return self.fake.engine.registries.add(
            f'{HOST}/{"closed" if closed else "open"}', archive, architecture=architecture,
            credentials=(ALICE.username, ALICE.password) if closed else None, is_list=is_list)

    def end_registry(self):
        self.fake.engine.registries.broken[HOST] = 'dial tcp: connect: connection refused'


class FaultsTest(runtime_contract.Case):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.runtime = test_docker_contract.runtime_on(self.fake, timeout=5)
        self.remote = self.fake.engine.registries.add(
            f'{HOST}/team/web', images.archive('x:1', {'Cmd': ['sh']}))
        self.image = self.fake.engine.registries.images[self.remote]

    def pull(self, timeout=60):
        return self.runtime.pull(self.remote, 'zun-test/x:1', None, timeout)

    def test_a_pull_that_stands_still(self):
        self.image.go_on.clear()
        failure = self.assertRaises(errors.RegistryUnavailable, list, self.pull(timeout=0.3))
        self.assertIn('does not answer in time', str(failure))

    def test_given_up_it_is_not_finished_by_the_engine(self):
        self.image.go_on.clear()
        with contextlib.closing(self.pull()) as pull:
            next(pull)
        deadline = time.monotonic() + 60
        while self.image.pulling:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.image.go_on.set()
        self.assertEqual({}, self.fake.engine.images.by_id)

    def test_given_up_when_the_engine_has_it_already(self):
        pull = self.pull()
        for _ in range(4):   # all that is said of it
            next(pull)
        deadline = time.monotonic() + 60
        while not self.fake.engine.images.by_id:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        pull.close()
        self.assertEqual({}, self.fake.engine.images.by_id)

    def test_the_name_that_cannot_be_taken(self):
        self.fake.fail_next('DELETE', '/images/.*', status=500, message='busy')
        list(self.pull())
        self.assertIsNotNone(self.runtime.image_id('zun-test/x:1'))

    def test_what_goes_wrong_in_the_middle(self):
        for words, kind, ours in (
                ('write /var/lib/docker/tmp/x: no space left on device', errors.EngineError,
                 'no space left on device'),
                ('filesystem layer verification failed for digest sha256:1',
                 errors.InvalidRequest, 'does not match the digest'),
                ('unexpected EOF', errors.RegistryUnavailable, 'breaks the connection'),
        ):
            self.image.failure = words
            failure = self.assertRaises(errors.EngineError, list, self.pull())
            self.assertIs(kind, type(failure))
            self.assertIn(ours, str(failure))

    def test_nobodys_credentials_are_sent_without_any(self):
        """Not those in the home directory of who runs nova-compute, which the SDK knows."""
        home = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (home / 'config.json').write_text(json.dumps(
            {'auths': {HOST: {'auth': base64.b64encode(b'operator:hers').decode()}}}))
        self.useFixture(fixtures.EnvironmentVariable('DOCKER_CONFIG', str(home)))
        remote = self.fake.engine.registries.add(
            f'{HOST}/closed', b'', credentials=('operator', 'hers'))
        self.assertRaises(errors.AccessDenied, self.runtime.platforms, remote, None)
        self.assertRaises(errors.AccessDenied, list,
                          self.runtime.pull(remote, 'zun-test/x:1', None, 60))

    def test_the_engine_is_not_there(self):
        self.fake.stop()
        self.assertRaises(errors.EngineUnavailable, self.runtime.platforms, self.remote, None)
        self.assertRaises(errors.EngineUnavailable, list, self.pull())

    def test_progress(self):
        size = len(self.image.archive)
        self.assertEqual(
            [registry.Progress(0, 0), registry.Progress(size // 2, size),
             registry.Progress(size, size), registry.Progress(size, size)], list(self.pull()))

    def test_credentials_are_not_shown(self):
        for text in (repr(ALICE), str(ALICE)):
            self.assertNotIn('alice', text)
            self.assertNotIn('won', text)


class WordsTest(runtime_contract.Case):
    """What Docker 20.10 to 28 and registries say."""

    def test_words(self):
        for status, message, kind, ours in (
            (500, 'Get "https://r/v2/": no basic auth credentials', errors.AccessDenied,
             'refuses access'),
            (401, 'errors:\ndenied: requested access to the resource is denied\nunauthorized: '
             'authentication required', errors.AccessDenied, 'refuses access'),
            (404, "pull access denied for x, repository does not exist or may require 'docker "
             "login'", errors.AccessDenied, 'refuses access'),
            (500, 'Get "https://r/v2/": unauthorized: incorrect username or password',
             errors.AccessDenied, 'refuses access'),
            (404, 'manifest unknown: manifest unknown', errors.NotFound, 'no such image'),
            (404, 'anything', errors.NotFound, 'no such image'),
            (500, 'toomanyrequests: You have reached your pull rate limit',
             errors.RegistryUnavailable, 'too many requests'),
            (500, 'Get "https://r/v2/": dial tcp: lookup r on 1.1.1.1:53: no such host',
             errors.RegistryUnavailable, 'not known to DNS'),
            (500, 'Get "https://r/v2/": x509: certificate signed by unknown authority',
             errors.RegistryUnavailable, 'certificate'),
            (500, 'Get "https://r/v2/": http: server gave HTTP response to HTTPS client',
             errors.RegistryUnavailable, 'TLS'),
            (500, 'Get "https://r/v2/": net/http: request canceled while waiting for connection '
             '(Client.Timeout exceeded while awaiting headers)', errors.RegistryUnavailable,
             'in time'),
            (500, 'received unexpected HTTP status: 503 Service Unavailable',
             errors.RegistryUnavailable, 'status 503'),
            (500, 'Encountered remote "application/vnd.cncf.helm.config.v1+json"(unknown) when '
             'fetching', errors.InvalidRequest, 'no image of a container'),
            (400, 'invalid reference format', errors.InvalidRequest, 'no image of this name'),
            (500, 'open /var/lib/docker/x: permission denied', errors.RegistryUnavailable,
             'as a registry should'),
            (500, 'token=hunter2', errors.RegistryUnavailable, 'as a registry should'),
        ):
            made = docker_errors.of_registry(
                docker_errors.answered('find x', status, message))
            self.assertIs(kind, type(made), message)
            self.assertIn(ours, made.detail)
            self.assertNotIn('hunter2', str(made))
