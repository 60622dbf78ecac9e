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

"""Limits of flavors, as containers of real engines find them."""

from __future__ import annotations

import os
import pathlib

from nova import objects

from zun_nova.tests import runtime_contract
from zun_nova.tests.functional.runtime import docker_case
from zun_nova.tests.functional.runtime import podman_case
from zun_nova.tests.unit.virt import fakes
from zun_nova.virt import processors
from zun_nova.virt import spec as container_spec

objects.register_all()

MIB = runtime_contract.MIB
UNIFIED = pathlib.Path('/sys/fs/cgroup/cgroup.controllers').exists()
HUGE_PAGES = pathlib.Path('/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages')


class Limits:
    """For each engine: part of a runtime_contract.Case."""

    def said(self, script, numa_topology=None, host=processors.ANY, **quota):
        """The lines that a script writes in a server with this flavor."""
        default = container_spec.Defaults(
            host='host', runtime=None, pids_limit=64, cap_drop=(), log_max_bytes=MIB,
            processors=host)
        instance = fakes.instance(numa_topology=numa_topology, flavor=fakes.flavor(
            vcpus=1, memory_mb=64,
            extra_specs={f'quota:{key}': value for key, value in quota.items()}))
        limits = container_spec.build(instance, runtime_contract.IMAGE, None, default).limits
        return self.output('sh', '-c', script, limits=limits).decode().splitlines()

    def control(self, v1, v2, **more):
        """What the server's control group has in this file, by either version."""
        return self.said(f'cat /sys/fs/cgroup/{v2 if UNIFIED else v1}', **more)

    @staticmethod
    def cell(**values):
        return objects.InstanceNUMATopology(cells=[objects.InstanceNUMACell(
            **({'cpuset': set(), 'pcpuset': set(), 'cpu_pinning': None} | values))])

    def test_processor_time(self):
        script = 'cd /sys/fs/cgroup; ' + (
            'cat cpu.max' if UNIFIED else
            'cd cpu; echo $(cat cpu.cfs_quota_us cpu.cfs_period_us); cat cpu.shares')
        said = self.said(script, cpu_quota='50000', cpu_period='20000', cpu_shares='77')
        self.assertEqual(['50000 20000', '77'][:len(said)], said)
        self.assertRegex(self.said(script, cpu_quota='-1')[0], '^(-1|max) ')

    def test_use_of_the_disk(self):
        device = self.runtime.info().disk_device
        if device is None:
            self.skipTest('the data of the engine is on no disk')
        number = os.stat(device).st_rdev
        disk = f'{os.major(number)}:{os.minor(number)}'
        for v1, key, v2 in (('write_bps', 'write_bytes_sec', 'wbps'),
                            ('read_iops', 'read_iops_sec', 'riops')):
            line, = self.control(f'blkio/blkio.throttle.{v1}_device', 'io.max',
                                 **{f'disk_{key}': '5000000'})
            self.assertRegex(line, f'^{disk} (5000000$|.*{v2}=5000000)')

    def test_processors(self):
        host = processors.of_host()
        node = host.topology.nodes[0]
        script = 'grep -E "^(Cpu|Mem)s_allowed_list" /proc/self/status | cut -f 2'
        first, last = min(node.cpu_ids), max(node.cpu_ids)
        own = self.cell(id=node.id, pcpuset={0}, cpu_pinning={0: last})
        self.assertEqual([str(last), str(node.id)], self.said(script, own))
        confined = processors.processors(host.topology, {first}, None)
        self.assertEqual(str(first), self.said(script, host=confined)[0])

    def test_huge_pages(self):
        if not HUGE_PAGES.exists():
            self.skipTest('this kernel has no huge pages of 2 MiB')
        before = HUGE_PAGES.read_text()
        self.addCleanup(HUGE_PAGES.write_text, before)
        # More than the server may use.
        HUGE_PAGES.write_text(str(int(before) + 8))
        own = self.cell(id=0, cpuset={0}, memory=4, pagesize=2048)
        self.assertEqual(['1', 'fits', 'full'], self.said("""
            grep -c "^hugetlbfs /dev/hugepages hugetlbfs rw" /proc/mounts
            cd /dev/hugepages
            fallocate -l 4194304 a && echo fits
            fallocate -l 2097152 b 2>/dev/null || echo full
            """, own))


class DockerLimitsTest(Limits, docker_case.DockerTest):
    pass


class PodmanLimitsTest(Limits, podman_case.PodmanTest):
    pass
