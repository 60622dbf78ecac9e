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

import ddt
from oslotest import base

from zun_nova.virt import registry
from zun_nova.virt.runtime import registry as runtime_registry

DIGEST = 'sha256:' + '0f' * 32


@ddt.ddt
class ParseTest(base.BaseTestCase):

    @ddt.data(
        ('registry.example.com/web', 'registry.example.com', 'web'),
        ('registry.example.com:5000/team/web', 'registry.example.com:5000', 'team/web'),
        ('docker.io/library/busybox', 'docker.io', 'library/busybox'),
        ('localhost/web', 'localhost', 'web'),
        ('127.0.0.1:5000/a_b/c__d/e-f/g.h', '127.0.0.1:5000', 'a_b/c__d/e-f/g.h'),
        ('Registry.Example.com/web', 'registry.example.com', 'web'),
        ('registry.example.com:5000/web:1.2', 'registry.example.com:5000', 'web'),
    )
    @ddt.unpack
    def test_names(self, text, host, repository):
        reference = registry.parse(f'{text}@{DIGEST}')
        self.assertEqual(registry.Reference(host, repository, DIGEST), reference)
        self.assertEqual(f'{host}/{repository}@{DIGEST}', str(reference))

    @ddt.data(
        ('registry.example.com/web', 'names no digest'),
        ('registry.example.com/web:1', 'what a tag means can change'),
        ('', 'names no digest'),
        ('registry.example.com/web@sha256:0f', 'its digest is not'),
        (f'registry.example.com/web@{DIGEST.upper()}', 'its digest is not'),
        (f'registry.example.com/web@md5:{"0f" * 32}', 'its digest is not'),
        (f'registry.example.com/web@{DIGEST}@{DIGEST}', 'its digest is not'),
        (f'registry.example.com/web@{DIGEST}\n', 'its digest is not'),
        (f'busybox@{DIGEST}', 'is no registry and repository'),
        (f'busybox:1@{DIGEST}', 'is no registry and repository'),
        (f'library/busybox@{DIGEST}', 'docker.io/library/...'),
        (f'registry.example.com/@{DIGEST}', 'is no registry and repository'),
        (f'registry.example.com/Web@{DIGEST}', 'is no registry and repository'),
        (f'registry.example.com/../web@{DIGEST}', 'is no registry and repository'),
        (f'registry.example.com/a//b@{DIGEST}', 'is no registry and repository'),
        (f'https://registry.example.com/web@{DIGEST}', 'is no registry and repository'),
        (f'user:pass@registry.example.com/web@{DIGEST}', 'its digest is not'),
        (f'registry.example.com/web?x=y@{DIGEST}', 'is no registry and repository'),
        (f'registry.example.com/web:a b@{DIGEST}', 'is no tag'),
        (f'registry.example.com/{"a" * 200}@{DIGEST}', '255 bytes or more'),
        (f'registry.example.com/\N{LATIN SMALL LETTER E WITH ACUTE}@{DIGEST}',
         'is no registry and repository'),
    )
    @ddt.unpack
    def test_what_is_none(self, text, words):
        failure = self.assertRaises(registry.BadReference, registry.parse, text)
        self.assertIn(words, str(failure))
        self.assertLess(len(str(failure)), 125)   # Nova cuts off more


@ddt.ddt
class AllowedTest(base.BaseTestCase):

    @ddt.data(
        (True, ['registry.example.com']),
        (True, ['other', 'registry.example.com/']),
        (True, ['Registry.example.com']),
        (True, ['registry.example.com/team']),
        (True, ['registry.example.com/team/web']),
        (False, []),
        (False, ['']),
        (False, ['registry.example.com:443']),
        (False, ['registry.example.com/te']),
        (False, ['registry.example.com/other']),
        (False, ['registry.example.com/team/web/more']),
        (False, ['example.com']),
        (False, ['*']),
    )
    @ddt.unpack
    def test_entries(self, expected, allowed):
        reference = registry.Reference('registry.example.com', 'team/web', DIGEST)
        self.assertEqual(expected, registry.is_allowed(reference, allowed))


@ddt.ddt
class PlatformTest(base.BaseTestCase):

    @ddt.data(
        ('x86_64', True, [('linux', 'amd64')]),
        ('x86_64', True, [('windows', 'amd64'), ('linux', 'arm64'), ('linux', 'amd64')]),
        ('x86_64', True, [('linux', '386')]),
        ('aarch64', True, [('linux', 'arm64')]),
        ('s390x', True, [('linux', 's390x')]),
        ('x86_64', True, [('', '')]),
        ('x86_64', True, []),
        ('x86_64', False, [('linux', 'arm64'), ('unknown', 'unknown')]),
        ('x86_64', False, [('windows', 'amd64')]),
        ('aarch64', False, [('linux', 'amd64')]),
    )
    @ddt.unpack
    def test_what_runs(self, machine, expected, platforms):
        self.assertEqual(expected, registry.runs_on(
            machine, [runtime_registry.Platform(*each) for each in platforms]))
