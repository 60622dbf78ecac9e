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

"""The rules of ``#container-config``: one schema for document, metadata and image properties.

``schema/container-config-1.json`` is the only place that says which keys
there are and what fits. Beside JSON Schema it uses the annotation ``x-rule``,
which says in words what is right, and the formats ``words``, ``ulimit`` and
``base64`` defined here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import difflib
import functools
import json
import pathlib
import re
import shlex
from typing import Any

import jsonschema
from jsonschema import validators

from zun_nova.virt import flavor_config

PATH = pathlib.Path(__file__).parent / 'schema' / 'container-config-1.json'

#: Where in a configuration: keys and, in lists, numbers; () is all of it.
Location = tuple[str | int, ...]

_TYPES = {'string': 'text', 'boolean': 'true or false', 'integer': 'a whole number',
          'array': 'a list', 'object': 'keys with values'}
_FORMATS = jsonschema.FormatChecker(formats=())


@dataclasses.dataclass(frozen=True)
class Problem:
    """What does not fit, where, and the rule; never holds a value, which could be a secret."""

    location: Location
    rule: str


@functools.cache
def load() -> Mapping[str, Any]:
    """The schema."""
    schema: Mapping[str, Any] = json.loads(PATH.read_text())
    return schema


def problems(config: Any) -> list[Problem]:
    """Everything that is wrong with a configuration of plain JSON types."""
    return [problem for error in _validator().iter_errors(config) for problem in _explain(error)]


def expected(location: Location) -> Mapping[str, Any] | None:
    """The rules for what is at a location of keys; None when nothing may be there."""
    rules = load()
    for key in location:
        below = rules.get('properties', {}).get(key, rules.get('additionalProperties'))
        if not below:
            return None
        rules = load()['$defs'][below['$ref'].rpartition('/')[2]] if '$ref' in below else below
    return rules


def words(value: str | list[str]) -> tuple[str, ...]:
    """A checked value of the format ``words``, split."""
    return tuple(shlex.split(value) if isinstance(value, str) else value)


def ulimit(value: str | int) -> tuple[int, int]:
    """A checked value of the format ``ulimit``: soft and hard."""
    soft, _, hard = str(value).partition(':')
    return int(soft), int(hard or soft)


@_FORMATS.checks('words', raises=ValueError)  # type: ignore[untyped-decorator]
def _is_words(value: object) -> bool:
    return not isinstance(value, str) or bool(shlex.split(value))


@_FORMATS.checks('ulimit')  # type: ignore[untyped-decorator]
def _is_ulimit(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r'(-1|\d{1,15})(:(-1|\d{1,15}))?', value, re.ASCII):
        return False
    soft, hard = ulimit(value)
    return hard == -1 or 0 <= soft <= hard


@_FORMATS.checks('base64', raises=binascii.Error)  # type: ignore[untyped-decorator]
def _is_base64(value: object) -> bool:
    if isinstance(value, str):
        base64.b64decode(''.join(value.split()).encode(), validate=True)
    return True


@functools.cache
def _validator() -> Any:
    kind = validators.extend(jsonschema.Draft202012Validator, {'pattern': _pattern})
    return kind(load(), format_checker=_FORMATS)


def _pattern(validator: Any, pattern: str, instance: Any,
             schema: Mapping[str, Any]) -> Iterator[jsonschema.ValidationError]:
    """JSON Schema's own dialect: unlike Python's, its $ is not before a last newline."""
    if isinstance(instance, str) and not re.search(re.sub(r'\$$', r'\\Z', pattern), instance):
        yield jsonschema.ValidationError('does not match')


def _explain(error: Any) -> Iterator[Problem]:
    here: Location = tuple(error.absolute_path)
    if error.validator == 'additionalProperties':
        known = error.schema['properties']
        for key in error.instance.keys() - known.keys():
            yield Problem((*here, key), _unknown(key, known, top=not here))
    elif error.validator == 'required':
        missing = [key for key in error.validator_value if key not in error.instance]
        if not any(key in error.message for key in missing[1:]):   # one error for each of them
            yield Problem(here, f'needs the key {", ".join(missing)}')
    elif error.parent is not None and error.parent.validator == 'propertyNames':
        yield Problem(here, _rule(error))
    elif 'propertyNames' in error.absolute_schema_path:
        yield Problem((*here, error.instance), _rule(error))
    else:
        yield Problem(here, _rule(error))


def _unknown(key: str, known: Mapping[str, Any], *, top: bool) -> str:
    if top and (spec := f'{flavor_config.PREFIX}{key}') in flavor_config.KEYS:
        return f'only a flavor can give it; ask the operator for one with the extra spec {spec}'
    close = difflib.get_close_matches(key, known, 1)
    hint = f'did you mean {close[0]}?' if close else f'known are {", ".join(sorted(known))}'
    return f'no such key; {hint}'


def _rule(error: Any) -> str:
    """What would be right, from the keyword that failed."""
    limit = error.validator_value
    if 'x-rule' in error.schema and error.validator not in ('minimum', 'maximum', 'maxItems'):
        return str(error.schema['x-rule'])
    names = limit if isinstance(limit, list) else [limit]
    return {
        'type': lambda: f'must be {" or ".join(_TYPES[name] for name in names)}',
        'enum': lambda: f'must be one of {", ".join(map(str, names))}',
        'minimum': lambda: f'must be at least {limit}',
        'maximum': lambda: f'must be at most {limit}',
        'maxItems': lambda: f'must have at most {limit} elements',
        'maxLength': lambda: f'must have at most {limit} characters',
    }.get(error.validator, lambda: 'must not be empty')()
