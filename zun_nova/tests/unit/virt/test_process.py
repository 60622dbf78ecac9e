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

from oslotest import base

from zun_nova import errors
from zun_nova.virt import process


class FromMetadataTest(base.BaseTestCase):

    def test_nothing_said(self) -> None:
        self.assertEqual(process.Process(), process.from_metadata({'role': 'web'}))

    def test_each_key(self) -> None:
        said = process.from_metadata({
            'container:command': '["/bin/sh", "-c"]',
            'container:args': "echo 'two words'",
            'container:env:A': '1',
            'container:env:B_C': 'x=y',
            'container:user': 'www-data:33',
            'container:working_dir': '/srv',
            'container:tty': 'yes',
            'container:stop_signal': 'int',
        })
        self.assertEqual(
            process.Process(
                command=('/bin/sh', '-c'), args=('echo', 'two words'),
                env={'A': '1', 'B_C': 'x=y'}, user='www-data:33', working_dir='/srv',
                tty=True, stop_signal='SIGINT'),
            said)

    def test_image_command_line_is_the_arguments(self) -> None:
        said = process.from_metadata({}, 'nginx -g "daemon off;"')
        self.assertEqual(('nginx', '-g', 'daemon off;'), said.args)
        self.assertIsNone(said.command)

    def test_metadata_goes_before_the_image(self) -> None:
        said = process.from_metadata({'container:args': 'mine'}, 'theirs')
        self.assertEqual(('mine',), said.args)

    def test_bad_values_name_key_and_rule(self) -> None:
        cases = {
            'container:comand': ('x', 'no such key'),
            'container:privileged': ('true', 'no such key'),
            'container:env:': ('x', 'no name of an environment variable'),
            'container:env:1A': ('x', 'no name of an environment variable'),
            'container:env:A': ('a\0b', 'NUL'),
            'container:command': ('["a", 1]', 'must be a string'),
            'container:args': ('["a"', 'no JSON list'),
            'container:user': ('a b', 'NAME:GROUP'),
            'container:working_dir': ('srv', 'absolute'),
            'container:tty': ('perhaps', 'true or false'),
            'container:stop_signal': ('SIGNOTHING', 'must be a signal'),
        }
        for key, (value, rule) in cases.items():
            with self.subTest(key):
                ex = self.assertRaises(
                    errors.InvalidSpec, process.from_metadata, {key: value})
                self.assertIn(key, str(ex))
                self.assertIn(rule, str(ex))

    def test_more_bad_words(self) -> None:
        for value in ('', '   ', '[]', '"unclosed'):
            with self.subTest(value):
                self.assertRaises(
                    errors.InvalidSpec, process.from_metadata, {'container:args': value})

    def test_signal_numbers(self) -> None:
        self.assertEqual(
            '15', process.from_metadata({'container:stop_signal': '15'}).stop_signal)
        self.assertRaises(
            errors.InvalidSpec, process.from_metadata, {'container:stop_signal': '0'})
