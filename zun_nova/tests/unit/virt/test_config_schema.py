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

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
from oslotest import base

from zun_nova.virt import config_schema
from zun_nova.virt import process


def below(rules: Any) -> Iterator[dict[str, Any]]:
    """All schemas in a schema."""
    if isinstance(rules, dict):
        yield rules
        for value in rules.values():
            yield from below(value)
    elif isinstance(rules, list):
        for value in rules:
            yield from below(value)


class SchemaTest(base.BaseTestCase):

    def test_it_is_a_schema(self) -> None:
        jsonschema.Draft202012Validator.check_schema(config_schema.load())

    def test_every_key_is_of_the_process(self) -> None:
        self.assertEqual(set(process.Process.__dataclass_fields__),
                         set(config_schema.load()['properties']))

    def test_every_key_is_described_and_its_examples_fit(self) -> None:
        for key, rules in config_schema.load()['properties'].items():
            with self.subTest(key):
                self.assertTrue(rules['description'].endswith('.'))
                for example in rules.get('examples', ()):
                    self.assertEqual([], config_schema.problems({key: example}))
                    process.from_config({key: example})

    def test_rules_fit_into_a_fault(self) -> None:
        """Nova keeps 255 characters, of which 88 are its own words."""
        for rules in below(config_schema.load()):
            self.assertLessEqual(len(rules.get('x-rule', '')), 112, rules.get('x-rule'))


