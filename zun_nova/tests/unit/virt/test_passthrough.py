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

import fixtures
from nova import objects
from nova import test
from oslo_utils.fixture import uuidsentinel as uuids

from zun_nova.tests.unit.virt import fakes
from zun_nova.virt import flavor_config
from zun_nova.virt import passthrough
from zun_nova.virt import spec

ALIAS, PORT = uuids.alias, uuids.port
FILES = {'0000:04:00.0': ['/dev/nvidia0', '/dev/nvidiactl'],
         '0000:05:00.0': ['/dev/nvidia1', '/dev/nvidiactl']}


class PciTest(test.NoDBTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'zun_nova.virt.pci.device_files', lambda address: FILES[address]))

    def devices(self, extra_specs: dict[str, str]) -> list[flavor_config.Device]:
        instance = objects.Instance(
            flavor=objects.Flavor(extra_specs=extra_specs),
            pci_requests=objects.InstancePCIRequests(requests=[
                objects.InstancePCIRequest(
                    request_id=request, count=1, alias_name=alias)
                for request, alias in ((ALIAS, 'gpu'), (PORT, None))]),
            pci_devices=objects.PciDeviceList(objects=[
                objects.PciDevice(address=address, request_id=request) for address, request in (
                    ('0000:04:00.0', ALIAS), ('0000:05:00.0', ALIAS),
                    ('0000:06:00.0', PORT))]))
        built = spec.build(
            fakes.instance(flavor=fakes.flavor(extra_specs={'container:devices': '/dev/fuse'})),
            'image', None, spec.Defaults('host', None, 64, (), 1))
        return list(passthrough.with_pci(instance, built).security.devices)

    def test_what_the_flavor_asked_for_and_nova_gave(self) -> None:
        fuse = flavor_config.Device('/dev/fuse', '/dev/fuse')
        self.assertEqual([fuse], self.devices({}))
        self.assertEqual(
            [fuse, *(flavor_config.Device(path, path, 'rw') for path in (
                '/dev/nvidia0', '/dev/nvidiactl', '/dev/nvidia1'))],
            self.devices({'pci_passthrough:alias': 'gpu:2'}))


class CdiTest(test.NoDBTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.MonkeyPatch(
            'zun_nova.virt.cdi.read', lambda: {'v.com/gpu=0': [
                {'deviceNodes': [{'path': '/dev/null'}], 'env': ['A=cdi', 'B=cdi'],
                 'mounts': [{'hostPath': '/a', 'containerPath': '/b'}]}]}))
        instance = fakes.instance(
            metadata={'container:env:A': 'owner'},
            flavor=fakes.flavor(extra_specs={'container:cdi': 'v.com/gpu=0'}))
        self.built = spec.build(instance, 'image', None, spec.Defaults('h', None, 64, (), 1))

    def test_an_engine_that_knows(self) -> None:
        self.assertEqual(self.built, passthrough.with_cdi(self.built, engine_knows=True))
        self.assertEqual(('v.com/gpu=0',), self.built.security.cdi)

    def test_an_engine_that_does_not(self) -> None:
        made = passthrough.with_cdi(self.built, engine_knows=False)
        self.assertEqual(
            ((), (flavor_config.Device('/dev/null', '/dev/null'),)),
            (made.security.cdi, made.security.devices))
        self.assertEqual({'A': 'owner', 'B': 'cdi'}, made.env)
        self.assertEqual((spec.Mount('/a', '/b'),), made.mounts)
