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

"""The kinds of zun_nova.errors that only words tell: Podman's status is 500 for most.

The words are those of docker_errors.plain(), which is where they become ours.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import re

from zun_nova import errors

_KINDS: list[tuple[re.Pattern[str], type[errors.EngineError]]] = [
    (re.compile(pattern), kind) for pattern, kind in (
        (r'container state improper|already in use|is in use', errors.Conflict),
        (r'no such container|no container with|image not known|no such image', errors.NotFound),
        (r'netns|network namespace', errors.Conflict),
        (r'is no directory|is not on the host|unknown capability', errors.InvalidRequest),
    )]


@contextlib.contextmanager
def refined() -> Iterator[None]:
    """Raise what the body raises as the kind that the engine's words say, when they do."""
    try:
        yield
    except errors.EngineError as ex:
        kind = kind_of(ex)
        if kind is type(ex):
            raise
        raise kind(ex.operation, ex.detail) from ex


def kind_of(ex: errors.EngineError) -> type[errors.EngineError]:
    """What an error is; one that is not general, or of the start of a process, stays so."""
    if type(ex) not in (errors.EngineError, errors.StartFailed):
        return type(ex)
    for pattern, kind in _KINDS:
        if pattern.search(ex.detail):
            return kind
    return type(ex)
