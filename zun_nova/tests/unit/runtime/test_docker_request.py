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

"""Tables of what is asked of Docker."""

from __future__ import annotations

import testtools

from zun_nova import errors
from zun_nova.virt import flavor_config
from zun_nova.virt import flavor_quota
from zun_nova.virt import process
from zun_nova.virt import processors
from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import docker_request

LIMITS = container_spec.Limits(
    memory_bytes=100, memory_swap_bytes=150, cpu_quota_us=50_000, cpu_shares=512, pids=77,
    disk_bytes=2 ** 30)


def request(disk_quota=False, disk_device='/dev/vda', **changes):
    values = {'name': 'nova-1', 'image': 'image:1', 'limits': LIMITS,
              'security': container_spec.Security()}
    return docker_request.container(
        container_spec.ContainerSpec(**(values | changes)), disk_quota, disk_device)


class ContainerTest(testtools.TestCase):

    def test_what_the_owner_may_leave_to_the_image(self):
        for field, key, value, wanted in (
            ('command', 'Entrypoint', ('a', 'b'), ['a', 'b']),
            ('command', 'Entrypoint', (), []),
            ('args', 'Cmd', ('c',), ['c']),
            ('args', 'Cmd', (), []),
            ('user', 'User', '1:2', '1:2'),
            ('working_dir', 'WorkingDir', '/x', '/x'),
            ('stop_signal', 'StopSignal', 'SIGINT', 'SIGINT'),
            ('stop_timeout', 'StopTimeout', 7, 7),
        ):
            self.assertNotIn(key, request())
            self.assertEqual(wanted, request(**{field: value})[key])

    def test_plain_fields(self):
        self.assertEqual(
            {'Image': 'image:1', 'Env': ['A=b=c', 'D='], 'Labels': {'l': 'v'}},
            {key: request(env={'A': 'b=c', 'D': ''}, labels={'l': 'v'})[key]
             for key in ('Image', 'Env', 'Labels')})

    def test_a_terminal_has_an_input(self):
        for tty, stdin, wanted in ((True, False, (True, True)), (False, False, (False, False)),
                                   (False, True, (False, True))):
            made = request(tty=tty, stdin=stdin)
            self.assertEqual(wanted, (made['Tty'], made['OpenStdin']))

    def test_health_check(self):
        self.assertNotIn('Healthcheck', request())
        for check, wanted in (
            (process.Healthcheck(disabled=True), {'Test': ['NONE']}),
            (process.Healthcheck(interval=2), {'Interval': 2_000_000_000}),
            (process.Healthcheck(('nc', 'x'), 1, 2, 3, 4),
             {'Test': ['CMD', 'nc', 'x'], 'Interval': 10 ** 9, 'Timeout': 2 * 10 ** 9,
              'StartPeriod': 3 * 10 ** 9, 'Retries': 4}),
        ):
            self.assertEqual(wanted, request(healthcheck=check)['Healthcheck'])

    def test_file_systems(self):
        self.assertIs(False, request()['HostConfig']['ReadonlyRootfs'])
        config = request(read_only=True, tmpfs=(
            process.Tmpfs('/a'), process.Tmpfs('/b', 1024, 0o755, True)))['HostConfig']
        self.assertIs(True, config['ReadonlyRootfs'])
        self.assertEqual({'/a': 'noexec,mode=1777', '/b': 'exec,mode=755,size=1024'},
                         config['Tmpfs'])

    def test_kernel_parameters(self):
        config = request(ulimits=(process.Ulimit('nofile', 5, -1),),
                         sysctls={'kernel.sem': '1'})['HostConfig']
        self.assertEqual([{'Name': 'nofile', 'Soft': 5, 'Hard': -1}], config['Ulimits'])
        self.assertEqual({'kernel.sem': '1'}, config['Sysctls'])

    def test_limits(self):
        config = request()['HostConfig']
        self.assertEqual(
            {'Memory': 100, 'MemorySwap': 150, 'CpuPeriod': 100_000, 'CpuQuota': 50_000,
             'CpuShares': 512, 'PidsLimit': 77, 'CpusetCpus': '', 'CpusetMems': ''},
            {key: config[key] for key in ('Memory', 'MemorySwap', 'CpuPeriod', 'CpuQuota',
                                          'CpuShares', 'PidsLimit', 'CpusetCpus',
                                          'CpusetMems')})
        placed = container_spec.Limits(100, 150, 0, 512, 77, cpus=(1, 3), mems=(0,))
        config = request(limits=placed)['HostConfig']
        self.assertEqual(('1,3', '0'), (config['CpusetCpus'], config['CpusetMems']))

    def test_disk_is_limited_only_where_the_engine_can(self):
        self.assertNotIn('StorageOpt', request()['HostConfig'])
        self.assertEqual({'size': str(2 ** 30)},
                         request(disk_quota=True)['HostConfig']['StorageOpt'])
        no_disk = container_spec.Limits(100, 150, 50_000, 512, 77)
        self.assertNotIn(
            'StorageOpt', request(disk_quota=True, limits=no_disk)['HostConfig'])

    def test_devices_that_the_engine_knows(self):
        self.assertNotIn('DeviceRequests', request()['HostConfig'])
        security = container_spec.Security(cdi=('v.com/gpu=0', 'v.com/gpu=1'))
        self.assertEqual(
            [{'Driver': 'cdi', 'DeviceIDs': ['v.com/gpu=0', 'v.com/gpu=1']}],
            request(security=security)['HostConfig']['DeviceRequests'])

    def test_huge_pages(self):
        limits = container_spec.Limits(100, 150, 0, 512, 77, huge_pages=(
            processors.HugePages(2048, 2 ** 22), processors.HugePages(2 ** 20, 2 ** 30)))
        mounts = request(limits=limits, mounts=(container_spec.Mount('/a', '/b'),))[
            'HostConfig']['Mounts']
        self.assertEqual(
            [('bind', '/b'), ('volume', '/dev/hugepages'), ('volume', '/dev/hugepages-1048576kB')],
            [(mount['Type'], mount['Target']) for mount in mounts])
        self.assertEqual(
            {'type': 'hugetlbfs', 'device': 'hugetlbfs',
             'o': 'mode=1777,pagesize=2048K,size=4194304'},
            mounts[1]['VolumeOptions']['DriverConfig']['Options'])

    def test_use_of_the_disk(self):
        limits = container_spec.Limits(
            100, 150, 50_000, 512, 77,
            disk=flavor_quota.DiskLimits(read_bytes_sec=7, write_iops_sec=8))
        config = request(limits=limits)['HostConfig']
        self.assertEqual(
            {'BlkioDeviceReadBps': [{'Path': '/dev/vda', 'Rate': 7}],
             'BlkioDeviceWriteIOps': [{'Path': '/dev/vda', 'Rate': 8}]},
            {key: value for key, value in config.items() if key.startswith('BlkioDevice')})
        self.assertRaises(errors.InvalidRequest, request, disk_device=None, limits=limits)
        self.assertNotIn('BlkioDeviceReadBps', request(disk_device=None)['HostConfig'])

    def test_power_state_and_privilege_are_never_the_engines(self):
        config = request()['HostConfig']
        self.assertEqual({'Name': 'no'}, config['RestartPolicy'])
        self.assertIs(False, config['Privileged'])
        self.assertEqual([], config['CapAdd'])
        self.assertEqual([], config['Devices'])

    def test_security(self):
        for no_new_privileges, wanted in ((True, ['no-new-privileges']), (False, [])):
            config = request(security=container_spec.Security(
                no_new_privileges=no_new_privileges, cap_drop=('MKNOD',)))['HostConfig']
            self.assertEqual(wanted, config['SecurityOpt'])
            self.assertEqual(['MKNOD'], config['CapDrop'])

    def test_power_that_a_flavor_gives(self):
        config = request(security=container_spec.Security(
            cap_add=('ALL',), privileged=True, seccomp_unconfined=True,
            devices=(flavor_config.Device('/dev/a', '/dev/b', 'r'),)))['HostConfig']
        self.assertEqual((True, ['ALL'], ['no-new-privileges', 'seccomp=unconfined']), (
            config['Privileged'], config['CapAdd'], config['SecurityOpt']))
        self.assertEqual([{'PathOnHost': '/dev/a', 'PathInContainer': '/dev/b',
                           'CgroupPermissions': 'r'}], config['Devices'])

    def test_network(self):
        for network, wanted in ((None, 'none'), ('nova-1', 'container:nova-1-net')):
            made = request(network=network)
            self.assertEqual(wanted, made['HostConfig']['NetworkMode'])
            self.assertNotIn('Hostname', made)   # Docker refuses it

    def test_runtime(self):
        self.assertNotIn('Runtime', request()['HostConfig'])
        self.assertEqual('crun', request(runtime='crun')['HostConfig']['Runtime'])

    def test_output_is_kept_in_two_halves(self):
        for max_bytes, size in ((10 * 2 ** 20, 5 * 2 ** 20), (1, 4096)):
            self.assertEqual(
                {'Type': 'json-file', 'Config': {'max-size': str(size), 'max-file': '2'}},
                request(log_max_bytes=max_bytes)['HostConfig']['LogConfig'])


