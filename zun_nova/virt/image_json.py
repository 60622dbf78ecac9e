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

"""Reads JSON that strangers wrote and that an engine will read again, in its own way.

Docker is written in Go, whose decoder takes ``repotags`` for ``RepoTags``: an
object that says a thing in two spellings means one thing here and another
there. So such objects are refused.
"""

from __future__ import annotations

import json
from typing import Any

from zun_nova.virt import tar_stream

#: Of one document; a manifest of more layers than an engine can mount fits well.
MAX_BYTES = 1024 * 1024


def parse(data: bytes, what: str) -> Any:
    """The document.

    :param what: how to call it in an error's text ("index.json").
    :raises tar_stream.BadArchive: it is none.
    """
    try:
        return json.loads(data.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as ex:
        raise tar_stream.BadArchive(f'its {what} is no valid JSON; make the archive anew') from ex


def get(value: Any, name: str) -> Any:
    """A field of what should be an object; None when it is none or has none.

    :raises tar_stream.BadArchive: it has the field in two spellings.
    """
    if not isinstance(value, dict):
        return None
    spellings = [key for key in value if key.casefold() == name.casefold()]
    if len(spellings) > 1:
        raise tar_stream.BadArchive(f'its JSON has {name!r} in two spellings; keep one of them')
    return value[spellings[0]] if spellings else None


def get_text(value: Any, name: str) -> str:
    """The same for a string; '' when it is none."""
    found = get(value, name)
    return found if isinstance(found, str) else ''


def get_list(value: Any, name: str) -> list[Any]:
    """The same for a list; [] when it is none."""
    found = get(value, name)
    return found if isinstance(found, list) else []


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError('an object has a field twice')
    return found
