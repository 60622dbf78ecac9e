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

"""The fake engine's events."""

from __future__ import annotations

from collections.abc import Iterator
import json
import threading
import time
from typing import Any

# How soon a stream whose reader went away is noticed.
_LOOK_SECONDS = 0.05
_REMEMBERED = 256


class Log:
    """What happened, for whoever watches.

    :param condition: the engine's lock.
    """

    def __init__(self, condition: threading.Condition) -> None:
        self._condition = condition
        self._events: list[dict[str, Any]] = []

    def happened(self, container: Any, action: str, **attributes: str) -> None:
        """Note an event; the caller holds the lock."""
        now = time.time_ns()
        self._events.append({
            'status': action, 'id': container.id, 'Type': 'container', 'Action': action,
            'scope': 'local', 'time': now // 10 ** 9, 'timeNano': now,
            'Actor': {'ID': container.id, 'Attributes': {
                **(container.config.get('Labels') or {}), 'name': container.name,
                'image': container.config['Image'], **attributes}}})
        self._condition.notify_all()

    def watch(self, query: dict[str, str]) -> Iterator[bytes]:
        """Those since the time asked for, then those to come; b'' when there is none."""
        filters = json.loads(query.get('filters') or '{}')
        since = float(query.get('since') or time.time()) * 1e9
        next_one = max(0, len(self._events) - _REMEMBERED)
        while True:
            with self._condition:
                if next_one == len(self._events):
                    self._condition.wait(_LOOK_SECONDS)
                found = self._events[next_one:]
            next_one += len(found)
            wanted = [event for event in found
                      if event['timeNano'] >= since and _is_wanted(event, filters)]
            yield b''.join(json.dumps(event).encode() + b'\n' for event in wanted)


def has_label(labels: dict[str, str], wanted: str) -> bool:
    """Whether there is this label: NAME or NAME=VALUE."""
    name, equals, value = wanted.partition('=')
    return name in labels and (not equals or labels[name] == value)


def _is_wanted(event: dict[str, Any], filters: dict[str, list[str]]) -> bool:
    attributes = event['Actor']['Attributes']
    return (event['Type'] in filters.get('type', ['container'])
            and event['Action'] in filters.get('event', [event['Action']])
            and all(has_label(attributes, label) for label in filters.get('label', [])))
