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

"""What servers may use of a host, by their flavors."""

from __future__ import annotations

import json
from typing import Any
import uuid

from zun_nova.tests.functional.cloud import base

#: Major and minor; 120 is kept for local use, see devices.txt of Linux.
LOCAL_DEVICE = '120 77'


class ResourcesTest(base.CloudTest):

    def flavor(self, **extra_specs: str) -> Any:
        """A flavor with these extra specs; ``__`` stands for a colon."""
        made = self.admin.compute.create_flavor(
            name=f'test-{uuid.uuid4().hex[:8]}', vcpus=1, ram=64, disk=1)
        self.addCleanup(self.admin.compute.delete_flavor, made.id)
        self.admin.compute.create_flavor_extra_specs(
            made, {key.replace('__', ':'): value for key, value in extra_specs.items()})
        return made

    def device(self) -> str:
        """A device that hosts know by this name of the Container Device Interface."""
        tag = f'zun-test-{uuid.uuid4().hex[:8]}'
        path, specification = f'/dev/{tag}', f'/var/run/cdi/{tag}.json'
        content = json.dumps({
            'cdiVersion': '0.5.0', 'kind': f'{tag}/device', 'devices': [{
                'name': 'one', 'containerEdits': {
                    'deviceNodes': [{'path': '/dev/given', 'hostPath': path,
                                     'permissions': 'r'}],
                    'env': ['DEVICE=one']}}]})
        for each in self.hosts.values():
            # Hosts that are namespaces of one machine share its /dev.
            each.run('sh', '-c', f'test -e {path} || mknod {path} c {LOCAL_DEVICE}; '
                     f"mkdir -p /var/run/cdi; echo '{content}' > {specification}")
            self.addCleanup(each.run, 'rm', '-f', path, specification)
        return f'{tag}/device=one'

    def test_limits_a_numa_node_and_a_device(self) -> None:
        flavor = self.flavor(
            quota__cpu_quota='30000', quota__cpu_shares='77',
            quota__disk_write_bytes_sec='5000000', hw__numa_nodes='1',
            container__cdi=self.device())
        image = self.image("""
            cd /sys/fs/cgroup
            echo quota $(cat cpu/cpu.cfs_quota_us cpu.max 2>/dev/null | cut -d ' ' -f 1)
            echo disk $(cat blkio/blkio.throttle.write_bps_device io.max 2>/dev/null)
            grep list /proc/self/status
            echo device $DEVICE $( (: < /dev/given) 2>&1; (: > /dev/given) 2>&1)
            echo end
            sleep 1000
            """)
        server = self.boot(image, flavor=flavor.name)
        said = dict(line.split(maxsplit=1) for line in
                    self.console_with(server, '\nend').splitlines() if ' ' in line.strip()
                    or '\t' in line)
        self.assertEqual('30000', said['quota'])
        self.assertIn('5000000', said['disk'])
        self.assertEqual('0', said['Mems_allowed_list:'])
        # It may be opened to read, though there is no driver, and not to write.
        self.assertRegex(
            said['device'].lower(), '^one .*no such device.*operation not permitted')
        config = self.container(server)['HostConfig']
        self.assertEqual((77, '0'), (config['CpuShares'], config['CpusetMems']))
        # All of the node's, as nothing is kept from servers here.
        self.assertTrue(config['CpusetCpus'])

    def test_a_promise_that_no_container_keeps(self) -> None:
        fault = self.fault_of(flavor=self.flavor(quota__vif_inbound_average='100').name)
        self.assertIn('flavor extra spec quota:vif_inbound_average', fault)
        self.assertIn('QoS policy', fault)
