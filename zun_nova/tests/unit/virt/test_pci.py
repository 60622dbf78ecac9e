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

import json
import pathlib

import fixtures
from nova import context
from nova import objects
from nova import test
from nova.pci import manager as pci_manager
from nova.pci import request as pci_request
from oslo_utils.fixture import uuidsentinel as uuids
from oslotest import base

from zun_nova import errors
from zun_nova.tests.unit.virt import fake_sysfs
from zun_nova.virt import pci

GPU, NIC, VF, BRIDGE, BEHIND = (
    '0000:04:00.0', '0000:05:00.0', '0000:05:00.1', '0000:00:1c.0', '0000:06:00.0')


def host(root: pathlib.Path) -> None:
    """A graphics card, a network card with a virtual function, and a disk behind a bridge."""
    places = {GPU: 'pci0000:00', NIC: 'pci0000:00', VF: 'pci0000:00', BRIDGE: 'pci0000:00',
              BEHIND: f'pci0000:00/{BRIDGE}'}
    (root / 'sys/bus/pci/devices').mkdir(parents=True)
    for number, (address, place) in enumerate(places.items()):
        folder = f'sys/devices/{place}/{address}'
        fake_sysfs.write(root, {
            f'{folder}/vendor': '0x10de', f'{folder}/device': f'0x00{number:02x}',
            f'{folder}/numa_node': number - 1})
        (root / 'sys/bus/pci/devices' / address).symlink_to(root / folder)
    devices = root / 'sys/bus/pci/devices'
    fake_sysfs.write(devices, {f'{NIC}/sriov_totalvfs': 7})
    (devices / VF / 'physfn').symlink_to(devices / NIC)
    for address, entry, name in (
        (GPU, 'drm/card0', 'dri/card0'), (GPU, 'drm/renderD128', 'dri/renderD128'),
        (GPU, 'drm/lost', 'dri/lost'), (BEHIND, 'nvme/nvme0/nvme0n1', 'nvme0n1'),
    ):
        fake_sysfs.write(devices, {
            f'{address}/{entry}/dev': '226:0',
            f'{address}/{entry}/uevent': f'MAJOR=226\nDEVNAME={name}\nDEVTYPE=x'})
        if name != 'dri/lost':
            fake_sysfs.write(root, {f'dev/{name}': ''})


class PciTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        host(self.root)

    def files(self, address: str) -> list[str]:
        found = pci.device_files(
            address, self.root / 'sys', self.root / 'dev', self.root / 'proc')
        return [str(pathlib.Path(path).relative_to(self.root)) for path in found]

    def test_functions(self) -> None:
        found = {row['address']: row for row in pci.functions(self.root / 'sys')}
        self.assertEqual(
            {'dev_id': 'pci_0000_04_00_0', 'address': GPU, 'vendor_id': '10de',
             'product_id': '0000', 'label': 'label_10de_0000', 'numa_node': None,
             'dev_type': 'type-PCI'}, found[GPU])
        self.assertEqual(('type-PF', 0), (found[NIC]['dev_type'], found[NIC]['numa_node']))
        self.assertEqual(('type-VF', NIC), (found[VF]['dev_type'], found[VF]['parent_addr']))
        self.assertEqual(5, len(found))

    def test_a_function_that_is_leaving(self) -> None:
        (self.root / 'sys/bus/pci/devices' / GPU / 'device').unlink()
        self.assertNotIn(GPU, {row['address'] for row in pci.functions(self.root / 'sys')})

    def test_files_that_the_kernel_names(self) -> None:
        self.assertEqual(['dev/dri/card0', 'dev/dri/renderD128'], self.files(GPU))
        self.assertEqual(['dev/nvme0n1'], self.files(BEHIND))

    def test_vfio(self) -> None:
        device = self.root / 'sys/bus/pci/devices' / NIC
        for link, target in (('driver', 'vfio-pci'), ('iommu_group', '17')):
            (self.root / target).mkdir()
            (device / link).symlink_to(self.root / target)
        fake_sysfs.write(self.root, {'dev/vfio/17': '', 'dev/vfio/vfio': ''})
        self.assertEqual(['dev/vfio/17', 'dev/vfio/vfio'], self.files(NIC))

    def test_nvidia(self) -> None:
        fake_sysfs.write(self.root, {
            f'proc/driver/nvidia/gpus/{VF}/information':
                'Model: \t\t Tesla\nDevice Minor: \t 3\nGPU Excluded:\t No',
            'dev/nvidia3': '', 'dev/nvidia4': '', 'dev/nvidiactl': '', 'dev/nvidia-uvm': ''})
        self.assertEqual(['dev/nvidia3', 'dev/nvidiactl', 'dev/nvidia-uvm'], self.files(VF))

    def test_none(self) -> None:
        # What is behind a bridge is not the bridge's.
        for address in (BRIDGE, NIC, '0000:ff:00.0'):
            ex = self.assertRaises(errors.InvalidSpec, self.files, address)
            self.assertIn(address, ex.reason)

    def test_this_machine(self) -> None:
        for row in pci.functions():
            self.assertTrue(pathlib.Path('/sys/bus/pci/devices', row['address']).exists())


class NovaTest(test.NoDBTestCase):
    """Nova's own tracker takes what is reported, and gives by alias."""

    def test_alias(self) -> None:
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        host(root)
        alias = {'vendor_id': '10de', 'product_id': '0000', 'name': 'gpu',
                 'device_type': 'type-PCI'}
        self.flags(group='pci', alias=[json.dumps(alias)],
                   device_spec=[json.dumps({'vendor_id': '10de', 'product_id': '0000'})])
        admin = context.get_admin_context()
        self.stub_out('nova.objects.PciDeviceList.get_by_compute_node',
                      lambda *_: objects.PciDeviceList(objects=[]))
        tracker = pci_manager.PciDevTracker(
            admin, objects.ComputeNode(id=1, numa_topology=None))
        tracker.update_devices_from_hypervisor_resources(
            json.dumps(pci.functions(root / 'sys')))
        requests = pci_request.get_pci_requests_from_flavor(
            objects.Flavor(extra_specs={'pci_passthrough:alias': 'gpu:1'}))
        requests.instance_uuid = uuids.instance
        claimed = tracker.claim_instance(admin, requests, None)
        self.assertEqual([GPU], [device.address for device in claimed])
