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

"""What Nova is told of the containers of an engine that speaks Docker's protocol."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import time
from typing import Any
from unittest import mock
import uuid

from nova import objects
from nova import test
from nova.compute import vm_states
from nova.virt import event as virt_event

from zun_nova.tests import fake_engine
from zun_nova.tests import images
from zun_nova.tests.unit.runtime import test_docker_contract
from zun_nova.virt import availability
from zun_nova.virt import exits
from zun_nova.virt import identity
from zun_nova.virt import lifecycle
from zun_nova.virt import spec as container_spec

IMAGE = 'zun-test/busybox:1'
SLEEP = ('sleep', 'infinity')
STARTED, STOPPED, PAUSED, RESUMED = (
    virt_event.EVENT_LIFECYCLE_STARTED, virt_event.EVENT_LIFECYCLE_STOPPED,
    virt_event.EVENT_LIFECYCLE_PAUSED, virt_event.EVENT_LIFECYCLE_RESUMED)


class WatcherCase(test.NoDBTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.fake = self.useFixture(fake_engine.FakeEngine())
        self.runtime = test_docker_contract.runtime_on(self.fake)
        self.runtime.load_image([images.busybox(IMAGE)], IMAGE)
        self.told: queue.Queue[virt_event.LifecycleEvent] = queue.Queue()
        self.status = mock.create_autospec(availability.HostStatus, instance=True)
        self.exits: list[tuple[Any, ...]] = []
        self.stub_out('zun_nova.virt.exits.record', lambda *values: self.exits.append(values))
        self.instance = mock.Mock(vm_state=vm_states.STOPPED, task_state=None)
        self.stub_out('nova.objects.Instance.get_by_uuid', lambda *_, **__: self.instance)

    def watch(self, runtime: Any = None) -> None:
        runtime = runtime or self.runtime
        watcher = lifecycle.Watcher(runtime, runtime, 'compute1', self.told.put, self.status)
        watcher.start()
        self.addCleanup(watcher.stop)
        # One that starts before the watcher has taken stock is not told of.
        for _ in range(100):
            server = self.server()
            with contextlib.suppress(queue.Empty):
                while self.told.get(timeout=0.1).get_instance_uuid() != server:
                    pass
                return
        self.fail('the watcher tells nothing')

    def server(self, *args: str, host: str = 'compute1') -> str:
        """Start one; returns its UUID."""
        server = str(uuid.uuid4())
        name = identity.NAME_PREFIX + server
        self.runtime.create(container_spec.ContainerSpec(
            name=name, image=IMAGE, args=args or SLEEP,
            limits=container_spec.Limits(
                memory_bytes=2 ** 26, memory_swap_bytes=2 ** 26, cpu_quota_us=100_000,
                cpu_shares=1024, pids=64, disk_bytes=0),
            security=container_spec.Security(cap_drop=()),
            labels={identity.LABEL_UUID: server, identity.LABEL_PROJECT: 'project',
                    **identity.servers_of(host)}))
        self.runtime.start(name)
        return server

    def container(self, server: str) -> Any:
        return self.fake.containers[identity.NAME_PREFIX + server]

    def last_told(self, server: str, transition: int) -> list[int]:
        """Wait for the server's transition; returns all that it made until then."""
        seen = []
        while True:
            event = self.told.get(timeout=10)
            if event.get_instance_uuid() == server:
                seen.append(event.get_transition())
                if event.get_transition() == transition:
                    return seen

    def nothing_told(self) -> None:
        """Nothing was told before this, the start of one more server."""
        server = self.server()
        self.assertEqual(server, self.told.get(timeout=10).get_instance_uuid())


class EventsTest(WatcherCase):

    def test_a_life(self) -> None:
        self.watch()
        server = self.server()
        name = identity.NAME_PREFIX + server
        self.runtime.pause(name)
        self.runtime.unpause(name)
        self.runtime.stop(name, 0)
        self.assertEqual([STARTED, PAUSED, RESUMED, STOPPED], self.last_told(server, STOPPED))
        self.runtime.start(name)
        self.last_told(server, STARTED)
        self.runtime.remove(name)
        self.assertEqual([], self.exits)

    def test_what_is_aside_is_not_the_server(self) -> None:
        self.watch()
        server = self.server()
        self.last_told(server, STARTED)
        aside = identity.aside_name(server)
        self.runtime.rename(identity.name_of(server), aside)
        self.runtime.stop(aside, 0)
        self.runtime.remove(aside)
        self.nothing_told()

    def test_an_end_of_its_own_has_a_reason(self) -> None:
        self.watch()
        server = self.server()
        self.container(server).end(3)
        self.last_told(server, STOPPED)
        self.assertEqual([(server, 'project', 'Exit code 3: error')], self.exits)

    def test_out_of_memory(self) -> None:
        self.watch()
        server = self.server()
        self.container(server).run_out_of_memory()
        self.last_told(server, STOPPED)
        self.assertIn('out of memory', self.exits[0][2])

    def test_an_end_is_told_though_its_reason_cannot_be_recorded(self) -> None:
        self.stub_out('zun_nova.virt.exits.record', mock.Mock(side_effect=OSError))
        self.watch()
        for server in (self.server(), self.server()):
            self.container(server).end(0)
            self.last_told(server, STOPPED)

    def test_servers_of_others_are_not_told(self) -> None:
        self.watch()
        self.server(host='compute2')
        self.nothing_told()


