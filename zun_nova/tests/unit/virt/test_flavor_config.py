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

import configparser
import importlib
import pathlib

from nova import exception
from nova.api.validation.extra_specs import base as extra_specs
from nova.api.validation.extra_specs import validators
from oslotest import base

from zun_nova import errors
from zun_nova.virt import flavor_config

GOOD = (
    ('container:runtime', 'runsc', {'runtime': 'runsc'}),
    ('container:pids_limit', '10', {'pids_limit': 10}),
    ('container:privileged', 'true', {'privileged': True}),
    ('container:no_new_privileges', 'False', {'no_new_privileges': False}),
    ('container:cap_add', 'NET_RAW,SYS_PTRACE', {'cap_add': ('NET_RAW', 'SYS_PTRACE')}),
    ('container:cap_drop', 'ALL', {'cap_drop': ('ALL',)}),
    ('container:seccomp', 'unconfined', {'seccomp_unconfined': True}),
    ('container:seccomp', 'default', {}),
    ('container:same_tenant', 'true', {'same_tenant': True}),
    ('container:cdi', 'nvidia.com/gpu=0,a/b=c:1', {'cdi': ('nvidia.com/gpu=0', 'a/b=c:1')}),
    ('container:devices', '/dev/fuse,/dev/a:/dev/b,/dev/c:/dev/d:r,/dev/e:rw',
     {'devices': (flavor_config.Device('/dev/fuse', '/dev/fuse', 'rwm'),
                  flavor_config.Device('/dev/a', '/dev/b', 'rwm'),
                  flavor_config.Device('/dev/c', '/dev/d', 'r'),
                  flavor_config.Device('/dev/e', '/dev/e', 'rw'))}),
)
BAD = (
    ('container:runtim', 'runc'),
    ('container:env:A', 'b'),
    ('container:runtime', ''),
    ('container:runtime', 'a b'),
    ('container:pids_limit', '0'),
    ('container:pids_limit', 'many'),
    ('container:pids_limit', '4194305'),
    ('container:privileged', 'perhaps'),
    ('container:cap_add', 'NET_ROW'),
    ('container:cap_add', 'NET_RAW, CHOWN'),
    ('container:cap_drop', ''),
    ('container:devices', '/etc/passwd'),
    ('container:devices', '/dev/a:x'),
    ('container:seccomp', 'none'),
    ('container:same_tenant', 'mine'),
    ('container:cdi', 'gpu=0'),
    ('container:cdi', 'a/b'),
    ('container:cdi', '/dev/x'),
)


class FromExtraSpecsTest(base.BaseTestCase):

    def test_others_are_not_ours(self) -> None:
        self.assertEqual(flavor_config.FlavorConfig(), flavor_config.from_extra_specs(
            {'hw:cpu_policy': 'shared', 'trait:CUSTOM_CONTAINER_HOST': 'required'}))

    def test_each_key(self) -> None:
        for key, value, wanted in GOOD:
            with self.subTest(key=key, value=value):
                self.assertEqual(flavor_config.FlavorConfig(**wanted),
                                 flavor_config.from_extra_specs({key: value}))
        self.assertEqual(set(flavor_config.KEYS), {key for key, *_ in GOOD})

    def test_what_does_not_fit(self) -> None:
        for key, value in BAD:
            with self.subTest(key=key, value=value):
                self.assertRaisesRegex(
                    errors.InvalidSpec, f'flavor extra spec {key}: (must be|no such key)',
                    flavor_config.from_extra_specs, {key: value})


class RegisterTest(base.BaseTestCase):
    """Nova's own validation says the same."""

    def setUp(self) -> None:
        super().setUp()
        setup = configparser.ConfigParser(delimiters=('=',))
        setup.read(pathlib.Path(__file__).parents[4] / 'setup.cfg')
        # The installed metadata may be older.
        module = setup['entry_points']['nova.api.extra_spec_validators'].split('=')[1].strip()
        registered = {each.name: each for each in importlib.import_module(module).register()}
        for each in registered.values():
            self.assertIsInstance(each, extra_specs.ExtraSpecValidator)
        for where, new in ((validators.VALIDATORS, registered),
                           (validators.NAMESPACES, {'container'})):
            before = where.copy()
            self.addCleanup(where.update, before)
            self.addCleanup(where.clear)
            where.update(new)

    def test_what_fits(self) -> None:
        for key, value, _ in GOOD:
            with self.subTest(key=key, value=value):
                validators.validate(key, value)

    def test_what_does_not_fit(self) -> None:
        for key, value in BAD:
            with self.subTest(key=key, value=value):
                self.assertRaises(exception.ValidationError, validators.validate, key, value)
