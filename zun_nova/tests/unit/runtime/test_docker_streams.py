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

"""Streams of the fake engine, and what only a fake can be made to do."""

from __future__ import annotations

from zun_nova import errors
from zun_nova.tests import fake_engine
from zun_nova.tests import runtime_contract
from zun_nova.tests import streams_contract
from zun_nova.tests.unit.runtime import test_docker_contract


class Case(runtime_contract.Case):

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.set_up_runtime(test_docker_contract.runtime_on(self.fake))


class DockerStreamsTest(Case, streams_contract.Contract):
    pass


class ExecTest(Case):

    def setUp(self):
        super().setUp()
        self.name = self.started(*runtime_contract.SLEEP)

    def test_user_and_environment(self):
        self._run('true', user='root', env={'A': 'b=c'}, stdin=b'x')
        request = self._last().request
        self.assertEqual('root', request['User'])
        self.assertEqual(['A=b=c'], request['Env'])
        self.assertEqual((True, False), (request['AttachStdin'], request['Tty']))

    def test_what_takes_too_long_is_killed(self):
        self.assertRaises(errors.EngineTimeout, self._run, 'sleep', 'infinity', timeout=0.2)
        self.assertEqual((False, 137), (self._last().running, self._last().exit_code))

    def test_what_somebody_leaves_is_killed(self):
        self.fake.fail_next('GET', '/exec/.*/json', status=500, message='words')
        self.assertRaises(errors.EngineError, self._run, 'sleep', '0')
        self.assertFalse(self._last().running)

    def test_refusals_have_the_engines_words(self):
        for status, kind in ((404, errors.NotFound), (409, errors.Conflict),
                             (500, errors.StartFailed), (503, errors.EngineUnavailable)):
            self.fake.fail_next('POST', '/exec/.*/start', status=status, message='words')
            failure = self.assertRaises(kind, self._run, 'true', stdin=b'secret')
            self.assertEqual(f'Cannot run true in container {self.name}: words', str(failure))

    def test_an_engine_that_breaks_off(self):
        self.fake.fail_next('POST', '/exec/.*/start', close=True)
        self.assertRaises(errors.EngineUnavailable, self._run, 'true')

    def test_a_terminal_that_is_left_is_killed(self):
        terminal = self.runtime.exec_terminal(self.name, ['sleep', 'infinity'], 30, 90)
        known = self._last()
        self.assertEqual((True, (30, 90)), (known.request['Tty'], known.size))
        self.assertTrue(known.running)
        terminal.close()
        self.assertEqual((False, 137), (known.running, known.exit_code))

    def test_sizes(self):
        name = self.started('sh', tty=True)
        terminal = self.runtime.attach(name)
        self.addCleanup(terminal.close)
        terminal.resize(50, 132)
        self.assertEqual((50, 132), self.fake.containers[name].terminal.size)
        self.fake.fail_next('POST', '/containers/.*/resize', status=500, message='words')
        terminal.resize(1, 2)   # such as at its end
        self.assertEqual((50, 132), self.fake.containers[name].terminal.size)

    def _run(self, *argv, **options):
        return self.runtime.exec_run(
            self.name, argv, **({'timeout': 30, 'max_output': 1000} | options))

    def _last(self):
        return self.fake.engine.execs.all[-1]
