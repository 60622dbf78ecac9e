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

"""Tables of what is asked of Podman."""

from __future__ import annotations

import testtools

from zun_nova import errors
from zun_nova.virt import flavor_config
from zun_nova.virt import flavor_quota
from zun_nova.virt import process
from zun_nova.virt import processors
from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import podman_answer
from zun_nova.virt.runtime import podman_request

LIMITS = container_spec.Limits(
    memory_bytes=2 ** 23, memory_swap_bytes=2 ** 24, cpu_quota_us=50_000, cpu_shares=512,
    pids=77, disk_bytes=2 ** 30)
NETWORK = podman_request.Network('/run/netns/nova-1', 'web', '/state/nova-1')


def spec(**changes):
    values = {'name': 'nova-1', 'image': 'zun/image:1', 'limits': LIMITS,
              'security': container_spec.Security()}
    return container_spec.ContainerSpec(**(values | changes))


def request(network=None, defaults=(), parent=None, disk_device=None, **changes):
    return podman_request.container(spec(**changes), network, defaults, parent, disk_device)


class NamesTest(testtools.TestCase):

    def test_images(self):
        for reference, name in (
            ('zun-nova/glance:1', 'localhost/zun-nova/glance:1'),
            ('localhost/a:1', 'localhost/a:1'),
            ('registry.test/a/b@sha256:0', 'registry.test/a/b@sha256:0'),
            ('127.0.0.1:5000/a:1', '127.0.0.1:5000/a:1'),
            (64 * 'a', 64 * 'a'),
        ):
            self.assertEqual(name, podman_request.image_name(reference))
        self.assertEqual('zun-nova/glance:1', podman_request.reference_of(
            'localhost/zun-nova/glance:1'))


