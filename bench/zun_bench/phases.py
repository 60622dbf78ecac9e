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

"""How long named steps take, without a word in the code that is measured."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import threading
import time
from typing import Any

#: (where it is, its name there, what to call it)
Step = tuple[Any, str, str]


class Watch:
    """Adds up the seconds of steps, also of those that run at the same time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - began
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + took
                self.calls[name] = self.calls.get(name, 0) + 1

    def wrapped(self, func: Callable[..., Any], name: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.step(name):
                return func(*args, **kwargs)
        return timed


@contextlib.contextmanager
def watched(steps: Sequence[Step]) -> Iterator[Watch]:
    """Watch these functions and methods while the block runs."""
    watch = Watch()
    with contextlib.ExitStack() as undo:
        for owner, name, title in steps:
            original = getattr(owner, name)
            undo.callback(setattr, owner, name, original)
            setattr(owner, name, watch.wrapped(original, title))
        yield watch
