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

import threading
from typing import Any
import unittest
from unittest import mock

from nova import objects
from nova.compute import manager
import nova.conf
from oslo_utils import uuidutils

from zun_nova import errors
from zun_nova.tests.unit.vif import fakes
from zun_nova.vif import events

CONF = nova.conf.CONF


class TestWaitPlugged(unittest.TestCase):
    """Against Nova's own implementation of waiting."""

    def setUp(self) -> None:
        super().setUp()
        objects.register_all()
        self.instance = objects.Instance(
            uuid=uuidutils.generate_uuid(), vm_state='building', task_state='spawning')
        self.compute = mock.Mock(instance_events=manager.InstanceEvents())
        self.virtapi = manager.ComputeVirtAPI(self.compute)
        self.port_id = fakes.PORT_ID
        self.network_info = [
            fakes.vif(active=False),
            fakes.vif(port_id=uuidutils.generate_uuid(), active=True)]
        self.set(vif_plugging_timeout=5, vif_plugging_is_fatal=True)

    def set(self, **options: Any) -> None:
        for name, value in options.items():
            CONF.set_override(name, value)
            self.addCleanup(CONF.clear_override, name)

    def send(self, status: str = 'completed') -> None:
        """What the manager does with an event from the API."""
        event = objects.InstanceExternalEvent(
            instance_uuid=self.instance.uuid, name='network-vif-plugged', tag=self.port_id,
            status=status)
        waiter = self.compute.instance_events.pop_instance_event(self.instance, event)
        waiter.set(event)

    def wait(self) -> Any:
        return events.wait_plugged(self.virtapi, self.instance, self.network_info)

    def test_event_while_plugging(self) -> None:
        with self.wait():
            self.send()

    def test_event_later(self) -> None:
        later = threading.Timer(0.1, self.send)
        with self.assertLogs(events.LOG.logger, 'INFO') as logged:
            with self.wait():
                later.start()
        later.join()
        self.assertRegex(logged.output[0], r'Neutron took \d\.\d\d s ')

    def test_only_ports_that_are_down(self) -> None:
        self.network_info = self.network_info[1:]
        with self.wait():
            pass

    def test_no_timeout_no_wait(self) -> None:
        self.set(vif_plugging_timeout=0)
        with self.wait():
            pass

    def test_event_does_not_come(self) -> None:
        self.set(vif_plugging_timeout=1)
        with self.assertRaisesRegex(
                errors.VifError, f'Port {self.port_id}: .* within 1 s .vif_plugging_timeout'):
            with self.wait():
                pass

    def test_one_of_two_events_does_not_come(self) -> None:
        self.set(vif_plugging_timeout=1)
        self.network_info[1]['active'] = False
        with self.assertRaises(errors.VifError) as caught:
            with self.wait():
                self.send()
        for vif in self.network_info:
            self.assertIn(vif['id'], str(caught.exception))

    def test_event_does_not_come_and_need_not(self) -> None:
        self.set(vif_plugging_timeout=1, vif_plugging_is_fatal=False)
        with self.assertLogs(events.LOG.logger, 'WARNING'), self.wait():
            pass

    def test_failure_reported(self) -> None:
        with self.assertLogs(events.LOG.logger, 'ERROR'):
            with self.assertRaises(errors.VifError) as caught:
                with self.wait():
                    self.send('failed')
        self.assertEqual(self.port_id, caught.exception.port_id)

    def test_failure_reported_and_no_matter(self) -> None:
        self.set(vif_plugging_timeout=1, vif_plugging_is_fatal=False)
        with self.assertLogs(events.LOG.logger, 'ERROR'), self.wait():
            self.send('failed')

    def test_failure_of_plugging_goes_through(self) -> None:
        with self.assertRaises(ZeroDivisionError), self.wait():
            raise ZeroDivisionError
