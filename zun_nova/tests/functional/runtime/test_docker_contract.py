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

"""The engine contract on real Docker, and what only a real engine shows."""

from __future__ import annotations

import os
import pathlib
import time

from zun_nova import errors
from zun_nova.tests import runtime_contract
from zun_nova.tests.functional.runtime import docker_case
from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import docker_request

MIB = runtime_contract.MIB


class DockerContractTest(runtime_contract.Contract, docker_case.DockerTest):
    pass


class ConfinementTest(docker_case.DockerTest):
    """What a process sees of its limits."""

    def test_limits(self):
        limits = container_spec.Limits(
            memory_bytes=48 * MIB, memory_swap_bytes=64 * MIB, cpu_quota_us=50_000,
            cpu_shares=512, pids=33)
        read = {'memory/memory.limit_in_bytes': '50331648',
                'memory/memory.memsw.limit_in_bytes': '67108864',
                'cpu/cpu.cfs_quota_us': '50000', 'cpu/cpu.shares': '512', 'pids/pids.max': '33'}
        if pathlib.Path('/sys/fs/cgroup/cgroup.controllers').exists():
            read = {'memory.max': '50331648', 'memory.swap.max': '16777216',
                    'cpu.max': '50000 100000', 'pids.max': '33'}
        output = self.output(
            'sh', '-c', f'cd /sys/fs/cgroup; cat {" ".join(read)}', limits=limits)
        self.assertEqual(list(read.values()), output.decode().splitlines())

    def test_no_new_privileges_and_capabilities(self):
        status = self._status(cap_drop=('NET_RAW', 'MKNOD', 'AUDIT_WRITE', 'SETFCAP'))
        self.assertEqual('1', status['NoNewPrivs'])
        self.assertEqual('2', status['Seccomp'])
        effective = int(status['CapEff'], 16)
        for number in (13, 27, 29, 31, 21):   # the four, and SYS_ADMIN
            self.assertFalse(effective & 1 << number)
        self.assertTrue(effective & 1)        # CHOWN

    def test_privileges_are_kept_when_asked(self):
        self.assertEqual('0', self._status(no_new_privileges=False)['NoNewPrivs'])

    def test_user_and_directory_and_environment(self):
        output = self.output('sh', '-c', 'id -u; pwd; echo $A', user='user', working_dir='/tmp',
                             env={'A': 'b c'})
        self.assertEqual(b'1000\n/tmp\nb c\n', output)

    def test_out_of_memory(self):
        name = self.started('sh', '-c', 'dd if=/dev/zero of=/dev/null bs=200M count=1')
        info = self.ended(name)
        self.assertTrue(info.oom_killed)

    def _status(self, **security):
        output = self.output('cat', '/proc/self/status',
                             security=container_spec.Security(**security)).decode()
        return dict(line.split(':\t', 1) for line in output.splitlines() if ':\t' in line)


class StartFailuresTest(docker_case.DockerTest):
    """The engine's words for what cannot be started, in ours."""

    def test_words(self):
        for changes, words in (
            ({'args': ('/no/such/file',)}, "its command '/no/such/file' is not in the image"),
            ({'args': ('/tmp',)}, "its command '/tmp' is"),
            ({'user': 'nobody1'}, "its user 'nobody1' is not in /etc/passwd of the image"),
            ({'user': '0:no-group'}, "its group 'no-group' is not in /etc/group of the image"),
            ({'sysctls': {'kernel.panic': '1'}}, 'its sysctl kernel.panic'),
        ):
            name = self.created(**({'args': ('true',)} | changes))
            failure = self.assertRaises(errors.StartFailed, self.runtime.start, name)
            self.assertIn(words, str(failure))

    def test_what_is_refused_at_once(self):
        for changes in ({'working_dir': '/bin/sh'}, {'stop_signal': 'SIGNONE'},
                        {'security': container_spec.Security(cap_drop=('NONE',))}):
            self.assertRaises(
                errors.InvalidRequest, self.runtime.create, self.spec('true', **changes))


