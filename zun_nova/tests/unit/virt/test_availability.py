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
from unittest import mock

from keystoneauth1 import exceptions as keystone_exceptions
from nova import exception
from nova import test

from zun_nova import errors
from zun_nova.virt import availability

NODE = '5f1e8c12-0e5b-4f6c-9d1e-1a6f3f1a2b3c'
AWAY = errors.EngineUnavailable('ask', 'nobody answers')


class WaitTest(test.NoDBTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.runtime = mock.Mock()
        self.stub_out('time.sleep', lambda seconds: None)

    def test_an_engine_that_comes_late(self) -> None:
        self.runtime.info.side_effect = [AWAY, AWAY, 'info']
        self.assertEqual('info', availability.wait(self.runtime, 60))

    def test_an_engine_that_does_not_come(self) -> None:
        self.runtime.info.side_effect = AWAY
        self.assertRaises(errors.EngineUnavailable, availability.wait, self.runtime, 0)

    def test_an_engine_that_cannot_serve_is_not_waited_for(self) -> None:
        self.runtime.info.side_effect = errors.EngineTooOld('ask', 'old')
        self.assertRaises(errors.EngineTooOld, availability.wait, self.runtime, 60)
        self.assertEqual(1, self.runtime.info.call_count)


class HostStatusTest(test.NoDBTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.service = mock.Mock(disabled=False, disabled_reason=None)
        self.get = mock.Mock(return_value=self.service)
        self.stub_out('nova.objects.Service.get_by_compute_host', self.get)
        self.stub_out('nova.virt.node.get_local_node_uuid', lambda: NODE)
        self.virtapi = mock.Mock()
        self.status = availability.HostStatus('compute1', self.virtapi)

    def assert_service(self, disabled: bool, reason: Any, saved: int) -> None:
        self.assertEqual((disabled, reason), (self.service.disabled, self.service.disabled_reason))
        self.assertEqual(saved, self.service.save.call_count)

    def test_lost_and_found(self) -> None:
        for _ in range(2):
            self.status.engine_lost('nobody answers')
            self.assert_service(True, 'AUTO: nobody answers', 1)
        for _ in range(2):
            self.status.engine_found()
            self.assert_service(False, None, 2)
        self.assertEqual(
            [mock.call(mock.ANY, NODE, enabled=False), mock.call(mock.ANY, NODE, enabled=True)],
            self.virtapi.update_compute_provider_status.call_args_list)

    def test_what_an_operator_disabled_stays_so(self) -> None:
        for reason in (None, 'new disks'):
            self.service.disabled, self.service.disabled_reason = True, reason
            self.status.engine_lost('nobody answers')
            self.status.engine_found()
            self.assert_service(True, reason, 0)

    def test_a_long_reason_is_cut(self) -> None:
        self.status.engine_lost('x' * 1000)
        self.assertEqual(255, len(self.service.disabled_reason))

    def test_a_host_that_nova_does_not_know_yet(self) -> None:
        self.get.side_effect = exception.ComputeHostNotFound(host='compute1')
        self.status.engine_found()
        self.assertFalse(self.virtapi.update_compute_provider_status.called)

    def test_placement_may_be_away(self) -> None:
        for error in (keystone_exceptions.ConnectFailure(),
                      exception.ResourceProviderUpdateFailed(url='', error=''),
                      ValueError('no such provider')):
            self.service.disabled = False
            self.virtapi.update_compute_provider_status.side_effect = error
            self.status.engine_lost('nobody answers')
            self.assertTrue(self.service.disabled)
