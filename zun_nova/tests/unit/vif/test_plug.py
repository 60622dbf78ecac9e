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

from typing import Any
import unittest
from unittest import mock

from nova import objects
import os_vif
from os_vif import exception as os_vif_exception
from oslo_privsep import daemon
from oslo_utils import uuidutils
import pyroute2

from zun_nova import errors
from zun_nova.tests.unit.vif import fakes
from zun_nova.tests.unit.vif import fixtures
from zun_nova.vif import plug

PATH = '/run/docker/netns/0123456789ab'
A, B = fakes.PORT_ID, '8e1b2c3d-4e5f-4a6b-8c7d-0123456789ab'


class PlugCase(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        objects.register_all()
        self.wiring = fixtures.RecordedWiring()
        self.wiring.setUp()
        self.addCleanup(self.wiring.cleanUp)
        self.instance = objects.Instance(
            uuid=uuidutils.generate_uuid(), id=1, project_id='demo',
            system_metadata={}, metadata={})
        self.network_info = [
            fakes.vif(fakes.subnet('10.0.0.0/24', '10.0.0.5')),
            fakes.vif(fakes.subnet('10.0.0.0/24', '10.0.0.6'), port_id=B)]

    def calls(self) -> list[str]:
        """What was done since the last time, as 'call port'."""
        letters = {A: 'A', B: 'B'}
        calls = [f'{call} {letters.get(who, who)}' for call, who in self.wiring.calls]
        self.wiring.calls.clear()
        return calls

    def plug(self, path: str = PATH) -> None:
        plug.plug_all(self.instance, self.network_info, path)

    def unplug(self) -> None:
        plug.unplug_all(self.instance, self.network_info)


class TestOrder(PlugCase):

    FIRST = ('unplug', 'create', 'plug', 'configure')

    def test_new(self) -> None:
        self.plug()
        self.assertEqual([f'{call} A' for call in self.FIRST] +
                         [f'{call} B' for call in self.FIRST], self.calls())

    def test_again(self) -> None:
        self.plug()
        self.calls()
        self.plug()
        self.assertEqual(['plug A', 'configure A', 'plug B', 'configure B'], self.calls())

    def test_prepared(self) -> None:
        plug.prepare_all(self.instance, self.network_info)
        self.assertEqual(['unplug A', 'create A', 'plug A', 'unplug B', 'create B', 'plug B'],
                         self.calls())
        self.plug()
        self.assertEqual(['bring in A', 'plug A', 'configure A',
                          'bring in B', 'plug B', 'configure B'], self.calls())
        self.assertEqual({PATH}, set(self.wiring.wired.values()))

    def test_prepared_in_vain(self) -> None:
        plug.prepare_all(self.instance, self.network_info)
        self.unplug()
        self.assertEqual({}, self.wiring.wired)
        self.assertFalse(self.wiring.switch)

    def test_hybrid(self) -> None:
        self.network_info = [fakes.vif(details=fakes.HYBRID)]
        self.plug()
        self.assertEqual([f'{call} A' for call in ('unplug', 'create', 'plug', 'attach',
                                                   'plug', 'configure')], self.calls())
        self.assertEqual({'tap3f2b1c9a-1d', 'qvo3f2b1c9a-1d'}, set(self.wiring.switch))

    def test_other_namespace(self) -> None:
        self.plug()
        self.network_info.pop()
        self.calls()
        self.plug('/proc/1/ns/net')
        self.assertEqual([f'{call} A' for call in self.FIRST], self.calls())

    def test_unplug(self) -> None:
        self.plug()
        self.calls()
        expected = ['unplug A', 'delete tap3f2b1c9a-1d', 'unplug B', 'delete tap8e1b2c3d-4e']
        for _ in range(2):
            self.unplug()
            self.assertEqual(expected, self.calls())
        self.assertEqual(({}, {}), (self.wiring.wired, self.wiring.switch))

    def test_unplug_of_a_port_that_lost_its_binding(self) -> None:
        self.network_info[0]['type'] = 'binding_failed'
        self.unplug()
        self.assertEqual(
            ['unplug A', 'delete tap3f2b1c9a-1d', 'delete qvo3f2b1c9a-1d', 'delete qbr3f2b1c9a-1d',
             'unplug B', 'delete tap8e1b2c3d-4e'], self.calls())

    def test_announce(self) -> None:
        plug.announce_all(self.network_info, PATH)
        self.assertEqual(['announce A', 'announce B'], self.calls())

    def test_nothing_to_do(self) -> None:
        self.network_info = []
        self.plug()
        plug.announce_all([], PATH)
        self.unplug()
        self.assertEqual([], self.calls())


class TestFailures(PlugCase):

    def fail(self, owner: Any, name: str, exc: BaseException, times: int = 99) -> None:
        effects = [exc] * times + [None] * 9
        patcher = mock.patch.object(owner, name, side_effect=effects)
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_unbound(self) -> None:
        self.network_info[1]['type'] = 'unbound'
        with self.assertRaises(errors.VifError) as caught:
            self.plug()
        self.assertEqual(B, caught.exception.port_id)

    def test_kernel_says_no(self) -> None:
        table = (
            (pyroute2.NetlinkError(1, 'Operation not permitted'), 'not permitted'),
            (FileNotFoundError(2, 'No such file', PATH), 'No such file'),
            (LookupError('there is no veth tapx'), 'no veth'),
            (daemon.FailedToDropPrivileges('helper exited'), 'helper_command'),
        )
        for exc, reason in table:
            with self.subTest(reason), mock.patch.object(
                    self.wiring, 'create', side_effect=exc):
                with self.assertRaisesRegex(errors.VifError, reason):
                    self.plug()

    def test_switch_says_no(self) -> None:
        def refuse(port: Any, _owner: Any) -> None:
            try:
                raise ConnectionRefusedError('tcp:127.0.0.1:6640')
            except ConnectionRefusedError as exc:
                raise os_vif_exception.PlugException(vif=port, err=exc)  # noqa: B904  as os-vif
        with mock.patch.object(os_vif, 'plug', refuse):
            with self.assertRaises(errors.VifError) as caught:
                self.plug()
        self.assertEqual(
            'cannot plug tap3f2b1c9a-1d into the switch: tcp:127.0.0.1:6640',
            caught.exception.reason)

    def test_a_defect_is_not_hidden(self) -> None:
        self.fail(self.wiring, 'configure', TypeError('ours'))
        with self.assertRaises(TypeError):
            self.plug()

    def test_unplug_tries_everything(self) -> None:
        self.plug()
        self.fail(os_vif, 'unplug', os_vif_exception.UnplugException(vif='x', err='gone'), 2)
        with self.assertLogs(plug.LOG.logger), self.assertRaises(errors.VifError) as caught:
            self.unplug()
        self.assertEqual(A, caught.exception.port_id)
        self.assertEqual({}, self.wiring.wired)

    def test_link_vanishes_while_it_is_unplugged(self) -> None:
        self.plug()
        self.fail(os_vif, 'unplug', os_vif_exception.UnplugException(vif='x', err='gone'), 1)
        self.unplug()
        self.assertEqual({}, self.wiring.wired)

    def test_announcing_never_fails(self) -> None:
        self.fail(self.wiring, 'send_announcements', OSError('link is down'))
        with self.assertLogs(plug.LOG.logger, 'WARNING'):
            plug.announce_all(self.network_info, PATH)
