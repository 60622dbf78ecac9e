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

import concurrent.futures
import threading
from typing import Any

from nova import exception
from nova import objects
from nova.network import model as network_model
import oslo_messaging

from zun_nova.tests.unit.vif import fakes
from zun_nova.tests.unit.virt import test_driver
from zun_nova.virt import identity

MAC = 'fa:16:3e:00:00:02'


class InterfacesTest(test_driver.DriverCase):

    def setUp(self) -> None:
        super().setUp()
        self.server = self.instance()
        self.server.info_cache = objects.InstanceInfoCache(
            network_info=network_model.NetworkInfo(self.network_info))
        self.spawn(self.server)
        self.stub_out('nova.objects.Instance.save', lambda instance: self.saved.append(instance))
        self.saved: list[objects.Instance] = []
        self.port = fakes.vif(fakes.subnet('10.9.0.0/24', '10.9.0.5'), mac=MAC)
        self.devices_before = set(self.wiring.wired)

    def attach(self) -> None:
        self.driver.attach_interface(self.context, self.server, self.image_meta(), self.port)

    def detach(self) -> None:
        self.driver.detach_interface(self.context, self.server, self.port)

    def tagged(self) -> list[tuple[str, list[str]]]:
        metadata = self.server.device_metadata
        return [(device.mac, device.tags) for device in metadata.devices] if metadata else []

    def test_attach_and_detach(self) -> None:
        self.attach()
        self.assertEqual({'tap3f2b1c9a-1d'}, self.wiring.wired.keys() - self.devices_before)
        self.assertEqual(2, len(self.wiring.switch))
        self.assertIn(('announce', fakes.PORT_ID), self.wiring.calls)
        for _ in range(2):
            self.detach()
            self.assertEqual(self.devices_before, set(self.wiring.wired))
            self.assertEqual(1, len(self.wiring.switch))

    def test_not_to_what_would_not_see_it(self) -> None:
        container = self.engine.containers[identity.container_name(self.server)]
        container.host_config['Runtime'] = 'sandboxed'
        self.engine.engine.info['Runtimes']['sandboxed'] = {'path': '/usr/bin/runsc'}
        failure = self.assertRaises(exception.NovaException, self.attach)
        self.assertIn('sees interfaces only when it starts', str(failure))
        self.assertEqual(self.devices_before, set(self.wiring.wired))
        self.driver.power_off(self.server)
        self.attach()

    def test_others_are_wired_first(self) -> None:
        self.driver.power_off(self.server)
        self.wiring.wired.clear()
        self.attach()
        created = [port for call, port in self.wiring.calls if call == 'create']
        self.assertEqual([self.network_info[0]['id'], fakes.PORT_ID], created[-2:])

    def test_others_of_a_server_that_runs_are_left_alone(self) -> None:
        """Nova's list may still have one that was detached a moment ago."""
        self.driver.detach_interface(self.context, self.server, self.network_info[0])
        self.attach()
        self.assertEqual(['tap3f2b1c9a-1d'], list(self.wiring.wired))

    def test_the_only_port_comes_back(self) -> None:
        self.driver.detach_interface(self.context, self.server, self.network_info[0])
        self.assertEqual({}, self.wiring.wired)
        self.driver.attach_interface(
            self.context, self.server, self.image_meta(), self.network_info[0])
        self.assertEqual(self.devices_before, set(self.wiring.wired))

    def test_deletion_waits_for_attaching(self) -> None:
        inside, go_on = threading.Event(), threading.Event()
        configure = self.wiring.configure

        def slow(nic: Any, path: str) -> None:
            inside.set()
            go_on.wait(60)
            configure(nic, path)

        self.wiring.configure = slow     # type: ignore[method-assign]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            attaching = pool.submit(self.attach)
            inside.wait(60)
            # The list is Nova's of before.
            deleting = pool.submit(
                self.driver.destroy, self.context, self.server, self.network_info)
            # With no lock it would soon be done.
            self.assertEqual((), tuple(concurrent.futures.wait([deleting], 0.2).done))
            go_on.set()
            attaching.result(60)
            deleting.result(60)
        self.assert_nothing_left()
        self.assertRaises(exception.InstanceNotFound, self.attach)
        self.assert_nothing_left()

    def test_tags_reach_the_metadata(self) -> None:
        self.vifs = [objects.VirtualInterface(uuid=fakes.PORT_ID, tag='backup'),
                     objects.VirtualInterface(uuid=self.network_info[0]['id'], tag=None)]
        self.attach()
        self.assertEqual([(MAC, ['backup'])], self.tagged())
        self.detach()
        self.assertEqual([], self.tagged())
        self.assertEqual(2, len(self.saved))

    def test_tags_at_boot(self) -> None:
        self.vifs = [objects.VirtualInterface(uuid=self.network_info[0]['id'], tag='front')]
        server = self.instance()
        self.spawn(server)
        self.assertEqual(['front'], server.device_metadata.devices[0].tags)

    def test_attach_to_no_container(self) -> None:
        self.engine.containers.pop(identity.container_name(self.server))
        self.assertRaises(exception.InstanceNotFound, self.attach)
        self.assertEqual(self.devices_before, set(self.wiring.wired))

    def test_detach_from_no_container(self) -> None:
        self.attach()
        self.engine.containers.clear()
        self.detach()
        self.assertEqual(self.devices_before, set(self.wiring.wired))

    def test_failed_attach_leaves_nothing(self) -> None:
        def fail(*arguments: Any) -> None:
            raise OSError('no such device')

        self.wiring.configure = fail     # type: ignore[method-assign]
        ex = self.assertRaises(exception.VirtualInterfacePlugException, self.attach)
        self.assertIn('no such device', str(ex))
        self.assertEqual(self.devices_before, set(self.wiring.wired))

    def test_attach_without_conductor_leaves_nothing(self) -> None:
        def fail(*arguments: Any) -> None:
            raise oslo_messaging.MessagingTimeout('no answer')

        self.stub_out('nova.objects.VirtualInterfaceList.get_by_instance_uuid', fail)
        self.assertRaises(exception.NovaException, self.attach)
        self.assertEqual(self.devices_before, set(self.wiring.wired))

    def test_unbound_port_is_refused(self) -> None:
        self.port['type'] = 'binding_failed'
        self.assertRaises(exception.VirtualInterfacePlugException, self.attach)
        self.assertEqual(self.devices_before, set(self.wiring.wired))
