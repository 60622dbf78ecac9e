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

"""What a container uses, from trees as kernels show them."""

from __future__ import annotations

from collections.abc import Mapping
import pathlib

import fixtures
import testtools

from zun_nova.virt import cgroup

ID = '5f1d' * 16
PID = 4711

#: Debian 11 and others with separate hierarchies, without systemd.
V1_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
"""
V1_MEMBERSHIPS = f"""\
9:name=systemd:/docker/{ID}
8:pids:/docker/{ID}
7:blkio:/docker/{ID}
4:memory:/docker/{ID}
1:cpu,cpuacct:/docker/{ID}
"""
V1_FILES = {
    f'cpu,cpuacct/docker/{ID}/cpuacct.usage': '2500000007\n',
    f'memory/docker/{ID}/memory.usage_in_bytes': '9000000\n',
    f'memory/docker/{ID}/memory.limit_in_bytes': '67108864\n',
    f'memory/docker/{ID}/memory.stat': 'cache 77\ninactive_file 1\ntotal_inactive_file 4000000\n',
    f'pids/docker/{ID}/pids.current': '3\n',
    f'blkio/docker/{ID}/blkio.throttle.io_service_bytes': '254:0 Read 1\n',
    f'blkio/docker/{ID}/blkio.throttle.io_service_bytes_recursive': (
        '254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 0\n254:0 Discard 0\n254:0 Total 12288\n'
        '7:1 Read 1000\n7:1 Write 0\n7:1 Total 1000\nTotal 13288\n'),
    f'blkio/docker/{ID}/blkio.throttle.io_serviced_recursive': (
        '254:0 Read 2\n254:0 Write 5\n7:1 Read 1\nTotal 8\n'),
}

#: Debian 12 and others, with systemd.
V2_MOUNTS = '26 23 0:23 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n'
V2_MEMBERSHIPS = f'0::/system.slice/docker-{ID}.scope\n'
V2_FILES = {
    f'system.slice/docker-{ID}.scope/cpu.stat': (
        'usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 3\n'),
    f'system.slice/docker-{ID}.scope/memory.current': '9000000\n',
    f'system.slice/docker-{ID}.scope/memory.max': '67108864\n',
    f'system.slice/docker-{ID}.scope/memory.stat': 'anon 4\ninactive_file 4000000\n',
    f'system.slice/docker-{ID}.scope/pids.current': '3\n',
    f'system.slice/docker-{ID}.scope/io.stat': (
        '254:0 rbytes=4096 wbytes=8192 rios=2 wios=5 dbytes=0 dios=0\n'
        '7:1 rbytes=1000 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n'),
}

USED = cgroup.Usage(
    cpu_ns=2500000000, memory_bytes=5000000, memory_limit_bytes=67108864, pids=3,
    read_bytes=5096, read_requests=3, write_bytes=8192, write_requests=5)


class UsageTest(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def usage(self, memberships: str, mounts: str, files: Mapping[str, str]) -> cgroup.Usage:
        """Of a host with these files below /sys/fs/cgroup."""
        written = {f'proc/{PID}/cgroup': memberships, 'proc/self/mountinfo': mounts} | {
            f'sys/fs/cgroup/{name}': text for name, text in files.items()}
        for name, text in written.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return cgroup.usage(PID, ID, self.root)

    def test_version_1(self) -> None:
        used = self.usage(V1_MEMBERSHIPS, V1_MOUNTS, V1_FILES)
        self.assertEqual(2500000007, used.cpu_ns)
        self.assertEqual(USED, used.__class__(**{**vars(used), 'cpu_ns': USED.cpu_ns}))

    def test_version_2(self) -> None:
        self.assertEqual(USED, self.usage(V2_MEMBERSHIPS, V2_MOUNTS, V2_FILES))

    def test_both_at_once(self) -> None:
        """Version 2 is mounted for systemd, and counts nothing."""
        mounts = V1_MOUNTS + '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n'
        used = self.usage(f'{V1_MEMBERSHIPS}0::/docker/{ID}\n', mounts, V1_FILES)
        self.assertEqual((2500000007, 5000000, 3), (used.cpu_ns, used.memory_bytes, used.pids))

    def test_groups_that_were_made_inside(self) -> None:
        """As systemd does in a container; Podman has a group of its own in between."""
        used = self.usage(f'0::/system.slice/docker-{ID}.scope/init.scope\n', V2_MOUNTS, V2_FILES)
        self.assertEqual(USED, used)
        files = {name.replace(f'docker-{ID}.scope', f'libpod-{ID}.scope'): text
                 for name, text in V2_FILES.items()}
        used = self.usage(
            f'0::/system.slice/libpod-{ID}.scope/container/init.scope\n', V2_MOUNTS, files)
        self.assertEqual(USED, used)

    def test_a_part_of_the_hierarchy_is_mounted(self) -> None:
        """As where nova-compute runs in a container itself."""
        mounts = V2_MOUNTS.replace(' / ', ' /system.slice ', 1)
        files = {name.removeprefix('system.slice/'): text for name, text in V2_FILES.items()}
        self.assertEqual(USED, self.usage(V2_MEMBERSHIPS, mounts, files))
        self.assertEqual(cgroup.Usage(),
                         self.usage('0::/../other.slice/x\n', mounts, files))

    def test_no_limit(self) -> None:
        scope = f'system.slice/docker-{ID}.scope'
        used = self.usage(V2_MEMBERSHIPS, V2_MOUNTS, V2_FILES | {f'{scope}/memory.max': 'max\n'})
        self.assertIsNone(used.memory_limit_bytes)
        used = self.usage(V1_MEMBERSHIPS, V1_MOUNTS, V1_FILES | {
            f'memory/docker/{ID}/memory.limit_in_bytes': '9223372036854771712\n'})
        self.assertIsNone(used.memory_limit_bytes)

    def test_what_the_kernel_does_not_count(self) -> None:
        self.assertEqual(cgroup.Usage(), self.usage(V1_MEMBERSHIPS, V1_MOUNTS, {}))
        self.assertEqual(cgroup.Usage(), self.usage(V2_MEMBERSHIPS, V2_MOUNTS, {}))
        self.assertEqual(cgroup.Usage(), self.usage(V2_MEMBERSHIPS, '', V2_FILES))

    def test_a_process_that_is_gone(self) -> None:
        self.assertEqual(cgroup.Usage(), cgroup.usage(PID, ID, self.root))
