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

"""Tables of what Docker answers."""

from __future__ import annotations

import testtools

from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import docker_answer

NEVER = '0001-01-01T00:00:00Z'
INFO = {
    'ServerVersion': '20.10.24', 'Architecture': 'aarch64', 'NCPU': 2, 'MemTotal': 3,
    'DockerRootDir': '/var/lib/docker', 'Driver': 'overlay2',
    'DriverStatus': [['Backing Filesystem', 'extfs']], 'DefaultRuntime': 'runc',
    'Runtimes': {'runc': {}, 'crun': {}, 'io.containerd.runc.v2': {}},
    'LiveRestoreEnabled': True,
}
MOUNTINFO = (
    '1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n'
    '2 1 8:2 / /var/lib/docker rw - xfs /dev/sdb1 rw,attr2,{option}\n'
    '3 1 8:2 / /var/lib/docker2 rw - xfs /dev/sdb1 rw,prjquota\n')


def inspected(**state):
    values = {'Status': 'running', 'Running': True, 'Pid': 7, 'ExitCode': 0, 'OOMKilled': False,
              'Error': '', 'FinishedAt': NEVER}
    return {'Id': 'i', 'Name': '/nova-1', 'Image': 'sha256:x', 'Config': {'Labels': None},
            'State': values | state, 'NetworkSettings': {'SandboxKey': '/run/netns/a'}}


class ContainerTest(testtools.TestCase):

    def test_states(self):
        for status, state in (
            ('created', base.State.CREATED), ('running', base.State.RUNNING),
            ('paused', base.State.PAUSED), ('exited', base.State.EXITED),
            ('removing', base.State.DEAD), ('dead', base.State.DEAD),
            ('a new one', base.State.DEAD),
        ):
            self.assertIs(state, docker_answer.container(inspected(Status=status)).state)
            self.assertIs(state, docker_answer.summary(
                {'Id': 'i', 'Names': ['/a'], 'State': status, 'Labels': None,
                 'ImageID': 'sha256:x'}).state)

    def test_exit_code_is_that_of_the_last_run(self):
        for running, finished, code, wanted in (
            (True, NEVER, 0, None),
            (True, '2026-01-01T00:00:00Z', 0, None),
            (False, NEVER, 127, None),     # it never started
            (False, '2026-01-01T00:00:00Z', 0, 0),
            (False, '2026-01-01T00:00:00Z', 43, 43),
        ):
            self.assertEqual(wanted, docker_answer.container(
                inspected(Running=running, FinishedAt=finished, ExitCode=code)).exit_code)

    def test_the_rest(self):
        self.assertEqual(
            base.ContainerInfo('i', 'nova-1', base.State.EXITED, {}, 'sha256:x', None, None,
                               True, 'why'),
            docker_answer.container(inspected(
                Status='exited', Running=False, Pid=0, OOMKilled=True, Error='why')))

    def test_a_linked_container_has_more_names(self):
        row = {'Id': 'i', 'Names': ['/other/alias', '/own'], 'State': 'exited', 'Labels': {},
               'ImageID': 'sha256:x'}
        self.assertEqual('own', docker_answer.summary(row).name)
        self.assertEqual('sha256:x', docker_answer.summary(row).image_id)
        self.assertEqual('', docker_answer.summary(row | {'Names': None}).name)

    def test_network_path(self):
        answer = inspected()
        self.assertEqual('/run/netns/a', docker_answer.network_path(answer))
        answer['NetworkSettings']['SandboxKey'] = ''
        self.assertEqual('/proc/7/ns/net', docker_answer.network_path(answer))
        self.assertIsNone(docker_answer.network_path(inspected(Running=False)))


class InfoTest(testtools.TestCase):

    def info(self, option='prjquota', **changes):
        return docker_answer.info(INFO | changes, '1.41', MOUNTINFO.format(option=option))

    def test_all(self):
        self.assertEqual(
            base.EngineInfo(
                name='docker', version='20.10.24', api_version='1.41', architecture='aarch64',
                cpus=2, memory_bytes=3, data_root='/var/lib/docker', storage_driver='overlay2',
                runtimes=('crun', 'runc'), default_runtime='runc', live_restore=True,
                capabilities=base.Capabilities(update_limits=True), remaps_users=False),
            self.info())

    def test_disk_quota(self):
        xfs = [['Backing Filesystem', 'xfs']]
        for driver, status, root, option, wanted in (
            ('btrfs', None, '/x', '', True),
            ('zfs', None, '/x', '', True),
            ('vfs', None, '/x', '', False),
            ('overlay2', [['Backing Filesystem', 'extfs']], '/var/lib/docker', 'pquota', False),
            ('overlay2', xfs, '/var/lib/docker', 'noquota', False),
            ('overlay2', xfs, '/var/lib/docker', 'pquota', True),
            ('overlay2', xfs, '/var/lib/docker', 'prjquota', True),
            ('overlay2', xfs, '/var/lib/docker2/data', 'noquota', True),
            ('overlay2', xfs, '/srv', 'prjquota', False),
        ):
            info = self.info(option, Driver=driver, DriverStatus=status, DockerRootDir=root)
            self.assertEqual(wanted, info.capabilities.disk_quota, (driver, root, option))

    def test_user_namespaces(self):
        for options, wanted in ((['name=seccomp,profile=default', 'name=userns'], True),
                                (['name=seccomp,profile=default'], False), (None, False)):
            self.assertEqual(wanted, self.info(SecurityOptions=options).remaps_users, options)

    def test_devices_by_name(self):
        for more, wanted in (({}, False), ({'CDISpecDirs': []}, False),
                             ({'CDISpecDirs': ['/etc/cdi']}, True)):
            self.assertEqual(wanted, self.info(**more).capabilities.cdi)

    def test_sandboxes_keep_their_size(self):
        for runtime, wanted in (('runc', True), ('crun', True), ('runsc', False),
                                ('kata-qemu', False)):
            self.assertEqual(
                wanted, self.info(DefaultRuntime=runtime).capabilities.update_limits)
