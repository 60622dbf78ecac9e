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
from email.mime import multipart
from email.mime import text as mime_text

from oslotest import base

from zun_nova import errors
from zun_nova.virt import config_document

ROOM = 48_000   # what is left of Nova's 64 KB in base64


def encoded(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


class FindTest(base.BaseTestCase):

    def test_the_first_line_decides(self) -> None:
        for data, ours in (
            ('#container-config', True),
            ('#container-config\ntty: true', True),
            ('#container-config  \r\ntty: true', True),
            ('\ufeff#container-config\n', True),
            ('#container-configuration\n', False),
            ('#cloud-config\n#container-config\n', False),
            (' #container-config\n', False),
            ('#!/bin/sh\n', False),
            ('', False),
            (b'\x1f\x8b\x08\xff', False),
        ):
            with self.subTest(data):
                self.assertEqual(ours, config_document.find(encoded(data)) is not None)
        self.assertIsNone(config_document.find(None))
        self.assertIsNone(config_document.find('no base64'))

    def test_one_part_of_a_message(self) -> None:
        message = multipart.MIMEMultipart()
        message.attach(mime_text.MIMEText('#!/bin/sh\n', 'x-shellscript'))
        message.attach(mime_text.MIMEText('#container-config\nargs: [ü]', 'plain', 'utf-8'))
        self.assertEqual('#container-config\nargs: [ü]',
                         config_document.find(encoded(message.as_string())))

    def test_a_message_without_it(self) -> None:
        message = multipart.MIMEMultipart()
        message.attach(mime_text.MIMEText('#!/bin/sh\n#container-config', 'x-shellscript'))
        self.assertIsNone(config_document.find(encoded(message.as_string())))

    def test_only_one_part(self) -> None:
        message = multipart.MIMEMultipart()
        for _ in range(2):
            message.attach(mime_text.MIMEText('#container-config\n'))
        self.assertRaisesRegex(errors.InvalidSpec, 'holds 2 parts', config_document.find,
                               encoded(message.as_string()))

    def test_a_message_in_a_message_without_end(self) -> None:
        nested = ''.join(f'Content-Type: multipart/mixed; boundary="{number}"\n\n--{number}\n'
                         for number in range(800))
        self.assertIsNone(config_document.find(encoded(nested)))

    def test_no_utf_8(self) -> None:
        self.assertRaisesRegex(errors.InvalidSpec, 'line 2: is not written in UTF-8',
                               config_document.find, encoded(b'#container-config\nuser: \xff'))


class ParseTest(base.BaseTestCase):

    def test_scalars(self) -> None:
        for text, value in (
            ('1', 1), ('0', 0), ('-5', -5), ('true', True), ('True', True), ('false', False),
            ('null', None), ('~', None), ('', None),
            ('0644', '0644'), ('1.10', '1.10'), ('yes', 'yes'), ('on', 'on'), ('12:30', '12:30'),
            ('2026-11-21', '2026-11-21'), ('0x10', '0x10'), ('1_000', '1_000'), ('1e3', '1e3'),
            ('"1"', '1'), ("'true'", 'true'), ('=', '='), ('<<', '<<'),
        ):
            with self.subTest(text):
                parsed = config_document.parse(f'a: {text}').value
                self.assertEqual({'a': value}, parsed)
                self.assertIs(type(value), type(parsed['a']))

    def test_structures_and_marks(self) -> None:
        document = config_document.parse('#\na: 1\nb:\n  - x\n  - c: {d: 2}\n')
        self.assertEqual({'a': 1, 'b': ['x', {'c': {'d': 2}}]}, document.value)
        for location, line, column in (
                (('a',), 2, 1), (('b', 0), 4, 5), (('b', 1, 'c', 'd'), 5, 9),
                (('b', 1, 'c', 'd', 'absent', 'too'), 5, 9)):
            self.assertEqual(config_document.Mark(line, column), document.mark(location))

    def test_nothing(self) -> None:
        for text in ('', '#container-config\n', '---\n'):
            self.assertIn(config_document.parse(text).value, ({}, None))

    def test_what_is_refused(self) -> None:
        for text, line, column, rule in (
            ('a: [', 1, 5, 'node content'),
            ('a: b\n\tb: c', 2, 1, "'\\t'"),
            ('a: &x 1', 1, 4, 'anchors'),
            ('a: *x', 1, 4, 'aliases'),
            ('a: !!python/object:os.system x', 1, 4, 'tags'),
            ('a: !!binary x', 1, 4, 'tags'),
            ('!x {}', 1, 1, 'tags'),
            ('a: 1\nb: 2\na: 3', 3, 1, "'a' twice"),
            ('x: {1: a, "1": b}', 1, 11, 'twice'),
            ('? [a]\n: b', 1, 3, 'key must be text'),
            ('a: 1\n---\nb: 2', 2, 1, 'another document'),
            ('%YAML 9.9\n---\na: b', 1, 1, 'incompatible'),
            ('a: "\\UFFFFFFFF"', 1, 6, 'escape of no character'),
            ('a: "\\uD800"', 1, 4, 'escape of half a character'),
            ('a: 1\nb: \x01', 2, 4, 'character that YAML does not allow'),
            ('[' * 17, 1, 17, 'too deep'),
        ):
            with self.subTest(text):
                ex = self.assertRaises(config_document.Malformed, config_document.parse, text)
                self.assertIn(rule, ex.rule)
                self.assertEqual(line, ex.mark.line)
                if 'escape of no' not in rule:   # that is as far as the reader came
                    self.assertEqual(column, ex.mark.column)

    def test_as_much_as_nova_lets_in(self) -> None:
        """Nothing of this takes the memory or the stack of the service."""
        for piece in ('[', '{', '? ', '- ', '"', '!', '&a ', '{a: ', '- - ', '*a ', '%',
                      'a: &a [', '"\\', '>\n\n', ', '):
            with self.subTest(piece):
                self.assertRaises(
                    config_document.Malformed, config_document.parse,
                    'a: ' + piece * (ROOM // len(piece)))

    def test_a_long_key_is_not_repeated_whole(self) -> None:
        key = 'k' * 100
        ex = self.assertRaises(
            config_document.Malformed, config_document.parse, f'{key}: 1\n{key}: 2')
        self.assertLess(len(ex.rule), 80)
