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

import json
import pathlib
from typing import Any

import fixtures
from oslotest import base
import yaml

from zun_nova import errors
from zun_nova.virt import cdi
from zun_nova.virt import flavor_config
from zun_nova.virt import spec


class CdiTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.directories = (self.root / 'etc', self.root / 'run')
        for directory in self.directories:
            directory.mkdir()

    def specification(self, path: str, edits: dict[str, Any], common: Any = None,
                      kind: str = 'vendor.com/gpu') -> None:
        content: dict[str, Any] = {
            'cdiVersion': '0.6.0', 'kind': kind,
            'devices': [{'name': name, 'containerEdits': edit} for name, edit in edits.items()]}
        if common:
            content['containerEdits'] = common
        text = json.dumps(content) if path.endswith('.json') else yaml.safe_dump(content)
        (self.root / path).write_text(text)

    def resolve(self, *names: str) -> cdi.Edits:
        return cdi.resolve(names, cdi.read(self.directories))

    def test_all_that_a_device_needs(self) -> None:
        self.specification('etc/a.yaml', {
            '0': {'deviceNodes': [{'path': '/dev/gpu0', 'hostPath': '/dev/null'}],
                  'env': ['INDEX=0']},
            '1': {'deviceNodes': [{'path': '/dev/zero', 'type': 'c', 'major': 1, 'minor': 5,
                                   'permissions': 'rw'}]},
        }, {'mounts': [{'hostPath': '/usr/lib', 'containerPath': '/gpu',
                        'options': ['ro', 'nosuid', 'bind']}], 'env': ['A=b=c']})
        common = (spec.Mount('/usr/lib', '/gpu', read_only=True),)
        self.assertEqual(
            cdi.Edits((flavor_config.Device('/dev/null', '/dev/gpu0'),), common,
                      {'A': 'b=c', 'INDEX': '0'}),
            self.resolve('vendor.com/gpu=0'))
        self.assertEqual(
            cdi.Edits((flavor_config.Device('/dev/null', '/dev/gpu0'),
                       flavor_config.Device('/dev/zero', '/dev/zero', 'rw')), common,
                      {'A': 'b=c', 'INDEX': '0'}),
            self.resolve('vendor.com/gpu=0', 'vendor.com/gpu=1'))

    def test_what_is_made_at_run_time_goes_before_what_is_installed(self) -> None:
        self.specification('etc/a.json', {'0': {'env': ['FROM=etc']}, '1': {'env': ['FROM=etc']}})
        self.specification('run/b.json', {'0': {'env': ['FROM=run']}})
        self.assertEqual({'FROM': 'run'}, self.resolve('vendor.com/gpu=0').env)
        self.assertEqual({'FROM': 'etc'}, self.resolve('vendor.com/gpu=1').env)

    def test_what_is_no_specification_is_passed_over(self) -> None:
        self.specification('etc/a.json', {'0': {'env': ['A=1']}})
        for name, text in (('b.json', '{'), ('c.yaml', '[]'), ('d.yaml', 'kind: x/y'),
                           ('e.yaml', 'text'), ('f.txt', '')):
            (self.root / 'etc' / name).write_text(text)
        self.assertEqual(['vendor.com/gpu=0'], list(cdi.read(self.directories)))
        self.assertEqual({}, cdi.read([self.root / 'no-such']))

    def test_what_cannot_be_given(self) -> None:
        for edit, word in (
            ({'hooks': [{'hookName': 'createContainer', 'path': '/bin/true'}]}, 'hooks'),
            ({'deviceNodes': [{'path': '/dev/null', 'uid': 7}]}, 'uid'),
            ({'deviceNodes': [{'path': '/dev/no-such'}]}, '/dev/no-such'),
            ({'mounts': [{'hostPath': '/a', 'containerPath': '/b', 'type': 'tmpfs'}]}, 'tmpfs'),
            ({'mounts': [{'hostPath': '/a', 'containerPath': '/b', 'options': ['noexec']}]},
             'noexec'),
            ({'intelRdt': {'closID': 'x'}}, 'intelRdt'),
        ):
            self.specification('etc/a.json', {'0': edit})
            ex = self.assertRaises(errors.InvalidSpec, self.resolve, 'vendor.com/gpu=0')
            self.assertEqual('flavor extra spec container:cdi', ex.where)
            self.assertIn(word, ex.reason)

    def test_an_unknown_device(self) -> None:
        self.specification('etc/a.json', {'0': {}})
        ex = self.assertRaises(errors.InvalidSpec, self.resolve, 'vendor.com/gpu=7')
        self.assertIn('no CDI device vendor.com/gpu=7, only vendor.com/gpu=0', ex.reason)
