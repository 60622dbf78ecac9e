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

"""Containers of OCI runtimes other than runc, on real Docker."""

from __future__ import annotations

from zun_nova import errors
from zun_nova.tests import runtime_contract
from zun_nova.tests import streams_contract
from zun_nova.tests.functional.runtime import docker_case
from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import oci

MIB = runtime_contract.MIB


class Case(docker_case.DockerTest, streams_contract.Case):

    oci_runtime = ''

    def setUp(self):
        super().setUp()
        if self.oci_runtime not in self.runtime.info().runtimes:
            self.skipTest(f'the engine at ZUN_TEST_DOCKER_URL has no {self.oci_runtime}')

    def spec(self, *args, **changes):
        limits = container_spec.Limits(   # gVisor's own threads and memory count
            memory_bytes=256 * MIB, memory_swap_bytes=256 * MIB, cpu_quota_us=100_000,
            cpu_shares=1024, pids=512)
        return super().spec(*args, **({'runtime': self.oci_runtime, 'limits': limits} | changes))

    def a_life(self):
        """What every server does; returns the name of its container, which runs."""
        network = self.network()
        self.runtime.open_network(network)
        name = self.started(
            'sh', '-c', 'trap "exit 7" TERM; echo ready; while true; do sleep 1; done',
            name=network.name, network=network.name)
        self.settled(name, b'ready')
        self.assertEqual(self.oci_runtime, self.runtime.inspect(name).runtime)
        self.runtime.pause(name)
        self.runtime.unpause(name)
        self.runtime.stop(name, 60)
        self.assertEqual(7, self.runtime.inspect(name).exit_code)
        self.runtime.start(name)
        result = self.run_in(name, 'cat', stdin=b'x' * MIB)
        self.assertTrue(result.stdout == b'x' * MIB, len(result.stdout))
        failure = self.assertRaises(
            errors.StartFailed, self.runtime.start, self.created('no-such-command'))
        self.assertIn("'no-such-command' is not in the image", str(failure))
        return name

    def written(self, name):
        """Whether an image of the container has what it has written."""
        self.run_in(name, 'sh', '-c', 'echo kept > /kept')
        reference = 'zun-test/made:1'
        self.runtime.commit(name, reference, False, 60)
        self.addCleanup(self.runtime.remove_image, reference)
        plain = runtime_contract.Case.spec(self, 'cat', '/kept', image=reference)
        self.runtime.create(plain)
        self.runtime.start(plain.name)
        self.assertEqual(0, self.ended(plain.name).exit_code)
        return self.runtime.logs(plain.name, 100) == b'kept\n'


class CrunTest(Case):

    oci_runtime = 'crun'

    def test_all_of_it(self):
        name = self.a_life()
        self.assertTrue(self.written(name))
        self.assertRaises(errors.EngineTimeout, self.run_in, name, 'sh', '-c',
                          'sleep 4324 & sleep 4324', timeout=2)
        self.assertNotIn(b'4324', self.run_in(name, 'ps').stdout)


class GvisorTest(Case):

    oci_runtime = 'runsc'

    def test_all_of_it(self):
        name = self.a_life()
        self.assertIn(b'4.4.0', self.run_in(name, 'uname', '-r').stdout)   # its own kernel's
        self.assertEqual(base.State.RUNNING, self.runtime.inspect(name).state)
        self.assertTrue(self.written(name))
        terminal = self.opened(name, 'sh')
        terminal.send(b'echo $((6*7))-typed\n')
        self.until(terminal, b'42-typed')
        failure = self.assertRaises(
            errors.EngineTimeout, self.run_in, name, 'sleep', '4325', timeout=2)
        self.assertIn('may run on', str(failure))   # out of reach, and so it says

    def test_what_is_known_of_it(self):
        known = self.runtime.info().oci_runtime('runsc')
        self.assertEqual(
            (oci.GVISOR, '', False), (known.sandbox, known.no_hotplug, known.update_limits))
