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

"""The directive ``container-config-reference``: the schema of #container-config as pages.

Also puts the schema itself beside the pages.
"""

from __future__ import annotations

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


class Reference(rst.Directive):
    """The directive."""

    def run(self) -> list[nodes.Node]:
        environment = self.state.document.settings.env
        environment.note_dependency(str(config_schema.PATH))
        section = nodes.section()
        section.document = self.state.document
        content = statemachine.StringList()
        for number, line in enumerate(lines(config_schema.load())):
            content.append(line, str(config_schema.PATH), number)
        sphinx_nodes.nested_parse_with_titles(self.state, content, section)
        return section.children


def setup(app: Any) -> dict[str, Any]:
    app.add_directive('container-config-reference', Reference)
    app.config.html_extra_path.append(str(config_schema.PATH))
    return {'parallel_read_safe': True}