class ReminderTest(WatcherCase):

    def test_until_nova_has_acted(self) -> None:
        self.instance.vm_state, self.instance.task_state = vm_states.BUILDING, 'spawning'
        self.watch()
        server = self.server()
        self.container(server).end(0)
        self.last_told(server, STOPPED)
        self.last_told(server, STOPPED)
        self.instance.vm_state, self.instance.task_state = vm_states.ACTIVE, None
        self.last_told(server, STOPPED)
        self.assertEqual(1, len(self.exits))

    def test_not_of_a_server_that_runs_again(self) -> None:
        self.instance.vm_state = vm_states.ACTIVE
        self.stub_out('zun_nova.virt.lifecycle._FIRST_REMINDER', 0)
        teller = lifecycle._Teller(self.runtime, self.told.put)
        teller.catch_up(lifecycle._Listing((), 0))
        server = self.server()
        for change in (lifecycle.events.Change.STOPPED, lifecycle.events.Change.STARTED):
            teller.tell(lifecycle.events.Event(
                change, identity.NAME_PREFIX + server, {identity.LABEL_UUID: server}, 0, 0))
        self.assertIsNone(teller.seconds_to_reminder())


class AwayTest(WatcherCase):
    """The engine goes away and comes back."""

    def test_what_changed_meanwhile_is_told(self) -> None:
        self.watch()
        ended, frozen, same = self.server(), self.server(), self.server()
        self.last_told(same, STARTED)
        self.fake.stop()
        self.container(ended).end(7)
        with self.fake.engine._condition:
            self.container(frozen).pause()
        self.fake.start()
        seen = {event.get_instance_uuid(): event.get_transition()
                for event in (self.told.get(timeout=10), self.told.get(timeout=10))}
        self.assertEqual({ended: STOPPED, frozen: PAUSED}, seen)
        self.assertEqual([(ended, 'project', 'Exit code 7: error')], self.exits)
        self.nothing_told()

    def test_nova_knows_whether_the_engine_answers(self) -> None:
        said: queue.Queue[str] = queue.Queue()
        self.status.engine_lost.side_effect = said.put
        self.status.engine_found.side_effect = lambda: said.put('found')
        self.watch()
        self.assertEqual('found', said.get(timeout=10))
        self.fake.stop()
        while (word := said.get(timeout=10)) == 'found':
            pass   # a stream that was silent for long
        self.assertIn(self.fake.url, word)
        self.fake.start()
        self.assertEqual('found', said.get(timeout=10))
        self.assertEqual(1, self.status.engine_lost.call_count)

    def test_a_silent_engine_is_asked_again(self) -> None:
        # A deadline so short that other calls could miss it: only the watcher has it.
        self.watch(test_docker_contract.runtime_on(self.fake, timeout=1))
        self.fake.requests.clear()
        deadline = time.monotonic() + 60
        while self.fake.requests.count(('GET', '/events')) < 2:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.nothing_told()

    def test_what_the_list_says_already_is_not_told_again(self) -> None:
        teller = lifecycle._Teller(self.runtime, self.told.put)
        server = self.server()
        teller.catch_up(self.listing())
        self.container(server).end(5)
        teller.catch_up(self.listing())
        self.last_told(server, STOPPED)
        event = lifecycle.events.Event(
            lifecycle.events.Change.STOPPED, identity.NAME_PREFIX + server,
            {identity.LABEL_UUID: server}, time.time(), 5)
        teller.tell(dataclasses.replace(event, time=event.time - 60))
        self.assertTrue(self.told.empty())
        self.assertEqual(1, len(self.exits))
        teller.tell(event)
        self.assertEqual(2, len(self.exits))

    def listing(self) -> lifecycle._Listing:
        rows = self.runtime.list(identity.servers_of('compute1'))
        return lifecycle._Listing(tuple(rows), time.time())

    def test_nothing_is_told_of_what_was_before(self) -> None:
        self.container(self.server()).end(1)
        self.watch()
        self.nothing_told()
        self.assertEqual([], self.exits)

    def test_what_ended_with_the_host_is_told_unless_nova_starts_it(self) -> None:
        self.instance.vm_state = vm_states.ACTIVE
        server = self.server()
        self.container(server).end(255)
        self.flags(resume_guests_state_on_host_boot=True)
        self.watch()
        self.nothing_told()
        self.flags(resume_guests_state_on_host_boot=False)
        self.watch()
        self.last_told(server, STOPPED)
        self.assertEqual([(server, 'project', 'Exit code 255: error')], self.exits)


class RecordTest(test.TestCase):

    def test_the_owner_sees_an_action(self) -> None:
        server = str(uuid.uuid4())
        exits.record(server, 'project', 'Exit code 3: error')
        actions = objects.InstanceActionList.get_by_instance_uuid(
            lifecycle.nova_context.get_admin_context(), server)
        self.assertEqual([('exit', 'Exit code 3: error', 'project')],
                         [(one.action, one.message, one.project_id) for one in actions])
