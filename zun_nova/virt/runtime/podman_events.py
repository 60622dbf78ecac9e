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

"""Podman's events.

https://docs.podman.io/en/latest/_static/api.html#tag/system/operation/SystemEventsLibpod
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import json
import time
from typing import Any

from zun_nova.virt.runtime import docker_events
from zun_nova.virt.runtime import events
from zun_nova.virt.runtime import podman_client

_OPERATION = 'watch the events'

# It has none for processes that the kernel killed.
_CHANGES = {
    'start': events.Change.STARTED,
    'kill': events.Change.SIGNALLED,
    'died': events.Change.STOPPED,
    'pause': events.Change.PAUSED,
    'unpause': events.Change.UNPAUSED,
    'remove': events.Change.REMOVED,
}


class Events(events.Events):
    """What of Podman tells its events."""

    _engine: podman_client.Engine

    def watch(self, labels: Mapping[str, str]) -> events.Stream:
        query = {
            'stream': 'true',
            # What happens before it listens comes because of this.
            'since': f'{time.time():.9f}',
            'filters': json.dumps({
                'type': ['container'],
                'event': list(_CHANGES),
                'label': [f'{name}={value}' for name, value in labels.items()]}),
        }
        with contextlib.ExitStack() as on_failure:
            with self._engine.ask(_OPERATION) as client:
                response = on_failure.enter_context(
                    self._engine.libpod_stream(client, 'GET', '/events', params=query))
            return _Stream(self._engine.url, response, on_failure.pop_all(), labels)


class _Stream(docker_events.Stream):

    def __init__(self, url: str, response: Any, resources: contextlib.ExitStack,
                 labels: Mapping[str, str]) -> None:
        super().__init__(url, response, resources, event)
        self._labels = labels

    def __iter__(self) -> Iterator[events.Event]:
        return (each for each in super().__iter__() if self._labels.items() <= each.labels.items())


def event(answer: Mapping[str, Any]) -> events.Event:
    """One line of /events."""
    attributes = answer['Actor']['Attributes']
    change = _CHANGES[answer['Action']]
    return events.Event(
        change=change,
        name=attributes['name'],
        labels=attributes,
        time=answer['timeNano'] / 1e9,
        exit_code=(int(attributes['containerExitCode'])
                   if change is events.Change.STOPPED else None),
    )
