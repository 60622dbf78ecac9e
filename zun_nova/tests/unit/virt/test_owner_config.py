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

import base64
import traceback

from oslotest import base

from zun_nova import errors
from zun_nova.virt import owner_config


def user_data(text: str) -> str:
    return base64.b64encode(f'#container-config\n{text}'.encode()).decode()


class PrecedenceTest(base.BaseTestCase):

    def test_nothing_said(self) -> None:
        self.assertEqual({}, owner_config.read(None, {'role': 'web'}, {'hw_vif_model': 'x'}))

    def test_the_first_place_decides_each_key(self) -> None:
        document = user_data('args: [document]\n')
        metadata = {'container:args': 'metadata'}
        properties = {'container:args': 'property', 'os_command_line': 'line'}
        only_line = {'os_command_line': 'line'}
        for said, wanted in (
            ((document, metadata, properties), ['document']),
            ((None, metadata, properties), 'metadata'),
            ((None, {}, properties), 'property'),
            ((None, {}, only_line), 'line'),
        ):
            self.assertEqual({'args': wanted}, owner_config.read(*said))

    def test_other_keys_come_from_below(self) -> None:
        self.assertEqual(
            {'args': ['a'], 'user': 'b', 'working_dir': '/c', 'tty': True},
            owner_config.read(user_data('args: [a]\ntty: true'),
                              {'container:user': 'b', 'container:tty': 'false'},
                              {'container:working_dir': '/c', 'container:user': 'x'}))

    def test_names_are_decided_one_by_one(self) -> None:
        self.assertEqual(
            {'env': {'A': 1, 'B': 'm', 'C': 'p'}, 'ulimits': {'core': 0, 'nofile': '5'},
             'sysctls': {'kernel.sem': '1'}},
            owner_config.read(
                user_data('env: {A: 1}\nulimits: {core: 0}'),
                {'container:env:A': 'm', 'container:env:B': 'm', 'container:ulimits:nofile': '5',
                 'container:sysctls:kernel.sem': '1'},
                {'container:env:B': 'p', 'container:env:C': 'p'}))

    def test_a_health_check_is_one_matter(self) -> None:
        self.assertEqual(
            {'healthcheck': {'interval': 5}},
            owner_config.read(user_data('healthcheck: {interval: 5}'), {},
                              {'container:healthcheck:disabled': 'true'}))


class MetadataTest(base.BaseTestCase):

    def test_text_lists_and_the_rest(self) -> None:
        for said, wanted in (
            ({'container:command': '["/bin/sh", "-c"]'}, {'command': ['/bin/sh', '-c']}),
            ({'container:command': '[a, b c]'}, {'command': ['a', 'b c']}),
            ({'container:args': "echo 'two words'"}, {'args': "echo 'two words'"}),
            ({'container:env:A': 'true', 'container:env:B': '[x'},
             {'env': {'A': 'true', 'B': '[x'}}),
            ({'container:env': '{A: 1, B: 2}', 'container:env:A': '3'},
             {'env': {'A': '3', 'B': 2}}),
            ({'container:tty': 'True'}, {'tty': True}),
            ({'container:user': '0033'}, {'user': '0033'}),
            ({'container:stop_timeout': '7'}, {'stop_timeout': 7}),
            ({'container:stop_signal': '15'}, {'stop_signal': '15'}),
            ({'container:healthcheck:command': 'nc x', 'container:healthcheck:interval': '5'},
             {'healthcheck': {'command': 'nc x', 'interval': 5}}),
            ({'container:tmpfs': '[{path: /run, size_mb: 1}]'},
             {'tmpfs': [{'path': '/run', 'size_mb': 1}]}),
        ):
            with self.subTest(said):
                self.assertEqual(wanted, owner_config.read(None, said, {}))
                self.assertEqual(wanted, owner_config.read(None, {}, said))

    def test_bad_values_name_key_and_rule(self) -> None:
        for key, value, rule in (
            ('container:comand', 'x', 'did you mean command?'),
            ('container:privileged', 'true', 'only a flavor can give it'),
            ('container:', 'x', 'no such key'),
            ('container:env:', 'x', 'no name of an environment variable'),
            ('container:env:1A', 'x', 'no name of an environment variable'),
            ('container:env:A', 'a\0b', 'NUL'),
            ('container:command', '["a", 1]', 'must be text'),
            ('container:args', '["a"', 'YAML'),
            ('container:args', '', 'list of text'),
            ('container:working_dir', 'srv', 'absolute'),
            ('container:tty', 'perhaps', 'true or false'),
            ('container:tty:x', 'true', 'true or false'),
            ('container:files', '[{path: /a}]', 'needs the key content'),
        ):
            for place, said in (('metadata', (None, {key: value}, {})),
                                ('image property', (None, {}, {key: value}))):
                with self.subTest(key=key, value=value):
                    ex = self.assertRaises(errors.InvalidSpec, owner_config.read, *said)
                    self.assertIn(place, str(ex))
                    self.assertIn(key.rpartition(':')[0], str(ex))
                    self.assertIn(rule, str(ex))

    def test_a_property_that_nova_cut_off(self) -> None:
        self.assertRaisesRegex(
            errors.InvalidSpec, 'image property container:args: has 255 bytes', owner_config.read,
            None, {}, {'container:args': 'x' * 255})
        owner_config.read(None, {}, {'os_command_line': 'x' * 1000})

    def test_command_line_that_cannot_be_split(self) -> None:
        self.assertRaisesRegex(
            errors.InvalidSpec, 'os_command_line', owner_config.read, None, {},
            {'os_command_line': '"'})