class NamespaceTest(docker_case.DockerTest):
    """The holder and the namespace it holds."""

    def setUp(self):
        super().setUp()
        self.wanted = self.network()
        self.path = self.runtime.open_network(self.wanted)

    def test_the_container_is_in_it(self):
        name = self._started()
        self.assertEqual(self._inode(self.path), self._namespace_of(name))
        self.runtime.stop(name, 0)
        self.runtime.start(name)
        self.assertEqual(self._inode(self.path), self._namespace_of(name))

    def test_it_is_not_the_hosts_and_has_only_lo(self):
        self.assertNotEqual(os.stat('/proc/self/ns/net').st_ino, self._inode(self.path))
        output = self.output('cat', '/proc/net/dev', name=self.wanted.name,
                             network=self.wanted.name).decode()
        # The kernel may put its own fallback tunnels into every namespace.
        devices = [line.split(':')[0].strip() for line in output.splitlines()[2:]]
        self.assertIn('lo', devices)
        self.assertFalse([name for name in devices if name.startswith('eth')])

    def test_ping_group_range_is_the_namespaces_own(self):
        output = self.output(
            'cat', '/proc/sys/net/ipv4/ping_group_range', name=self.wanted.name,
            network=self.wanted.name, sysctls={'net.ipv4.ping_group_range': '0 2147483647'})
        self.assertEqual([b'0', b'2147483647'], output.split())

    def test_a_restarted_holder_has_another_namespace(self):
        name = self._started()
        before = self._namespace_of(name)
        holder = docker_request.holder_name(name)
        self.runtime.stop(holder, 0)
        self.assertRaises(errors.NotFound, self.runtime.network_path, name)
        self.assertEqual(before, self._namespace_of(name))
        self.runtime.stop(name, 0)
        self.assertRaises(errors.Conflict, self.runtime.start, name)
        path = self.runtime.open_network(self.wanted)
        self.runtime.start(name)
        self.assertEqual(self._inode(path), self._namespace_of(name))

    def test_a_holder_made_anew_is_of_no_use_to_the_container(self):
        name = self._started()
        self.runtime.stop(name, 0)
        self.runtime.close_network(name)
        self.runtime.open_network(self.wanted)
        self.assertRaises(errors.Conflict, self.runtime.start, name)

    def test_the_holder_has_nothing(self):
        holder = self.runtime.inspect(docker_request.holder_name(self.wanted.name))
        status = pathlib.Path(f'/proc/{holder.pid}/status').read_text()
        self.assertIn('CapEff:\t0000000000000000', status)
        self.assertIn('NoNewPrivs:\t1', status)
        self.assertIn('Threads:\t1\n', status)

    def _started(self):
        return self.started(
            *runtime_contract.SLEEP, name=self.wanted.name, network=self.wanted.name)

    def _namespace_of(self, name):
        return self._inode(f'/proc/{self.runtime.inspect(name).pid}/ns/net')

    @staticmethod
    def _inode(path):
        return os.stat(path).st_ino


class EngineTroubleTest(docker_case.DockerTest):
    """The engine goes and comes; only an engine of our own is treated so."""

    def setUp(self):
        super().setUp()
        if not self.engine.owned:
            self.skipTest('the engine at ZUN_TEST_DOCKER_URL is not ours to stop')

    def test_killed_and_started_again(self):
        network = self.network()
        path = self.runtime.open_network(network)
        name = self.started(*runtime_contract.SLEEP, name=network.name, network=network.name)
        pid = self.runtime.inspect(name).pid
        self.engine.stop(kill=True)
        failure = self.assertRaises(errors.EngineUnavailable, self.runtime.inspect, name)
        self.assertIn('Connection refused', str(failure))
        self.engine.start()
        self.assertEqual((base.State.RUNNING, pid),
                         (self.runtime.inspect(name).state, self.runtime.inspect(name).pid))
        self.assertEqual(path, self.runtime.open_network(network))
        self.runtime.stop(name, 0)

    def test_it_does_not_answer(self):
        runtime = self.engine.runtime(timeout=1)
        runtime.info()
        self.engine.freeze()
        self.addCleanup(self.engine.thaw)
        began = time.monotonic()
        self.assertRaises(errors.EngineTimeout, runtime.list, {})
        self.assertLess(time.monotonic() - began, 5)
        self.assertRaises(errors.EngineTimeout, runtime.load_image,
                          [b'x' * MIB] * 50, 'zun-test/x:1')
