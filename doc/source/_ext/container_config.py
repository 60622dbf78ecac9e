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

"""Pages made of what the driver checks by.

The directive ``container-config-reference`` shows the schema of
#container-config, which is put beside the pages too;
``container-extra-specs`` shows the table of extra specs.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import re
import textwrap
from typing import Any

from docutils import nodes
from docutils import statemachine
from docutils.parsers import rst
from sphinx.util import nodes as sphinx_nodes
import yaml

from zun_nova.virt import config_schema
from zun_nova.virt import flavor_config

_TYPES = {'string': 'text', 'boolean': 'true or false', 'integer': 'whole number',
          'number': 'number', 'array': 'list', 'object': 'keys with values'}


def lines(schema: Mapping[str, Any]) -> Iterator[str]:
    """The reference as reStructuredText: a section for each key."""
    for key, rules in sorted(schema['properties'].items()):
        yield from (key, '-' * len(key), '')
        yield from _described(schema, _resolved(schema, rules))
        for example in rules.get('examples', ()):
            yield from ('.. code-block:: yaml', '')
            yield from textwrap.indent(yaml.safe_dump({key: example}), '   ').splitlines()
            yield ''


def extra_specs(keys: Iterable[flavor_config.Key]) -> Iterator[str]:
    """The table of extra specs as reStructuredText."""
    yield from ('.. list-table::', '   :header-rows: 1', '   :widths: 30 70', '',
                '   * - Extra spec', '     - Meaning')
    for key in keys:
        yield f'   * - ``{key.name}``'
        yield f'     - {key.description} *{key.rule}*'
    yield ''


def _described(schema: Mapping[str, Any], rules: Mapping[str, Any]) -> Iterator[str]:
    yield from (_marked_up(rules['description']), '')
    for fact in _facts(rules):
        yield f'* {fact}'
    yield ''
    inner = rules.get('properties') or _resolved(
        schema, rules.get('items', {})).get('properties', {})
    if inner:
        required = rules.get('items', {}).get('required', ())
        yield from ('.. list-table::', '   :header-rows: 1', '   :widths: 20 80', '',
                    '   * - Key', '     - Meaning')
        for name, below in inner.items():
            below = _resolved(schema, below)
            facts = [*_facts(below), *(['required'] if name in required else [])]
            yield f'   * - ``{name}``'
            yield f'     - {_marked_up(below["description"])} *{"; ".join(facts)}*'
        yield ''


def _facts(rules: Mapping[str, Any]) -> Iterator[str]:
    """What is allowed, in words."""
    types = rules.get('type', [])
    names = [types] if isinstance(types, str) else types
    if 'enum' in rules:
        yield f'one of {", ".join(rules["enum"])}'
    elif 'x-rule' in rules:
        yield rules['x-rule'].replace('*', r'\*')
    else:
        yield ' or '.join(_TYPES[name] for name in names)
    if 'minimum' in rules and 'integer' in names:
        yield f'{rules["minimum"]} to {rules["maximum"]}'
    if 'maxItems' in rules:
        yield f'at most {rules["maxItems"]} elements'
    if 'default' in rules:
        yield f'default: {str(rules["default"]).lower()}'
    if 'enum' in rules.get('propertyNames', {}):
        yield f'names: {", ".join(rules["propertyNames"]["enum"])}'
    if isinstance(rules.get('additionalProperties'), Mapping):
        yield f'each value {rules["additionalProperties"]["x-rule"]}'


def _resolved(schema: Mapping[str, Any], rules: Mapping[str, Any]) -> Mapping[str, Any]:
    if '$ref' not in rules:
        return rules
    return {**schema['$defs'][rules['$ref'].rpartition('/')[2]], **rules}


def _marked_up(text: str) -> str:
    return re.sub('`([^`]+)`', r'``\1``', text)


class _Made(rst.Directive):
    """Made of lines of reStructuredText; subclasses say which and from where."""

    source: str

    def made(self) -> Iterable[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        self.state.document.settings.env.note_dependency(self.source)
        section = nodes.section()
        section.document = self.state.document
        content = statemachine.StringList()
        for number, line in enumerate(self.made()):
            content.append(line, self.source, number)
        sphinx_nodes.nested_parse_with_titles(self.state, content, section)
        return section.children


class Reference(_Made):
    """The directive ``container-config-reference``."""

    source = str(config_schema.PATH)

    def made(self) -> Iterable[str]:
        return lines(config_schema.load())


class ExtraSpecs(_Made):
    """The directive ``container-extra-specs``."""

    source = str(flavor_config.__file__)

    def made(self) -> Iterable[str]:
        return extra_specs(flavor_config.KEYS.values())


def setup(app: Any) -> dict[str, Any]:
    app.add_directive('container-config-reference', Reference)
    app.add_directive('container-extra-specs', ExtraSpecs)
    app.config.html_extra_path.append(str(config_schema.PATH))
    return {'parallel_read_safe': True}
