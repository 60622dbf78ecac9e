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

"""The ``#container-config`` document in user data: found, read, with every line known.

The text is a tenant's and hostile: plain YAML only, whose scalars are text,
whole numbers, true, false and null as in YAML's JSON schema (so 0644, yes and
12:30 are text). Aliases, tags and repeated keys are refused, deep nesting too.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import email
import email.message
import re
from typing import Any

import yaml
import yaml.constructor
import yaml.nodes

from zun_nova import errors
from zun_nova.virt import config_schema

FIRST_LINE = '#container-config'
#: The schema nests four deep.
MAX_DEPTH = 16

_FIRST_LINE = re.compile(rb'(?:\xef\xbb\xbf)?#container-config[ \t]*(?:\r?\n|\Z)')
_MULTIPART = re.compile(rb'\A(?:[!-9;-~]+:[^\n]*\r?\n(?:[ \t][^\n]*\r?\n)*)*?'
                        rb'Content-Type:\s*multipart/', re.IGNORECASE)
_TAG = 'tag:yaml.org,2002:'


@dataclasses.dataclass(frozen=True)
class Mark:
    """A place in a text; both count from 1."""

    line: int
    column: int


class Malformed(Exception):
    """The text is no YAML that can be used."""

    def __init__(self, mark: Mark | None, rule: str) -> None:
        super().__init__(rule)
        self.mark = mark
        self.rule = rule


@dataclasses.dataclass(frozen=True)
class Document:
    """What a text says, and where it says it."""

    value: Any = dataclasses.field(repr=False)
    marks: Mapping[config_schema.Location, Mark] = dataclasses.field(repr=False)

    def mark(self, location: config_schema.Location) -> Mark | None:
        """Of the key or element, or else of the nearest thing that holds it."""
        while location not in self.marks and location:
            location = location[:-1]
        return self.marks.get(location)


def find(user_data: str | None) -> str | None:
    """The document in a server's user data, None when there is none.

    It is the whole, or the one part of a MIME multipart message (as Heat and
    cloud-init make them) that begins with the first line.

    :param user_data: base64, as Nova keeps it.
    :raises errors.InvalidSpec: there are several, or it is no UTF-8.
    """
    try:
        data = base64.b64decode(user_data or '')
    except binascii.Error:   # not ours to judge
        return None
    found = [part for part in _parts(data) if _FIRST_LINE.match(part)]
    if not found:
        return None
    if len(found) > 1:
        raise errors.InvalidSpec('user_data', f'holds {len(found)} parts that begin with '
                                 f'{FIRST_LINE}; there may be one')
    try:
        return found[0].decode('utf-8-sig')
    except UnicodeDecodeError as ex:
        line = found[0][:ex.start].count(b'\n') + 1
        raise errors.InvalidSpec(f'user_data line {line}', 'is not written in UTF-8') from None


def parse(text: str) -> Document:
    """Read YAML.

    :raises Malformed: it is no YAML, or more than plain YAML.
    """
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as ex:
        before = text[:ex.position]
        position = Mark(before.count('\n') + 1, ex.position - before.rfind('\n'))
        raise Malformed(position, 'holds a character that YAML does not allow') from None
    marks: dict[config_schema.Location, Mark] = {}
    try:
        node = loader.get_single_node()
        return Document({} if node is None else _value(node, (), marks), marks)
    except yaml.MarkedYAMLError as ex:
        # Its text repeats the line, which could hold a secret and would be in the log.
        mark = ex.problem_mark or ex.context_mark
        raise Malformed(_mark(mark) if mark else None,
                        ex.problem or ex.context or 'is no YAML') from None
    except (ValueError, OverflowError):   # such as "\UFFFFFFFF"
        raise Malformed(_mark(loader.get_mark()), 'has an escape of no character') from None


_CONVERT: Mapping[str, Callable[[str], Any]] = {
    'bool': lambda text: text.lower() == 'true',
    'int': int,
    'null': lambda text: None,
}


class _Loader(yaml.SafeLoader):
    """Builds the nodes of plain YAML; values are made of them here, not by it."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}   # noqa: RUF012  replaces the base's
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _marked('aliases (*) are not allowed', event.start_mark)
        if event.anchor is not None:
            raise _marked('anchors (&) are not allowed', event.start_mark)
        if event.tag is not None:
            raise _marked('tags (!) are not allowed', event.start_mark)
        if self._depth == MAX_DEPTH:
            raise _marked('is nested too deep', event.start_mark)
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


for _name, _pattern, _first in (
        ('bool', r'(?:true|True|TRUE|false|False|FALSE)\Z', 'tTfF'),
        ('int', r'(?:-?[1-9][0-9]{0,18}|0)\Z', '-0123456789'),
        ('null', r'(?:null|Null|NULL|~|)\Z', ['n', 'N', '~', ''])):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), list(_first))


def _value(node: yaml.Node, location: config_schema.Location,
           marks: dict[config_schema.Location, Mark]) -> Any:
    marks.setdefault(location, _mark(node.start_mark))
    if isinstance(node, yaml.nodes.MappingNode):
        return _mapping(node, location, marks)
    if isinstance(node, yaml.nodes.SequenceNode):
        return [_value(each, (*location, number), marks)
                for number, each in enumerate(node.value)]
    if re.search('[\ud800-\udfff]', node.value):
        raise _marked('has an escape of half a character', node.start_mark)
    return _CONVERT.get(node.tag.removeprefix(_TAG), str)(node.value)


def _mapping(node: yaml.nodes.MappingNode, location: config_schema.Location,
             marks: dict[config_schema.Location, Mark]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.nodes.ScalarNode):
            raise _marked('a key must be text', key_node.start_mark)
        key = str(key_node.value)
        if key in made:
            raise _marked(f'has the key {key[:40]!r} twice', key_node.start_mark)
        marks[(*location, key)] = _mark(key_node.start_mark)
        made[key] = _value(value_node, (*location, key), marks)
    return made


def _parts(data: bytes) -> list[bytes]:
    if not _MULTIPART.match(data[:4096]):
        return [data]
    try:
        message = email.message_from_bytes(data)
    except RecursionError:   # parts in parts in parts
        return []
    return [payload for part in message.walk() if isinstance(
        payload := part.get_payload(decode=True), bytes)]


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _marked(rule: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, rule, mark)
