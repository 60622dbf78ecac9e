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

import testtools

from zun_nova.tests import fake_engine
from zun_nova.tests import runtime_contract
from zun_nova.tests.unit.runtime import test_docker_contract
from zun_nova.virt.runtime import oci

ALL = ('--network=host', '--overlay2=none')


class OfTest(testtools.TestCase):

    def test_processes_of_the_host(self):
        for name, path in (('runc', 'runc'), ('crun', '/opt/crun-wrapper'), ('x', '')):
            self.assertEqual(oci.OciRuntime(), oci.of(name, path, ()))

    def test_sandboxes(self):
        for name, path, sandbox in (
            ('runsc', '/usr/bin/runsc', oci.GVISOR),
            ('strong', '/usr/local/bin/runsc', oci.GVISOR),
            ('runsc-host', '/opt/wrapper', oci.GVISOR),
            ('strong', 'io.containerd.runsc.v1', oci.GVISOR),
            ('kata', '/usr/bin/kata-runtime', oci.KATA),
            ('vm', 'io.containerd.kata.v2', oci.KATA),
        ):
            made = oci.of(name, path, ALL)
            self.assertEqual((sandbox, False), (made.sandbox, made.update_limits), (name, path))

    def test_what_arguments_of_gvisor_say(self):
        for arguments, hotplugs in (
            ((), False),
            (ALL, True),
            (('-network=host',), True),
            (('--network=sandbox',), False),
            (('--network=none',), False),
        ):
            made = oci.of('runsc', '/usr/bin/runsc', arguments)
            self.assertEqual(hotplugs, not made.no_hotplug, arguments)


class DockerTest(runtime_contract.Case):
    """What follows from it for containers of an engine."""

    def setUp(self):
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.fake.engine.info['Runtimes'] |= {
            'runsc': {'path': '/usr/bin/runsc'},
            'runsc-host': {'path': '/usr/bin/runsc', 'runtimeArgs': list(ALL)},
            'kata': {'runtimeType': 'io.containerd.kata.v2'}}
        self.set_up_runtime(test_docker_contract.runtime_on(self.fake))

    def test_what_the_engine_says(self):
        info = self.runtime.info()
        self.assertEqual({'runsc', 'runsc-host', 'kata'}, set(info.special))
        self.assertEqual(oci.KATA, info.oci_runtime('kata').sandbox)
        for name in ('runc', None, 'gone'):
            self.assertEqual(oci.OciRuntime(), info.oci_runtime(name))
        self.assertTrue(info.capabilities.update_limits)
        self.fake.engine.info['DefaultRuntime'] = 'runsc'
        self.assertFalse(self.runtime.info().capabilities.update_limits)
        self.assertEqual(oci.GVISOR, self.runtime.info().oci_runtime(None).sandbox)

    def test_a_container_names_its_runtime(self):
        name = self.created(*runtime_contract.SLEEP, runtime='runsc')
        self.assertEqual('runsc', self.runtime.inspect(name).runtime)
