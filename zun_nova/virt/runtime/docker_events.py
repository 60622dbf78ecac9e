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

"""Docker's events.

https://docs.docker.com/engine/api/v1.41/#tag/System/operation/SystemEvents
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import json
import time
from typing import Any

import docker.types

from zun_nova import errors
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import docker_errors
from zun_nova.virt.runtime import events

_OPERATION = 'watch the events'

_CHANGES = {
    'start': events.Change.STARTED,
    'kill': events.Change.SIGNALLED,
    'die': events.Change.STOPPED,
    'pause': events.Change.PAUSED,
    'unpause': events.Change.UNPAUSED,
    'oom': events.Change.OUT_OF_MEMORY,
    'destroy': events.Change.REMOVED,
}


class Events(events.Events):
    """What of Docker tells its events."""

    _engine: docker_client.Engine

    def watch(self, labels: Mapping[str, str]) -> events.Stream:
        # Docker answers before it listens for events: what happens in between
        # comes because of "since". It remembers the last 256.
        query = {
            'since': f'{time.time():.9f}',
            'filters': json.dumps({
                'type': ['container'],
                'event': list(_CHANGES),
                'label': [f'{name}={value}' for name, value in labels.items()]}),
        }
        with contextlib.ExitStack() as on_failure:
            with self._engine.ask(_OPERATION) as client:
                response = on_failure.enter_context(
                    self._engine.stream(client, 'GET', '/events', params=query))
            return Stream(self._engine.url, response, on_failure.pop_all(), event)


class Stream(events.Stream):
    """One long answer of an engine, a line of JSON for each event.

    :param read: makes an event of what a line says.
    """

    def __init__(self, url: str, response: Any, resources: contextlib.ExitStack,
                 read: Callable[[Mapping[str, Any]], events.Event]) -> None:
        self._url = url
        self._read = read
        self._response = response
        self._resources = resources
        self._closed = False

    def __iter__(self) -> Iterator[events.Event]:
        with self._resources:
            try:
                with docker_errors.translate(_OPERATION, self._url):
                    for line in self._response.iter_lines(chunk_size=None):
                        if line:
                            yield self._read(json.loads(line))
            except errors.EngineUnavailable:
                if not self._closed:
                    raise
            if not self._closed:
                raise errors.EngineUnavailable(_OPERATION, 'the engine ended the stream')

    def close(self) -> None:
        self._closed = True
        # The SDK knows the way to the socket; it is gone when the answer is at its end.
        with contextlib.suppress(AttributeError, OSError):
            docker.types.CancellableStream(None, self._response).close()


def event(answer: Mapping[str, Any]) -> events.Event:
    """One line of /events."""
    attributes = answer['Actor']['Attributes']
    code = attributes.get('exitCode')
    return events.Event(
        change=_CHANGES[answer['Action']],
        name=attributes['name'],
        labels=attributes,
        time=answer['timeNano'] / 1e9,
        exit_code=None if code is None else int(code),
    )
