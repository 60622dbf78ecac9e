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
"""What a server's process is given, seen from inside."""

from __future__ import annotations

from zun_nova.tests.functional.cloud import base


class ContainerTest(base.CloudTest):

    def test_limits_and_security(self) -> None:
        server = self.boot(self.image('cat /proc/self/status; echo end; sleep 1000'))
        status = self.console_with(server, '\nend')
        self.assertIn('NoNewPrivs:\t1', status)
        self.assertIn('Seccomp:\t2', status)
        effective = next(line for line in status.splitlines() if line.startswith('CapEff'))
        dropped = {'NET_RAW': 13, 'MKNOD': 27, 'AUDIT_WRITE': 29, 'SETFCAP': 31}
        for name, bit in dropped.items():
            self.assertFalse(int(effective.split()[1], 16) >> bit & 1, name)
        limits = self.container(server)['HostConfig']
        self.assertEqual(64 * 1024 ** 2, limits['Memory'])
        self.assertEqual(64 * 1024 ** 2, limits['MemorySwap'])
        self.assertEqual((100_000, 100_000), (limits['CpuQuota'], limits['CpuPeriod']))
        self.assertEqual(4096, limits['PidsLimit'])
        self.assertEqual('no', limits['RestartPolicy']['Name'])
        self.assertFalse(limits['Privileged'])

    def test_owner_decides_process_environment_and_user(self) -> None:
        server = self.boot(self.image(), metadata={
            'container:command': '["/bin/sh", "-c"]',
            'container:args': '["echo $GREETING from $(id -u) in $(pwd); sleep 1000"]',
            'container:env:GREETING': 'salve',
            'container:user': 'nobody',
            'container:working_dir': '/tmp',
        })
        self.console_with(server, 'salve from 65534 in /tmp')

    def test_image_command_line(self) -> None:
        line = """'echo said by "the image"; sleep 1000'"""
        image = self.image(config={'Entrypoint': ['/bin/sh', '-c'], 'Cmd': ['unused']},
                           properties={'os_command_line': line})
        self.console_with(self.boot(image), 'said by the image')

    def test_labels_tell_whose_it_is(self) -> None:
        server = self.boot()
        labels = self.container(server)['Config']['Labels']
        self.assertEqual(server.id, labels['org.openstack.nova.instance_uuid'])
        self.assertEqual(server.project_id, labels['org.openstack.nova.project_id'])
        self.assertEqual(self.host_of(server).name, labels['org.openstack.nova.host'])


class RefusalTest(base.CloudTest):
    """What makes no container is refused in words its owner understands; nothing is left."""

    def setUp(self) -> None:
        super().setUp()
        before = self.traces()
        self.addCleanup(lambda: self.assertEqual(set(), self.traces() - before))

    def test_unknown_metadata_key(self) -> None:
        fault = self.fault_of(metadata={'container:priviledged': 'true'})
        self.assertIn('container:priviledged', fault)
        self.assertIn('no such key', fault)

    def test_flavor_with_an_unknown_runtime(self) -> None:
        flavor = self.admin.compute.create_flavor(
            name=self.id().rsplit('.', 1)[1], vcpus=1, ram=64, disk=1)
        self.addCleanup(self.admin.compute.delete_flavor, flavor.id)
        self.admin.compute.create_flavor_extra_specs(flavor, {'container:runtime': 'nothing'})
        fault = self.fault_of(flavor=flavor.name)
        self.assertIn("no OCI runtime 'nothing', only", fault)
        self.assertIn('trait:CUSTOM_CONTAINER_RUNTIME_NOTHING=required', fault)
