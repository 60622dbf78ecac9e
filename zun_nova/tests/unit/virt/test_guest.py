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

"""What Nova gives a server at its build."""

from __future__ import annotations

import testtools

from zun_nova import errors
from zun_nova.virt import guest
from zun_nova.virt import process
from zun_nova.virt import spec


def container(**changes: object) -> spec.ContainerSpec:
    return spec.ContainerSpec(
        name='x', image='y', security=spec.Security(),
        limits=spec.Limits(0, 0, 0, 0, 0), **changes)  # type: ignore[arg-type]


class GivenTest(testtools.TestCase):

    def test_files(self) -> None:
        given = guest.given([('/a', b'1'), ('b/c', b'2')], 'hunter2')
        self.assertEqual((process.File('/a', b'1'), process.File('/b/c', b'2')), given.files)
        self.assertNotIn('hunter2', repr(given))
        self.assertEqual(guest.Given(), guest.given([], None))

    def test_paths_that_escape_or_belong_to_others(self) -> None:
        for path in ('/a/../../etc/shadow', '..', '/proc/x', '/dev/x', '/etc/hosts', '/a/', '',
                     '/a\0b', '//a', 'a' * 5000):
            failure = self.assertRaises(
                errors.InvalidSpec, guest.given, [('/fine', b''), (path, b'')], None)
            self.assertEqual('personality[1].path', failure.where)

    def test_beside_the_documents_own(self) -> None:
        own = process.File('/etc/own', b'1')
        more = guest.given([('/etc/given', b'2')], None)
        made = guest.with_files(container(files=(own,)), more)
        self.assertEqual((own, *more.files), made.files)

    def test_named_twice_or_hidden(self) -> None:
        taken = container(files=(process.File('/etc/own', b''),),
                          tmpfs=(process.Tmpfs('/run'),))
        for paths, words in (
            (['/etc/own'], 'named twice'),
            (['/etc/own/x'], 'below another file'),
            (['/etc'], 'below another file'),
            (['/x', '/x'], 'named twice'),
            (['/run/x/y'], 'hidden by the tmpfs at /run'),
        ):
            more = guest.given([(path, b'') for path in paths], None)
            failure = self.assertRaises(errors.InvalidSpec, guest.with_files, taken, more)
            self.assertIn(words, str(failure))
            self.assertIn(f'personality[{len(paths) - 1}].path', str(failure))