class HolderTest(testtools.TestCase):

    def test_it_owns_what_belongs_to_the_namespace(self):
        made = docker_request.holder(container_spec.NetworkSpec(
            'nova-1', 'web', {'l': 'v'}, ('10.0.0.2',), ('a.test',)), 'holder:1')
        self.assertEqual(('web', {'l': 'v'}, 'holder:1', ['10.0.0.2'], ['a.test'], 'none'), (
            made['Hostname'], made['Labels'], made['Image'], made['HostConfig']['Dns'],
            made['HostConfig']['DnsSearch'], made['HostConfig']['NetworkMode']))

    def test_all_names_stand_in_the_hosts_file_once(self):
        made = docker_request.holder(container_spec.NetworkSpec(
            'nova-1', 'web.a.test', addresses=('10.0.0.5', 'fd00::5'),
            aliases=('web.a.test', 'web')), 'holder:1')
        self.assertEqual(['web.a.test:10.0.0.5', 'web:10.0.0.5',
                          'web.a.test:fd00::5', 'web:fd00::5'], made['HostConfig']['ExtraHosts'])

    def test_it_can_do_nothing(self):
        config = docker_request.holder(
            container_spec.NetworkSpec('nova-1', 'web'), 'holder:1')['HostConfig']
        self.assertEqual((['ALL'], True, ['no-new-privileges'], {'Name': 'no'}), (
            config['CapDrop'], config['ReadonlyRootfs'], config['SecurityOpt'],
            config['RestartPolicy']))