class DocumentTest(base.BaseTestCase):

    def refused(self, text: str, **more: object) -> str:
        return str(self.assertRaises(
            errors.InvalidSpec, owner_config.read, user_data(text), more.get('metadata', {}), {}))

    def test_line_column_and_rule(self) -> None:
        for text, wanted in (
            ('a: [', 'user_data line 2 column 5: expected the node content'),
            ('- a', 'user_data line 2 column 1: must be keys with values'),
            ('tty: true\ncomand: x', 'user_data line 3 column 1 (comand): no such key'),
            ('env:\n  A: 1\n  B: true\n', 'user_data line 4 column 3 (env.B): must be text'),
            ('files:\n- path: /a\n  content: x\n- path: /dev/x\n  content: y\n',
             'user_data line 5 column 3 (files[1].path): must be absolute'),
            ('tty: yes\nstdin: no\n', 'user_data line 2 column 1 (tty): must be true or false '
                                      '(and 1 more)'),
        ):
            with self.subTest(text):
                self.assertIn(wanted, self.refused(text))

    def test_no_word_of_it_is_logged(self) -> None:
        """Nova logs errors with all they were made from."""
        for text in ('password: [hunter2', 'password: "hunter2', 'password: hunter2: x',
                     'env: {A: hunter2, B: &hunter2 x}', 'password: "hunter2\\UFFFFFFFF"',
                     'password: hunter2\x01', 'tty: hunter2', 'env: {"": hunter2}',
                     'files: [{path: /dev, content: hunter2}]', 'command: hunter2 "'):
            with self.subTest(text):
                ex = self.assertRaises(
                    errors.InvalidSpec, owner_config.read, user_data(text), {}, {})
                self.assertNotIn('hunter2', ''.join(traceback.format_exception(ex)))

    def test_all_is_said_within_a_fault(self) -> None:
        self.assertLessEqual(len(self.refused(f'files: [{{path: /dev, {"k" * 500}: 1}}]')), 255)

    def test_files_that_meet(self) -> None:
        file = '- {path: %s, content: x}\n'
        for second in ('/a', '/a/b'):
            self.assertIn('user_data line 4 column 4 (files[1].path): is named twice',
                          self.refused('files:\n' + file % '/a' + file % second))

    def test_files_that_a_tmpfs_hides(self) -> None:
        said = 'would be hidden by the tmpfs at /run'
        self.assertIn(said, self.refused(
            'tmpfs: [{path: /run}]\nfiles: [{path: /run/x, content: y}]'))
        self.assertIn(f'user_data line 2 column 10 (files[0].path): {said}', self.refused(
            'files: [{path: /run/x/y, content: z}]',
            metadata={'container:tmpfs': '[{path: /run}]'}))

    def test_tmpfs_that_meet(self) -> None:
        self.assertIn('tmpfs[1].path): is named twice',
                      self.refused('tmpfs: [{path: /run}, {path: /run/}]'))