class ContainerTest(testtools.TestCase):

    def test_what_the_owner_may_leave_to_the_image(self):
        for field, key, value, wanted in (
            ('command', 'entrypoint', ('a', 'b'), ['a', 'b']),
            ('args', 'command', ('c',), ['c']),
            ('user', 'user', '1:2', '1:2'),
            ('working_dir', 'work_dir', '/x', '/x'),
            ('stop_signal', 'stop_signal', 'SIGINT', 2),
            ('stop_signal', 'stop_signal', '40', 40),
            ('healthcheck', 'healthconfig', process.Healthcheck(disabled=True),
             {'Test': ['NONE']}),
            ('healthcheck', 'healthconfig', process.Healthcheck(('a',), interval=2, retries=3),
             {'Test': ['CMD', 'a'], 'Interval': 2 * 10 ** 9, 'Retries': 3}),
        ):
            self.assertNotIn(key, request())
            self.assertEqual(wanted, request(**{field: value})[key])

    def test_the_grace_time_is_noted(self):
        self.assertEqual({}, request()['annotations'])
        self.assertEqual({podman_answer.STOP_TIMEOUT: '7'}, request(stop_timeout=7)['annotations'])

    def test_limits(self):
        self.assertEqual({
            'memory': {'limit': 2 ** 23, 'swap': 2 ** 24},
            'cpu': {'period': 100_000, 'quota': 50_000, 'shares': 512},
            'pids': {'limit': 77}}, request()['resource_limits'])

    def test_limits_of_few(self):
        limits = container_spec.Limits(
            2 ** 23, 2 ** 24, 0, 512, 77, cpus=(1, 3), mems=(0,),
            disk=flavor_quota.DiskLimits(write_iops_sec=8),
            huge_pages=(processors.HugePages(2048, 2 ** 22),))
        made = request(limits=limits, disk_device='/dev/vda')
        self.assertEqual({'period': 100_000, 'shares': 512, 'cpus': '1,3', 'mems': '0'},
                         made['resource_limits']['cpu'])
        self.assertEqual({'/dev/vda': {'rate': 8}}, made['throttleWriteIOPSDevice'])
        self.assertNotIn('throttleReadIOPSDevice', made)
        self.assertEqual(
            [('hugetlbfs', '/dev/hugepages')],
            [(mount['type'], mount['destination']) for mount in made['mounts']])
        self.assertIn('size=4194304', made['mounts'][0]['options'])
        self.assertRaises(errors.InvalidRequest, request, limits=limits)

    def test_ulimits_of_the_owner_go_before_those_of_the_host(self):
        default = (process.Ulimit('nofile', 5, 5), process.Ulimit('nproc', 6, 6))
        self.assertEqual([], request()['r_limits'])
        self.assertEqual(
            [{'type': 'NOFILE', 'soft': 1, 'hard': 2 ** 64 - 1},
             {'type': 'NPROC', 'soft': 6, 'hard': 6}],
            request(defaults=default, ulimits=(process.Ulimit('nofile', 1, -1),))['r_limits'])

    def test_security(self):
        strict = request()
        self.assertTrue(strict['no_new_privileges'])
        self.assertFalse(strict['privileged'])
        self.assertNotIn('seccomp_profile_path', strict)
        loose = request(security=container_spec.Security(
            no_new_privileges=False, privileged=True, seccomp_unconfined=True,
            cap_add=('NET_RAW',), cap_drop=('MKNOD',),
            devices=(flavor_config.Device('/dev/a', '/dev/b', 'r'),)))
        self.assertFalse(loose['no_new_privileges'])
        self.assertTrue(loose['privileged'])
        self.assertEqual(
            ('unconfined', ['NET_RAW'], ['MKNOD'], [{'path': '/dev/a:/dev/b:r'}]),
            (loose['seccomp_profile_path'], loose['cap_add'], loose['cap_drop'],
             loose['devices']))

    def test_without_network(self):
        self.assertEqual({'nsmode': 'none'}, request()['netns'])
        self.assertEqual([], request()['mounts'])

    def test_in_a_network(self):
        made = request(NETWORK, mounts=(container_spec.Mount('/a', '/b', read_only=True),))
        self.assertEqual({'nsmode': 'path', 'value': '/run/netns/nova-1'}, made['netns'])
        self.assertEqual('web', made['hostname'])
        self.assertTrue(made['use_image_hosts'])
        self.assertEqual(
            [('/a', '/b', 'ro'), ('/state/nova-1/hosts', '/etc/hosts', 'rw'),
             ('/state/nova-1/resolv.conf', '/etc/resolv.conf', 'rw'),
             ('/state/nova-1/hostname', '/etc/hostname', 'rw')],
            [(mount['source'], mount['destination'], mount['options'][-1])
             for mount in made['mounts']])

    def test_tmpfs(self):
        [mount] = request(tmpfs=(process.Tmpfs('/x', 100, 0o700),))['mounts']
        self.assertEqual(('tmpfs', '/x'), (mount['type'], mount['destination']))
        self.assertLessEqual({'noexec', 'nosuid', 'nodev', 'mode=700', 'size=100'},
                             set(mount['options']))

    def test_control_group(self):
        self.assertNotIn('cgroup_parent', request())
        self.assertEqual('/zun', request(parent='/zun')['cgroup_parent'])


class RefuseTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.engine = podman_answer.info({
            'host': {'ociRuntime': {'name': 'crun'}, 'arch': 'amd64', 'cpus': 1, 'memTotal': 1,
                     'cgroupVersion': 'v2'},
            'version': {'Version': '4.3.1', 'APIVersion': '4.3.1'},
            'store': {'graphRoot': '/x', 'graphDriverName': 'overlay'}}, has_systemd=True)

    def test_what_can_be_started(self):
        for runtime in (None, 'crun'):
            podman_request.refuse(spec(runtime=runtime), self.engine)

    def test_another_runtime(self):
        failure = self.assertRaises(
            errors.InvalidRequest, podman_request.refuse, spec(runtime='runsc'), self.engine)
        self.assertIn('runs all containers with crun, not with runsc', str(failure))

    def test_too_little_memory(self):
        small = container_spec.Limits(2 ** 20, 2 ** 20, 1, 1, 1)
        failure = self.assertRaises(
            errors.InvalidRequest, podman_request.refuse, spec(limits=small), self.engine)
        self.assertIn('less memory than a container needs', str(failure))

    def test_no_such_signal(self):
        self.assertRaises(errors.InvalidRequest, request, stop_signal='SIGNONE')
