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

import dataclasses

from oslotest import base

from zun_nova.virt import host_topology
from zun_nova.virt import processors as host_processors
from zun_nova.virt import resources
from zun_nova.virt.runtime import base as runtime

ENGINE = runtime.EngineInfo(
    name='docker', version='20.10.24+dfsg1', api_version='1.41', architecture='x86_64', cpus=2,
    memory_bytes=8 * resources.GIB, data_root='/var/lib/docker', storage_driver='overlay2',
    runtimes=('runc', 'io.containerd.runc.v2'), default_runtime='runc', live_restore=True,
    capabilities=runtime.Capabilities())
FACTS = resources.HostFacts(
    engine=ENGINE, memory_used_bytes=resources.GIB, disk_total_bytes=100 * resources.GIB,
    disk_used_bytes=30 * resources.GIB, uptime='up 1 day')
RATIOS = {'VCPU': 4.0, 'MEMORY_MB': 1.0, 'DISK_GB': 1.5}


def divided(shared: set[int], dedicated: set[int]) -> host_processors.Processors:
    return host_processors.Processors(
        shared=frozenset(shared), dedicated=frozenset(dedicated), confined=True)


class ResourcesTest(base.BaseTestCase):

    def test_available(self) -> None:
        result = resources.available(FACTS, 'compute1', 'uuid', '{}')
        self.assertEqual(('{}', '[]'), (
            result['numa_topology'], result['pci_passthrough_devices']))
        self.assertEqual('docker', result['hypervisor_type'])
        self.assertEqual(20010024, result['hypervisor_version'])
        self.assertEqual([('x86_64', 'docker', 'exe')], result['supported_instances'])
        self.assertEqual((2, 8192, 100), tuple(
            result[key] for key in ('vcpus', 'memory_mb', 'local_gb')))
        self.assertEqual((1024, 30, 70), tuple(
            result[key] for key in ('memory_mb_used', 'local_gb_used', 'disk_available_least')))

    def test_inventory(self) -> None:
        result = resources.inventory(
            FACTS, RATIOS, resources.Reserved(cpus=1, memory_mb=512, disk_gb=5))
        self.assertEqual(
            {'VCPU': (2, 1, 4.0), 'MEMORY_MB': (8192, 512, 1.0), 'DISK_GB': (100, 5, 1.5)},
            {name: (row['total'], row['reserved'], row['allocation_ratio'])
             for name, row in result.items()})

    def test_processors(self) -> None:
        for processors, vcpus, inventory in (
            (host_processors.ANY, 2, {'VCPU': (2, 4.0)}),
            (divided({0}, {1, 2, 3}), 4, {'VCPU': (1, 4.0), 'PCPU': (3, 1.0)}),
            (divided({0, 2}, set()), 2, {'VCPU': (2, 4.0)}),
            (divided(set(), {1}), 1, {'PCPU': (1, 1.0)}),
        ):
            facts = dataclasses.replace(FACTS, processors=processors)
            self.assertEqual(vcpus, resources.available(facts, 'c', 'u', '{}')['vcpus'])
            result = resources.inventory(facts, RATIOS, resources.Reserved(0, 0, 0))
            self.assertEqual(inventory, {
                name: (row['total'], row['allocation_ratio'])
                for name, row in result.items() if name.endswith('CPU')})

    def test_nothing_is_no_inventory(self) -> None:
        facts = resources.HostFacts(
            engine=ENGINE, memory_used_bytes=0, disk_total_bytes=resources.MIB,
            disk_used_bytes=0, uptime='')
        result = resources.inventory(facts, RATIOS, resources.Reserved(0, 0, 0))
        self.assertNotIn('DISK_GB', result)

    def test_traits(self) -> None:
        self.assertEqual(
            {'CUSTOM_CONTAINER_HOST', 'CUSTOM_CONTAINER_ENGINE_DOCKER',
             'CUSTOM_CONTAINER_RUNTIME_RUNC',
             'CUSTOM_CONTAINER_RUNTIME_IO_CONTAINERD_RUNC_V2'},
            resources.traits(FACTS))

    def test_traits_of_what_not_every_host_can(self) -> None:
        core = host_topology.Cpu(0, 0, frozenset({0, 1}))
        threads = host_topology.Topology((host_topology.Node(0, (core,), 1, ()),))
        engine = dataclasses.replace(
            ENGINE, capabilities=runtime.Capabilities(disk_quota=True), remaps_users=True)
        facts = dataclasses.replace(
            FACTS, engine=engine, processors=host_processors.Processors(threads))
        self.assertEqual(
            {'CUSTOM_CONTAINER_DISK_QUOTA', 'CUSTOM_CONTAINER_USER_NAMESPACES',
             'HW_CPU_HYPERTHREADING'},
            resources.traits(facts) - resources.traits(FACTS))
        self.assertFalse(any(map(resources.is_ours, ('CUSTOM_OTHER', 'HW_NUMA_ROOT'))))
        self.assertTrue(all(map(resources.is_ours, resources.traits(facts))))

    def test_version_number(self) -> None:
        for text, number in (('20.10.24+dfsg1', 20010024), ('4.3.1', 4003001), ('29', 29000000),
                             ('dev', 0)):
            self.assertEqual(number, resources.version_number(text))
