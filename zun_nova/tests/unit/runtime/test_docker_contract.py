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

"""The engine contract on the fake engine, and what only a fake can be made to do."""

from __future__ import annotations

import time
import types
from unittest import mock

from oslo_config import cfg

from zun_nova import conf
from zun_nova import errors
from zun_nova.tests import fake_engine
from zun_nova.tests import images
from zun_nova.tests import runtime_contract
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import docker
from zun_nova.virt.runtime import docker_request


def runtime_on(fake: fake_engine.FakeEngine, timeout: float = 20) -> docker.DockerRuntime:
    return docker.DockerRuntime(types.SimpleNamespace(zun_nova=types.SimpleNamespace(
        docker_url=fake.url, engine_timeout=timeout)), fake.kill_session)


class DockerContractTest(runtime_contract.Contract):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.set_up_runtime(runtime_on(self.fake))


class FaultsTest(runtime_contract.Case):
    """What the engine, or the way to it, does wrong."""

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.set_up_runtime(runtime_on(self.fake))

    def test_the_engine_is_not_there(self):
        name = self.started(*runtime_contract.SLEEP)
        self.fake.stop()
        for call in (self.runtime.start, self.runtime.inspect, self.runtime.remove,
                     self.runtime.unpause, self.runtime.image_id, self.runtime.network_path):
            failure = self.assertRaises(errors.EngineUnavailable, call, name)
            self.assertIn(f'no engine answers at {self.fake.url}: No such file', str(failure))
        self.fake.start()
        self.assertEqual(base.State.RUNNING, self.runtime.inspect(name).state)

    def test_configured_by_nova_conf(self):
        options = cfg.ConfigOpts()
        conf.register_opts(options)
        options([])
        options.set_override('docker_url', self.fake.url, conf.GROUP.name)
        self.assertEqual('docker', docker.DockerRuntime(options).info().name)

    def test_nothing_is_asked_before_the_first_call(self):
        self.fake.stop()
        runtime = runtime_on(self.fake)
        self.assertRaises(errors.EngineUnavailable, runtime.info)
        self.fake.start()
        self.assertEqual('20.10.24', runtime.info().version)

    def test_the_connection_is_cut(self):
        name = self.created(*runtime_contract.SLEEP)
        self.fake.fail_next('POST', '/containers/.*/start', close=True)
        self.assertRaises(errors.EngineUnavailable, self.runtime.start, name)
        self.assertEqual(base.State.CREATED, self.runtime.inspect(name).state)
        self.fake.fail_next('POST', '/containers/.*/start', lose_answer=True)
        self.assertRaises(errors.EngineUnavailable, self.runtime.start, name)
        self.assertEqual(base.State.RUNNING, self.runtime.inspect(name).state)
        self.runtime.start(name)

    def test_the_engine_is_slow(self):
        runtime = runtime_on(self.fake, timeout=0.3)
        name = self.created(*runtime_contract.SLEEP)
        runtime.inspect(name)
        self.fake.fail_next('GET', f'/containers/{name}/json', delay=2)
        began = time.monotonic()
        failure = self.assertRaises(errors.EngineTimeout, runtime.inspect, name)
        self.assertLess(time.monotonic() - began, 1.5)
        self.assertIn('did not answer in time', str(failure))

    def test_stop_waits_for_the_grace_time(self):
        name = self.started(*runtime_contract.SLEEP)
        runtime_on(self.fake, timeout=0.5).stop(name, 2)
        self.assertEqual(137, self.runtime.inspect(name).exit_code)

    def test_statuses(self):
        for status, kind in ((400, errors.InvalidRequest), (404, errors.NotFound),
                             (409, errors.Conflict), (501, errors.Unsupported),
                             (503, errors.EngineUnavailable), (500, errors.EngineError)):
            self.fake.fail_next('GET', '/containers/json', status=status, message='words')
            failure = self.assertRaises(errors.EngineError, self.runtime.list, {})
            self.assertIs(kind, type(failure))
            self.assertEqual('Cannot list containers: words', str(failure))

    def test_an_old_engine(self):
        self.fake.engine.version = {
            'Version': '19.03.1', 'ApiVersion': '1.40', 'MinAPIVersion': '1.12'}
        failure = self.assertRaises(errors.EngineTooOld, runtime_on(self.fake).info)
        self.assertIn('Docker 19.03.1 speaks API 1.40; API 1.41 (Docker 20.10)', str(failure))

    def test_a_listing_is_one_call(self):
        for _ in range(5):
            self.created(*runtime_contract.SLEEP)
        self.fake.requests.clear()
        self.assertEqual(5, len(self.runtime.list({})))
        self.assertEqual([('GET', '/containers/json')], self.fake.requests)

    def test_a_load_the_engine_cuts_short(self):
        self.fake.fail_next('POST', '/images/load', close=True)
        self.assertRaises(errors.EngineUnavailable, self.runtime.load_image,
                          [images.archive('zun-test/x:1')], 'zun-test/x:1')

    def test_events_of_an_engine_that_ends_or_hangs(self):
        stream = runtime_on(self.fake).watch({})
        self.fake.stop()
        self.assertRaises(errors.EngineUnavailable, list, stream)
        self.assertRaises(errors.EngineUnavailable, self.runtime.watch, {})
        self.fake.start()
        silent = runtime_on(self.fake, timeout=0.2).watch({})
        self.assertRaises(errors.EngineTimeout, list, silent)

    def test_a_failing_host_is_not_the_images_fault(self):
        for words in ('no space left on device', 'input/output error', 'too many open files'):
            self.fake.engine.images.load = mock.Mock(side_effect=ValueError(f'write /x: {words}'))
            failure = self.assertRaises(
                errors.EngineError, self.runtime.load_image, [b'x'], 'zun-test/x:1')
            self.assertIs(errors.EngineError, type(failure))
            self.assertEqual(words, failure.detail)

    def test_a_holder_that_ended_is_started_again(self):
        network = self.network()
        self.runtime.open_network(network)
        holder = docker_request.holder_name(network.name)
        self.runtime.stop(holder, 0)
        self.assertRaises(errors.NotFound, self.runtime.network_path, network.name)
        container_id = self.runtime.inspect(holder).id
        self.runtime.open_network(network)
        self.assertEqual(container_id, self.runtime.inspect(holder).id)
