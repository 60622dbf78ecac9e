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

"""What /proc says, from files as kernels write them, and from this machine's."""

from __future__ import annotations

import os
import pathlib

import fixtures
import testtools

from zun_nova.virt import procfs

TICKS = os.sysconf('SC_CLK_TCK')
TICK_NS = 10 ** 9 // TICKS

LINKS = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo
    lo:    100       1    0    0    0     0          0         0      100       1    0    0    0
tap6f5a3c:  11      12   13   14   91    92         93        94       21      22   23   24   95
"""


class ProcfsTest(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def write(self, **files: str) -> None:
        """Below /proc; in their names _ stands for /."""
        for name, text in files.items():
            path = self.root / 'proc' / name.replace('_', '/')
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def test_cpu_times(self) -> None:
        self.write(stat='cpu  10 2 300 4000 50 6 7 8 1 1\ncpu0 1 1 1 1 1 1 1 1 1 1\n',
                   cpuinfo='processor\t: 0\ncpu MHz\t\t: 2596.136\n\ncpu MHz\t\t: 1\n')
        self.assertEqual(
            procfs.CpuTimes(12 * TICK_NS, 313 * TICK_NS, 4000 * TICK_NS, 50 * TICK_NS, 2596),
            procfs.cpu_times(self.root))

    def test_frequency_where_cpuinfo_has_none(self) -> None:
        self.write(stat='cpu  0 0 0 0 0 0 0 0 0 0\n', cpuinfo='processor\t: 0\n')
        self.assertEqual(0, procfs.cpu_times(self.root).frequency_mhz)
        directory = self.root / 'sys/devices/system/cpu/cpu0/cpufreq'
        directory.mkdir(parents=True)
        (directory / 'scaling_cur_freq').write_text('1800000\n')
        self.assertEqual(1800, procfs.cpu_times(self.root).frequency_mhz)

    def test_uptime(self) -> None:
        fields = ' '.join(['S', *['0'] * 18, str(100 * TICKS), '0'])
        self.write(uptime='130.75 1.0\n', **{'7_stat': f'7 (a ) (b) {fields}\n'})
        self.assertEqual(30, procfs.uptime(7, self.root))
        self.assertIsNone(procfs.uptime(8, self.root))

    def test_traffic(self) -> None:
        self.write(**{'thread-self_net_dev': LINKS})
        self.assertEqual(
            procfs.Traffic(11, 12, 13, 14, 21, 22, 23, 24), procfs.traffic(self.root)['tap6f5a3c'])

    def test_this_machine(self) -> None:
        self.assertGreater(procfs.cpu_times().idle + procfs.cpu_times().user, 0)
        self.assertIn('lo', procfs.traffic())
        self.assertGreaterEqual(procfs.uptime(os.getpid()), 0)
