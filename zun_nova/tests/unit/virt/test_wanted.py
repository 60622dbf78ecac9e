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

import uuid

from nova import context as nova_context
from nova import exception
from nova import test
from nova.compute import task_states
from nova.tests.unit import fake_instance
import oslo_messaging

from zun_nova.virt import wanted


class WantedTest(test.NoDBTestCase):

    def setUp(self):
        super().setUp()
        self.context = nova_context.get_admin_context()
        self.instance = fake_instance.fake_instance_obj(
            self.context, uuid=str(uuid.uuid4()), task_state=task_states.SPAWNING)
        self.now = 1000.0
        self.looks = 0
        #: What Nova answers: a task state, or what is raised.
        self.answer = task_states.SPAWNING
        self.stub_out('nova.objects.Instance.get_by_uuid', self.get_by_uuid)
        self.wanted = wanted.Wanted(self.context, self.instance, lambda: self.now)

    def get_by_uuid(self, cls, context, instance_uuid, expected_attrs):
        self.looks += 1
        self.assertEqual(self.instance.uuid, instance_uuid)
        if isinstance(self.answer, Exception):
            raise self.answer
        return fake_instance.fake_instance_obj(
            self.context, uuid=instance_uuid, task_state=self.answer)

    def check_later(self):
        self.now += wanted.SECONDS
        self.wanted.check()

    def test_nova_is_asked_now_and_then(self):
        self.wanted.check()
        self.assertEqual(0, self.looks)
        for _ in range(100):
            self.check_later()
            self.wanted.check()
        self.assertEqual(100, self.looks)

    def test_deleted(self):
        for state in (task_states.DELETING, task_states.SOFT_DELETING):
            self.answer = state
            self.assertRaises(exception.UnexpectedDeletingTaskStateError, self.check_later)

    def test_gone(self):
        self.answer = exception.InstanceNotFound(instance_id=self.instance.uuid)
        self.assertRaises(exception.InstanceNotFound, self.check_later)

    def test_nova_cannot_be_asked(self):
        self.answer = oslo_messaging.MessagingTimeout()
        self.check_later()
        self.assertEqual(1, self.looks)
