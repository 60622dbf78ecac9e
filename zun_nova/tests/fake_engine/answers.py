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

"""What the fake engine answers with."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import json
from typing import Any
from typing import Protocol


class Duplex(Protocol):
    """A connection that is HTTP no more."""

    def send(self, data: bytes) -> None:
        """To the client; the first goes out together with the answer's headers."""

    def receive(self) -> bytes:
        """From the client; b'' at its end."""

    def close(self) -> None:
        """Cut it, also while another thread waits in it."""


class Talk(Protocol):
    """What happens on it, until it returns; then it is closed."""

    def __call__(self, duplex: Duplex) -> None: ...


@dataclasses.dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes = b''
    content_type: str = 'application/json'
    #: Pieces of a body without end, instead of body; an empty one says that the engine is there.
    pieces: Iterator[bytes] | None = None
    #: Instead of a body.
    talk: Talk | None = None
    #: Beside those every answer has.
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Refused(Exception):
    """The engine says no, with a status and its words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def answer(self) -> Answer:
        """As Docker writes it."""
        return of_json({'message': self.message}, self.status)


def of_json(value: Any, status: int = 200) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, json.dumps(value).encode())
