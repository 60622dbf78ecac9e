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

"""What the documentation says of #container-config."""

from __future__ import annotations

import base64
import pathlib
import sys

from oslotest import base
import yaml

from zun_nova.virt import config_document
from zun_nova.virt import config_schema
from zun_nova.virt import flavor_config
from zun_nova.virt import owner_config

SOURCE = pathlib.Path(__file__).parents[4] / 'doc' / 'source'
sys.path.append(str(SOURCE / '_ext'))

import container_config  # noqa: E402  found on the path just added


class ExamplesTest(base.BaseTestCase):

    def test_each_document_fits(self) -> None:
        found = 0
        for path in (SOURCE / 'user' / 'examples').glob('*.yaml'):
            text = path.read_text()
            if path.name == 'heat.yaml':
                resources = yaml.safe_load(text)['resources']
                text = resources['web']['properties']['user_data']
            with self.subTest(path.name):
                self.assertTrue(text.startswith(config_document.FIRST_LINE))
                self.assertTrue(owner_config.read(
                    base64.b64encode(text.encode()).decode(), {}, {}))
            found += 1
        self.assertGreater(found, 3)


class ExtraSpecsTest(base.BaseTestCase):

    def test_every_key_is_there(self) -> None:
        text = '\n'.join(container_config.extra_specs(flavor_config.KEYS.values()))
        for name in flavor_config.KEYS:
            self.assertIn(f'``{name}``', text)


class ReferenceTest(base.BaseTestCase):

    def test_every_key_and_rule_is_there(self) -> None:
        text = '\n'.join(container_config.lines(config_schema.load()))
        for key, rules in config_schema.load()['properties'].items():
            self.assertIn(f'\n{key}\n---' if key != 'args' else 'args\n---', text)
            inner = rules.get('properties') or rules.get('items', {}).get('properties', {})
            for name in inner:
                self.assertIn(f'* - ``{name}``', text)
            for name in rules.get('propertyNames', {}).get('enum', ()):
                self.assertIn(name, text)