class ProblemsTest(base.BaseTestCase):

    def assert_problem(self, config: Any, location: config_schema.Location, rule: str) -> None:
        found = config_schema.problems(config)
        self.assertEqual([location], [each.location for each in found], found)
        self.assertIn(rule, found[0].rule)

    def test_each_rule(self) -> None:
        for config, location, rule in (
            ([], (), 'keys with values'),
            ({'comand': 'x'}, ('comand',), 'did you mean command?'),
            ({'mounts': []}, ('mounts',), 'no such key; known are args, command'),
            ({'privileged': True}, ('privileged',), 'only a flavor can give it'),
            ({'healthcheck': {'runtime': 1}}, ('healthcheck', 'runtime'), 'no such key'),
            ({'command': []}, ('command',), 'list of text'),
            ({'command': '  '}, ('command',), 'list of text'),
            ({'command': '"unclosed'}, ('command',), 'list of text'),
            ({'command': 'a\0b'}, ('command',), 'list of text'),
            ({'args': ['a', 1]}, ('args', 1), 'quotes'),
            ({'args': ['a\0']}, ('args', 0), 'NUL'),
            ({'env': []}, ('env',), 'keys with values'),
            ({'env': {'1A': 'x'}}, ('env', '1A'), 'no name of an environment variable'),
            ({'env': {'': 'x'}}, ('env', ''), 'no name of an environment variable'),
            ({'env': {'A\n': 'x'}}, ('env', 'A\n'), 'no name of an environment variable'),
            ({'env': {'A': 'a\0b'}}, ('env', 'A'), 'NUL'),
            ({'env': {'A': True}}, ('env', 'A'), 'quotes'),
            ({'env': {'A': None}}, ('env', 'A'), 'quotes'),
            ({'user': 'a b'}, ('user',), 'NAME:GROUP'),
            ({'user': 'root\n'}, ('user',), 'NAME:GROUP'),
            ({'user': -1}, ('user',), 'at least 0'),
            ({'timezone': '../shadow'}, ('timezone',), 'tz database'),
            ({'timezone': '/UTC'}, ('timezone',), 'tz database'),
            ({'timezone': 'UTC\n'}, ('timezone',), 'tz database'),
            ({'working_dir': 'srv'}, ('working_dir',), 'absolute'),
            ({'working_dir': '/' + 4096 * 'a'}, ('working_dir',), 'absolute'),
            ({'tty': 'yes'}, ('tty',), 'true or false'),
            ({'stop_signal': 'SIGNOTHING'}, ('stop_signal',), 'must be a signal'),
            ({'stop_signal': '0'}, ('stop_signal',), 'must be a signal'),
            ({'stop_signal': 65}, ('stop_signal',), 'at most 64'),
            ({'stop_timeout': 0}, ('stop_timeout',), 'at least 1'),
            ({'stop_timeout': 601}, ('stop_timeout',), 'at most 600'),
            ({'stop_timeout': '5'}, ('stop_timeout',), 'whole number'),
            ({'healthcheck': {}}, ('healthcheck',), 'not be empty'),
            ({'healthcheck': {'disabled': True, 'retries': 1}}, ('healthcheck',), 'nothing else'),
            ({'healthcheck': {'test': 'x'}}, ('healthcheck', 'test'), 'no such key'),
            ({'tmpfs': [{}]}, ('tmpfs', 0), 'needs the key path'),
            ({'files': [{}]}, ('files', 0), 'needs the key path, content'),
            ({'files': [{'path': '/a'}]}, ('files', 0), 'needs the key content'),
            ({'files': [{'path': '/a', 'content': '', 'mode': '644x'}]},
             ('files', 0, 'mode'), 'octal'),
            ({'files': [{'path': '/a', 'content': '', 'mode': 644}]},
             ('files', 0, 'mode'), 'octal'),
            ({'files': [{'path': '/a', 'content': '', 'owner': 'root'}]},
             ('files', 0, 'owner'), 'in numbers'),
            ({'files': [{'path': '/a', 'content': '!', 'encoding': 'base64'}]},
             ('files', 0, 'content'), 'base64'),
            ({'files': [{'path': '/a', 'content': '', 'encoding': 'gzip'}]},
             ('files', 0, 'encoding'), 'one of text, base64'),
            ({'tmpfs': [{'path': '/a'}] * 33}, ('tmpfs',), 'at most 32 elements'),
            ({'sysctls': {'kernel.panic': '1'}}, ('sysctls', 'kernel.panic'), 'no sysctl'),
            ({'sysctls': {'kernel.sem': 'x'}}, ('sysctls', 'kernel.sem'), 'number'),
            ({'ulimits': {'rtprio': 1}}, ('ulimits', 'rtprio'), 'no such limit'),
            ({'ulimits': {'nofile': '6:5'}}, ('ulimits', 'nofile'), 'SOFT'),
            ({'ulimits': {'nofile': '-1:5'}}, ('ulimits', 'nofile'), 'SOFT'),
            ({'ulimits': {'nofile': -2}}, ('ulimits', 'nofile'), 'at least -1'),
        ):
            with self.subTest(config):
                self.assert_problem(config, location, rule)

    def test_where_files_and_tmpfs_may_not_be(self) -> None:
        for path in ('/', 'a', '/proc', '/proc/a', '/sys/a', '/dev', '/dev/a', '/a/../b', '/a/..',
                     '/a/./b', '//', '/a\0'):
            with self.subTest(path):
                self.assertTrue(config_schema.problems({'tmpfs': [{'path': path}]}))
                self.assertTrue(config_schema.problems(
                    {'files': [{'path': path, 'content': ''}]}))
        for path in ('/etc/hosts', '/a/', '//a', '/a//b', '//proc/a'):
            self.assertTrue(config_schema.problems({'files': [{'path': path, 'content': ''}]}))

    def test_where_they_may_be(self) -> None:
        for path in ('/a', '/processes/a', '/a.b/..c', '/devices', '/etc/hosts.allow'):
            with self.subTest(path):
                self.assertEqual([], config_schema.problems(
                    {'tmpfs': [{'path': path}], 'files': [{'path': path, 'content': ''}]}))
        self.assertEqual([], config_schema.problems({'tmpfs': [{'path': '/dev/shm'}]}))

    def test_no_value_is_repeated(self) -> None:
        for config in ({'env': {'A': True}}, {'user': 'secret !'}, {'tty': 'secret'},
                       {'files': 'secret'}, {'files': ['secret']}):
            self.assertNotIn('secret', str(config_schema.problems(config)))
