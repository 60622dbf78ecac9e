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
import dataclasses

from nova import objects
from oslotest import base

from zun_nova import errors
from zun_nova.tests.unit.virt import fakes
from zun_nova.virt import flavor_config
from zun_nova.virt import flavor_quota
from zun_nova.virt import host_topology
from zun_nova.virt import processors
from zun_nova.virt import spec

objects.register_all()

DEFAULTS = spec.Defaults(host='compute1', runtime=None, pids_limit=4096,
                         cap_drop=('NET_RAW',), log_max_bytes=1024)
MIB = 1024 ** 2
TOPOLOGY = host_topology.Topology((host_topology.Node(
    7, tuple(host_topology.Cpu(cpu, 0, frozenset({cpu})) for cpu in range(4)), MIB, ()),))


class BuildTest(base.BaseTestCase):

    def build(self, **changes: object) -> spec.ContainerSpec:
        return spec.build(fakes.instance(**changes), 'zun-nova/glance:x', None, DEFAULTS)

    def test_plain_server(self) -> None:
        self.assertEqual(
            spec.ContainerSpec(
                name='nova-' + fakes.UUID,
                image='zun-nova/glance:x',
                limits=spec.Limits(
                    memory_bytes=256 * MIB, memory_swap_bytes=256 * MIB,
                    cpu_quota_us=200_000, cpu_shares=2048, pids=4096,
                    disk_bytes=1024 * MIB),
                security=spec.Security(no_new_privileges=True, cap_drop=('NET_RAW',)),
                labels={
                    'org.openstack.nova.instance_uuid': fakes.UUID,
                    'org.openstack.nova.instance_name': 'instance-00000001',
                    'org.openstack.nova.host': 'compute1',
                    'org.openstack.nova.project_id': 'project',
                    'org.openstack.nova.user_id': 'user',
                    'org.openstack.nova.image_id': fakes.IMAGE_ID,
                    'org.openstack.nova.flavor': 'container.small',
                    'org.openstack.nova.role': 'server',
                },
                network='nova-' + fakes.UUID,
                log_max_bytes=1024),
            self.build())

    def test_swap_of_the_flavor_is_added_to_memory(self) -> None:
        limits = self.build(flavor=fakes.flavor(swap=64)).limits
        self.assertEqual(256 * MIB, limits.memory_bytes)
        self.assertEqual(320 * MIB, limits.memory_swap_bytes)

    def test_quota_of_the_flavor(self) -> None:
        for extra_specs, wanted in (
            ({'quota:cpu_quota': '25000'}, (100_000, 50_000, 2048)),   # of each of two vcpus
            ({'quota:cpu_quota': '-1'}, (100_000, 0, 2048)),
            ({'quota:cpu_period': '10000'}, (10_000, 20_000, 2048)),
            ({'quota:cpu_shares': '5'}, (100_000, 200_000, 5)),
        ):
            limits = self.build(flavor=fakes.flavor(extra_specs=extra_specs)).limits
            self.assertEqual(
                wanted, (limits.cpu_period_us, limits.cpu_quota_us, limits.cpu_shares))
        limits = self.build(flavor=fakes.flavor(
            extra_specs={'quota:disk_write_iops_sec': '9'})).limits
        self.assertEqual(flavor_quota.DiskLimits(write_iops_sec=9), limits.disk)

    def test_processors(self) -> None:
        host = processors.processors(TOPOLOGY, {0, 1}, {2, 3})
        default = dataclasses.replace(DEFAULTS, processors=host)
        own = objects.InstanceNUMATopology(cells=[objects.InstanceNUMACell(
            id=7, cpuset=set(), pcpuset={0, 1}, cpu_pinning={0: 3, 1: 2})])
        mixed = objects.InstanceNUMATopology(cells=[objects.InstanceNUMACell(
            id=7, cpuset={1}, pcpuset={0}, cpu_pinning={0: 3})])
        for topology, cpus, mems, quota in (
            (None, (0, 1), (), 200_000), (own, (2, 3), (7,), 0), (mixed, (0, 1, 3), (7,), 200_000),
        ):
            limits = spec.build(fakes.instance(numa_topology=topology), 'i', None, default).limits
            self.assertEqual(
                (cpus, mems, quota), (limits.cpus, limits.mems, limits.cpu_quota_us))
        limits = spec.build(
            fakes.instance(numa_topology=own, flavor=fakes.flavor(
                extra_specs={'quota:cpu_quota': '50000'})), 'i', None, default).limits
        self.assertEqual(100_000, limits.cpu_quota_us)

    def test_no_second_disk(self) -> None:
        ex = self.assertRaises(
            errors.InvalidSpec, self.build, flavor=fakes.flavor(ephemeral_gb=1))
        self.assertEqual('flavor ephemeral disk', ex.where)

    def test_owner_metadata(self) -> None:
        built = self.build(metadata={'container:args': 'a b', 'container:env:X': '1', 'k': 'v'})
        self.assertEqual(('a', 'b'), built.args)
        self.assertEqual({'X': '1'}, built.env)

    def test_document_goes_before_metadata_and_those_before_the_image(self) -> None:
        document = base64.b64encode(b'#container-config\nargs: [document]\n').decode()
        built = self.build(
            user_data=document,
            metadata={'container:args': 'metadata', 'container:user': 'metadata'},
            system_metadata={'image_container:user': 'image', 'image_container:tty': 'true',
                             'image_base_image_ref': 'x', 'container:tty': 'no image property'})
        self.assertEqual((('document',), 'metadata', True), (built.args, built.user, built.tty))

    def test_command_line_of_the_image(self) -> None:
        built = spec.build(fakes.instance(), 'zun-nova/glance:x', 'a "b c"', DEFAULTS)
        self.assertEqual(('a', 'b c'), built.args)

    def test_flavor_decides_runtime_and_pids(self) -> None:
        extra_specs = {'container:runtime': 'runsc', 'container:pids_limit': '10',
                       'hw:cpu_policy': 'shared'}
        built = self.build(flavor=fakes.flavor(extra_specs=extra_specs))
        self.assertEqual('runsc', built.runtime)
        self.assertEqual(10, built.limits.pids)

    def test_metadata_cannot_take_power(self) -> None:
        for key in ('container:runtime', 'container:pids_limit', 'container:privileged'):
            with self.subTest(key):
                self.assertRaises(errors.InvalidSpec, self.build, metadata={key: '1'})

    def test_flavor_decides_security(self) -> None:
        for extra_specs, wanted in (
            ({'container:cap_add': 'NET_RAW,SYS_PTRACE'},
             spec.Security(cap_add=('NET_RAW', 'SYS_PTRACE'))),
            ({'container:cap_add': 'ALL', 'container:cap_drop': 'SYS_BOOT'},
             spec.Security(cap_add=('ALL',), cap_drop=('SYS_BOOT',))),
            ({'container:cap_drop': 'CHOWN,NET_RAW'},
             spec.Security(cap_drop=('NET_RAW', 'CHOWN'))),
            ({'container:privileged': 'true', 'container:no_new_privileges': 'false'},
             spec.Security(privileged=True, no_new_privileges=False, cap_drop=('NET_RAW',))),
            ({'container:seccomp': 'unconfined', 'container:devices': '/dev/fuse'},
             spec.Security(seccomp_unconfined=True, cap_drop=('NET_RAW',), devices=(
                 flavor_config.Device('/dev/fuse', '/dev/fuse'),))),
        ):
            with self.subTest(extra_specs):
                self.assertEqual(
                    wanted, self.build(flavor=fakes.flavor(extra_specs=extra_specs)).security)
