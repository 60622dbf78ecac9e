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

"""What the documentation says of conformance."""

from __future__ import annotations

import pathlib
import sys

from nova.virt import driver as nova_driver
from oslotest import base

from zun_nova.virt import driver

SOURCE = pathlib.Path(__file__).parents[4] / 'doc' / 'source'
sys.path.append(str(SOURCE / '_ext'))

import conformance  # noqa: E402  found on the path just added

#: The entries of Nova 34's own doc/source/user/support-matrix.ini.
ENTRIES = """
operation.attach-volume operation.attach-tagged-volume operation.detach-volume
operation.extend-volume operation.attach-interface operation.attach-tagged-interface
operation.detach-interface operation.maintenance-mode operation.evacuate operation.rebuild
operation.rebuild-volume-backed operation.get-guest-info operation.get-host-uptime
operation.get-host-ip operation.live-migrate operation.force-live-migration-to-complete
operation.abort-in-progress-live-migration operation.launch operation.pause operation.reboot
operation.rescue operation.resize operation.resume operation.set-admin-password
operation.snapshot operation.suspend operation.swap-volume operation.terminate
operation.trigger-crash-dump operation.unpause guest.disk.autoconfig guest.disk.rate-limit
guest.setup.configdrive guest.setup.inject.file guest.setup.inject.networking console.rdp
console.serial.log console.serial.interactive console.spice console.vnc storage.block
storage.block.backend.fibrechannel storage.block.backend.iscsi
storage.block.backend.iscsi.auth.chap storage.image operation.uefi-boot operation.device-tags
operation.quiesce operation.unquiesce operation.multiattach-volume operation.encrypted-volume
operation.trusted-certs operation.file-backed-memory operation.report-cpu-traits
operation.port-with-resource-request operation.boot-encrypted-vm operation.cache-images
operation.boot-emulated-tpm operation.boot-stateless-firmware
"""


class SupportMatrixTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.rows = conformance.read_csv(conformance.MATRIX)

    def test_every_entry_of_nova_is_there(self) -> None:
        self.assertEqual(ENTRIES.split(), [row['Entry'] for row in self.rows])

    def test_it_says_what_the_driver_has(self) -> None:
        for row in self.rows:
            with self.subTest(row['Entry']):
                self.assertIn(row['Support'], ('complete', 'partial', 'missing'))
                if row['Support'] != 'missing':
                    self.assertEqual([], [name for name in row['Needs'].split()
                                          if not _has(name)])

    def test_what_is_not_complete_says_why(self) -> None:
        self.assertEqual([], [row['Entry'] for row in self.rows
                              if row['Support'] != 'complete' and not row['Notes']])

    def test_what_nova_demands_is_complete(self) -> None:
        self.assertEqual([], [row['Entry'] for row in self.rows
                              if row['Nova asks'] == 'mandatory' and row['Support'] != 'complete'])

    def test_it_is_rendered(self) -> None:
        text = '\n'.join(conformance.matrix(self.rows))
        for entry in ENTRIES.split():
            self.assertIn(f'``{entry}`` ', text)


def _has(name: str) -> bool:
    """Whether the driver overrides a method of Nova's, or has a capability."""
    if name.startswith(('has_', 'supports_')):
        return bool(driver.ContainerDriver.capabilities.get(name))
    theirs = getattr(nova_driver.ComputeDriver, name)
    return getattr(driver.ContainerDriver, name) is not theirs


class ResultsTest(base.BaseTestCase):

    def test_counts_and_reasons(self) -> None:
        run = {'seconds': 83, 'recorded': '2026-01-01', 'run_on': 'an engine', 'groups': {
            'ATest': {'passed': 2, 'failed': 1, 'skipped': 1},
            'BTest': {'passed': 1, 'failed': 0, 'skipped': 0},
        }, 'failed': ['ATest.test_x'], 'skipped': {'no volumes': ['ATest.test_y']}, 'not_run': 7}
        text = '\n'.join(conformance.results(run, {'ATest.test_x': 'a bug'}))
        self.assertIn('3 passed, 1 failed, 1 skipped; 1 min 23 s, 2026-01-01, an engine.', text)
        self.assertIn('Not run this time: 7 more', text)
        self.assertIn('* - ``ATest``\n     - 2\n     - 1\n     - 1\n', text)
        self.assertIn('* - ``ATest.test_x``\n     - a bug\n', text)
        self.assertIn('* - ``no volumes``\n     - 1\n', text)
