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

"""What a server's owner says about the container, from all the places it can be said.

Each place is a layer; the first of these that names a key decides:

1. the ``#container-config`` document in the server's user data;
2. the server's metadata ``container:KEY``;
3. the image's properties ``container:KEY``;
4. the image's property ``os_command_line``, which gives ``args``.

What no layer names is as the image's own configuration says. In ``env``,
``sysctls`` and ``ulimits`` each name is decided by itself. All layers have
the same keys and rules, those of :mod:`zun_nova.virt.config_schema`.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib
from typing import Any

from zun_nova import errors
from zun_nova.virt import config_document
from zun_nova.virt import config_schema

PREFIX = 'container:'
COMMAND_LINE = 'os_command_line'
#: Nova copies image properties into system metadata and cuts them off here.
PROPERTY_BYTES = 255

_JOINED = ('env', 'sysctls', 'ulimits')
_WHERE_LENGTH = 80


@dataclasses.dataclass(frozen=True)
class _Layer:
    """One place where things are said."""

    #: In words.
    name: str
    config: Mapping[str, Any] = dataclasses.field(repr=False)
    document: config_document.Document | None = None

    def where(self, location: config_schema.Location) -> str:
        """A location in words, for its author."""
        divider = ':' if self.document is None else '.'
        path = ''.join(f'[{key}]' if isinstance(key, int) else f'{divider}{key}'
                       for key in location)[1:][:_WHERE_LENGTH]
        if self.document is not None:
            return _position(self.name, self.document.mark(location)) + (path and f' ({path})')
        return f'{self.name} {PREFIX}{path}'


def read(user_data: str | None, metadata: Mapping[str, str],
         properties: Mapping[str, str]) -> dict[str, Any]:
    """One configuration out of all layers; it keeps the schema's rules.

    :param user_data: the server's, in base64.
    :param metadata: the server's; keys without ``container:`` are not ours.
    :param properties: the image's; those other than ``container:*`` and
        ``os_command_line`` are not ours.
    :raises errors.InvalidSpec: names place and rule, and no values.
    """
    layers = list(_layers(user_data, metadata, properties))
    for layer in layers:
        _check(layer)
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        for key, value in layer.config.items():
            merged[key] = merged.get(key, {}) | value if key in _JOINED else value
    _check_together(merged, layers)
    return merged


def _layers(user_data: str | None, metadata: Mapping[str, str],
            properties: Mapping[str, str]) -> Iterator[_Layer]:
    text = config_document.find(user_data)
    if text is not None:
        try:
            document = config_document.parse(text)
        except config_document.Malformed as ex:
            raise errors.InvalidSpec(_position('user_data', ex.mark), ex.rule) from ex
        yield _Layer('user_data', document.value, document)
    yield _Layer('metadata', _from_keys('metadata', metadata))
    for key, text in properties.items():
        if key.startswith(PREFIX) and len(text.encode()) >= PROPERTY_BYTES:
            raise errors.InvalidSpec(
                f'image property {key}', f'has {PROPERTY_BYTES} bytes or more, of which Nova '
                f'keeps no more; say it in a {config_document.FIRST_LINE} document')
    yield _Layer('image property', _from_keys('image property', properties))
    if properties.get(COMMAND_LINE):
        # Not of our name, so its words are judged here.
        yield _Layer(f'image property {COMMAND_LINE} as', {'args': properties[COMMAND_LINE]})


def _from_keys(name: str, said: Mapping[str, str]) -> dict[str, Any]:
    """``container:KEY`` and ``container:KEY:NAME`` as a configuration; the longer ones decide."""
    config: dict[str, Any] = {}
    for full, text in sorted(said.items()):
        if full.startswith(PREFIX):
            key, colon, below = full.removeprefix(PREFIX).partition(':')
            if colon:
                parent = config.setdefault(key, {})
                if isinstance(parent, dict):
                    parent[below] = _read(f'{name} {full}', (key, below), text)
            else:
                config[key] = _read(f'{name} {full}', (key,), text)
    return config


def _read(where: str, location: config_schema.Location, text: str) -> Any:
    """Text as it is where text fits, otherwise (and for lists and mappings) as YAML."""
    rules = config_schema.expected(location) or {}
    types = rules.get('type', 'string')
    if 'string' in types and not ('array' in types and text.lstrip().startswith('[')):
        return text
    try:
        return config_document.parse(text).value
    except config_document.Malformed as ex:
        raise errors.InvalidSpec(where, f'cannot be read as YAML: {ex.rule}') from ex


def _check(layer: _Layer) -> None:
    found = config_schema.problems(layer.config)
    if layer.document is not None:
        marks = layer.document.mark
        found.sort(key=lambda each: dataclasses.astuple(
            marks(each.location) or config_document.Mark(0, 0)))
    if found:
        more = f' (and {len(found) - 1} more)' if len(found) > 1 else ''
        raise errors.InvalidSpec(layer.where(found[0].location), found[0].rule + more)


def _check_together(merged: Mapping[str, Any], layers: Sequence[_Layer]) -> None:
    """What one key means for another."""
    def refuse(location: config_schema.Location, rule: str) -> None:
        layer = next(each for each in layers if location[0] in each.config)
        raise errors.InvalidSpec(layer.where(location), rule)

    mounted = [pathlib.PurePosixPath(each['path']) for each in merged.get('tmpfs', ())]
    for number, path in enumerate(mounted):
        if path in mounted[:number]:
            refuse(('tmpfs', number, 'path'), 'is named twice')
    seen: set[pathlib.PurePosixPath] = set()
    for number, each in enumerate(merged.get('files', ())):
        path = pathlib.PurePosixPath(each['path'])
        location = ('files', number, 'path')
        if path in seen or not seen.isdisjoint(path.parents):
            refuse(location, 'is named twice, or lies below another file')
        if hiding := [str(over) for over in mounted if over == path or over in path.parents]:
            refuse(location, f'would be hidden by the tmpfs at {hiding[0][:_WHERE_LENGTH]}')
        seen.add(path)


def _position(name: str, mark: config_document.Mark | None) -> str:
    return f'{name} line {mark.line} column {mark.column}' if mark else name
