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

"""What containers do by themselves, and the engine's absence, told to Nova.

Two threads. One reads the engine's events and, whenever it (re)connects, the
list of containers; it only queues, because the engine does not wait for who
reads slowly. The other tells Nova, which may take long when its conductor is
away.

Nova ignores an event of a server that has a task at that moment, and of one
whose engine does not answer. Both pass: a server whose process ends while it
is still being started must not stay ACTIVE. So an end is told again, at
growing intervals, until Nova has acted on it.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import dataclasses
import queue
import threading
import time
from typing import Any

from nova import conf
from nova import context as nova_context
from nova import exception
from nova import objects
from nova.compute import vm_states
from nova.virt import event as virt_event
from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt import availability
from zun_nova.virt import exits
from zun_nova.virt import identity
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import events

LOG = logging.getLogger(__name__)
CONF = conf.CONF

_FIRST_RETRY = 0.1
_LAST_RETRY = 5.0

_FIRST_REMINDER = 0.5
# From then on it is left to the next reconnection and to Nova's periodic task.
_LAST_REMINDER = 64.0

_TRANSITIONS = {
    events.Change.STARTED: virt_event.EVENT_LIFECYCLE_STARTED,
    events.Change.STOPPED: virt_event.EVENT_LIFECYCLE_STOPPED,
    events.Change.PAUSED: virt_event.EVENT_LIFECYCLE_PAUSED,
    events.Change.UNPAUSED: virt_event.EVENT_LIFECYCLE_RESUMED,
}

#: What became of a container, seen by its state alone.
_CHANGES = {
    base.State.RUNNING: events.Change.STARTED,
    base.State.PAUSED: events.Change.PAUSED,
    base.State.EXITED: events.Change.STOPPED,
}

_OUTCOMES = {change: state for state, change in _CHANGES.items()} | {
    events.Change.UNPAUSED: base.State.RUNNING}

_States = dict[str, base.State]


@dataclasses.dataclass(frozen=True)
class _Listing:
    """All servers of this host, as they are soon after the stream began."""

    rows: tuple[base.ContainerSummary, ...]
    #: Seconds since the epoch when the engine had answered.
    time: float


@dataclasses.dataclass(frozen=True)
class _Lost:
    """The engine does not answer."""

    reason: str


@dataclasses.dataclass
class _Reminder:
    """An end that Nova may not have acted on."""

    #: time.monotonic() of the next one.
    due: float
    delay: float = _FIRST_REMINDER


class Watcher:
    """Tells Nova what the servers of one host do, between start() and stop().

    :param source: the same engine as runtime.
    :param emit: nova.virt.driver.ComputeDriver.emit_event.
    :param status: told whether the engine answers.
    """

    def __init__(self, runtime: base.Runtime, source: events.Events, host: str,
                 emit: Callable[[virt_event.LifecycleEvent], None],
                 status: availability.HostStatus) -> None:
        self._runtime = runtime
        self._source = source
        self._status = status
        self._labels = identity.servers_of(host)
        self._queue: queue.Queue[_Listing | _Lost | events.Event | None] = queue.Queue()
        self._teller = _Teller(runtime, emit)
        self._ended = threading.Event()
        self._stream: events.Stream | None = None
        self._threads = [
            threading.Thread(target=target, name=f'zun-nova-events-{role}', daemon=True)
            for role, target in (('reader', self._read), ('teller', self._tell))]

    def start(self) -> None:
        """Begin; once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, without waiting for what Nova is being told; may be called again."""
        self._ended.set()
        stream = self._stream
        if stream is not None:
            stream.close()
        self._queue.put(None)

    def _read(self) -> None:
        delay = _FIRST_RETRY
        failures = 0
        while not self._ended.is_set():
            try:
                with contextlib.closing(self._source.watch(self._labels)) as self._stream:
                    rows = [row for row in self._runtime.list(self._labels)
                            if identity.is_server(row.name, row.labels)]
                    self._queue.put(_Listing(tuple(rows), time.time()))
                    if failures:
                        LOG.info('The engine tells its events again')
                    delay, failures = _FIRST_RETRY, 0
                    self._pass_on(self._stream)
            except errors.EngineError as ex:
                failures += 1
                if failures == 1:
                    LOG.warning('Changes of servers are not seen until the engine answers: %s', ex)
                elif failures == 2:   # a stream that breaks once says little
                    self._queue.put(_Lost(str(ex)))
                self._ended.wait(delay)
                delay = min(2 * delay, _LAST_RETRY)

    def _pass_on(self, stream: events.Stream) -> None:
        if self._ended.is_set():   # stop() may have come before there was a stream to close
            return
        # A silence may mean that nothing happens or that the engine hangs:
        # connecting anew tells.
        with contextlib.suppress(errors.EngineTimeout):
            for event in stream:
                self._queue.put(event)

    def _tell(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=self._teller.seconds_to_reminder())
            except queue.Empty:
                self._guarded(self._teller.remind)
                continue
            if item is None:
                return
            if isinstance(item, _Lost):
                self._guarded(self._status.engine_lost, item.reason)
            elif isinstance(item, _Listing):
                self._guarded(self._teller.catch_up, item)
                self._guarded(self._status.engine_found)
            else:
                self._guarded(self._teller.tell, item)

    @staticmethod
    def _guarded(call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception:
            # Whatever RPC raises, later events must be told.
            LOG.exception('Could not tell Nova what happened')


class _Teller:
    """What Nova is told, and what it has still to be told; one thread's."""

    def __init__(self, runtime: base.Runtime,
                 emit: Callable[[virt_event.LifecycleEvent], None]) -> None:
        self._runtime = runtime
        self._emit = emit
        # None: nothing is known before the first listing.
        self._states: _States | None = None
        self._listed = 0.0
        self._signalled: set[str] = set()
        self._reminders: dict[str, _Reminder] = {}

    def tell(self, event: events.Event) -> None:
        """One event of the engine."""
        if not identity.is_server(event.name, event.labels):
            return   # what is set aside is not the server
        uuid = event.labels[identity.LABEL_UUID]
        if event.change is events.Change.SIGNALLED:
            self._signalled.add(uuid)
            return
        if event.change is events.Change.OUT_OF_MEMORY:
            LOG.info('The kernel killed a process of the server: out of memory',
                     instance_uuid=uuid)
            return
        if self._is_known(uuid, event):
            return
        if event.change in (events.Change.PAUSED, events.Change.UNPAUSED):
            self._changed(uuid, event.change)
            return
        signalled = uuid in self._signalled
        self._signalled.discard(uuid)
        self._reminders.pop(uuid, None)
        if event.change is events.Change.REMOVED:
            (self._states or {}).pop(uuid, None)
        elif event.change is events.Change.STOPPED and not signalled:
            self._ended(uuid, event.name, event.labels, event.exit_code)
        else:
            self._changed(uuid, event.change)

    def catch_up(self, listing: _Listing) -> None:
        """What changed while nobody listened, by the present states.

        The first time nothing is told of what runs: Nova's start looks at every
        server by itself. What has ended it starts again if nova.conf says so
        (resume_guests_state_on_host_boot); if not it would call it ACTIVE for
        as long as ten minutes.
        """
        known = self._states
        self._states = {}
        self._listed = listing.time
        for row in listing.rows:
            uuid = row.labels[identity.LABEL_UUID]
            self._states[uuid] = row.state
            if known is None and self._is_news(row):
                self._ended(uuid, row.name, row.labels, None)
            if known is None or row.state not in _CHANGES:
                continue
            if known.get(uuid) is row.state:
                if uuid in self._reminders:
                    self._changed(uuid, _CHANGES[row.state])
            elif row.state is base.State.EXITED:
                self._ended(uuid, row.name, row.labels, None)
            else:
                self._changed(uuid, _CHANGES[row.state])
        for uuid in set(self._reminders) - set(self._states):
            del self._reminders[uuid]

    @staticmethod
    def _is_news(row: base.ContainerSummary) -> bool:
        """Whether it ended while nova-compute was away, and stays so."""
        return (row.state is base.State.EXITED and not CONF.resume_guests_state_on_host_boot
                and not _is_settled(row.labels[identity.LABEL_UUID]))

    def seconds_to_reminder(self) -> float | None:
        """Until remind() has something to do; None: nothing."""
        due = [reminder.due for reminder in self._reminders.values()
               if reminder.delay <= _LAST_REMINDER]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def remind(self) -> None:
        """Tell the ends again that Nova did not act on."""
        now = time.monotonic()
        for uuid, reminder in list(self._reminders.items()):
            if reminder.due <= now and reminder.delay <= _LAST_REMINDER:
                reminder.delay *= 2
                reminder.due = now + reminder.delay
                if _is_settled(uuid):
                    del self._reminders[uuid]
                else:
                    self._emit(virt_event.LifecycleEvent(
                        uuid, virt_event.EVENT_LIFECYCLE_STOPPED))

    def _is_known(self, uuid: str, event: events.Event) -> bool:
        """Whether the last listing told it: the stream begins a little before."""
        states = self._states or {}
        return (event.time <= self._listed and event.change in _OUTCOMES
                and states.get(uuid) is _OUTCOMES[event.change])

    def _changed(self, uuid: str, change: events.Change) -> None:
        if self._states is not None:
            self._states[uuid] = _OUTCOMES[change]
        if change is events.Change.STOPPED:
            self._reminders[uuid] = _Reminder(time.monotonic() + _FIRST_REMINDER)
        self._emit(virt_event.LifecycleEvent(uuid, _TRANSITIONS[change]))

    def _ended(self, uuid: str, name: str, labels: Any, code: int | None) -> None:
        """It ended without Nova's doing, as far as is known."""
        try:
            self._record_exit(uuid, name, labels, code)
        finally:
            self._changed(uuid, events.Change.STOPPED)

    def _record_exit(self, uuid: str, name: str, labels: Any, code: int | None) -> None:
        """Note why it ended; the engine knows more than its event says."""
        try:
            info = self._runtime.inspect(name)
        except errors.NotFound:
            return   # it is being deleted
        if code is None:
            code = info.exit_code
        if code is None:
            return   # it runs again
        message = exits.reason(code, info.oom_killed)
        LOG.info('The process of the server ended. %s', message, instance_uuid=uuid)
        exits.record(uuid, labels.get(identity.LABEL_PROJECT) or None, message)


def _is_settled(uuid: str) -> bool:
    """Whether Nova needs to be told no more that the server's process ended."""
    try:
        instance = objects.Instance.get_by_uuid(
            nova_context.get_admin_context(), uuid, expected_attrs=[])
    except exception.InstanceNotFound:
        return True
    return instance.task_state is None and instance.vm_state not in (
        vm_states.BUILDING, vm_states.ACTIVE, vm_states.PAUSED)
