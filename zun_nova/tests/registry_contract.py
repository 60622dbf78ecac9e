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

"""What every engine that fetches images from registries must do.

The same tests run against the fake engine (unit) and real ones (functional).
"""

from __future__ import annotations

import contextlib
from typing import Any

from zun_nova import errors
from zun_nova.tests import images
from zun_nova.tests import runtime_contract
from zun_nova.virt.runtime import registry

REFERENCE = 'zun-test/pulled:1'
ALICE = registry.Credentials('alice', 'won:der"land')
MALLORY = registry.Credentials('alice', 'guessed:secret')
OTHER_ARCHITECTURE = 's390x'
TIMEOUT = 60


class Pulls(runtime_contract.Case):
    """Subclasses know registries, an open one and one closed to all but ALICE."""

    def push(self, *, closed: bool = False, architecture: str | None = None,
             is_list: bool = False) -> str:
        """Put an image into a registry; returns its name with digest."""
        raise NotImplementedError

    def end_registry(self) -> None:
        """The open registry answers no more."""
        raise NotImplementedError

    def pulled(self, remote: str, credentials: registry.Credentials | None = None,
               reference: str = REFERENCE) -> list[registry.Progress]:
        """Pull it, which must work; its name is taken away in the end."""
        self.addCleanup(self.runtime.remove_image, reference)
        return list(self.runtime.pull(remote, reference, credentials, TIMEOUT))

    def refusal(self, remote: str, kind: type[errors.EngineError],
                credentials: registry.Credentials | None = None) -> str:
        """What is said when it cannot be had; there must be nothing of it then."""
        failure: Any = self.assertRaises(kind, self.pulled, remote, credentials)
        self.assertIsNone(self.runtime.image_id(remote))
        self.assertIsNone(self.runtime.image_id(REFERENCE))
        return str(failure)

    def test_it_has_our_name_only(self) -> None:
        remote = self.push()
        [platform] = self.runtime.platforms(remote, None)
        self.assertEqual(('linux', images.architecture()),
                         (platform.system, platform.architecture))
        self.assertIsNone(self.runtime.image_id(remote))   # asking is not fetching
        progress = self.pulled(remote)
        self.assertEqual(progress[-1].total, progress[-1].received)
        self.assertIsNone(self.runtime.image_id(remote))
        self.assertIn(REFERENCE, [
            image.reference for image in self.runtime.list_images('zun-test/pulled')])
        first = self.runtime.image_id(REFERENCE)
        self.pulled(remote, reference='zun-test/pulled:2')
        self.assertEqual(first, self.runtime.image_id('zun-test/pulled:2'))
        for tag in '12':
            self.runtime.remove_image(f'zun-test/pulled:{tag}')
        self.assertIsNone(self.runtime.image_id(first))

    def test_containers_are_made_of_it(self) -> None:
        self.pulled(self.push())
        self.assertEqual(b'pulled\n', self.output('echo', 'pulled', image=REFERENCE))

    def test_credentials(self) -> None:
        remote = self.push(closed=True)
        for nobody in (None, MALLORY):
            self.assertRaises(errors.AccessDenied, self.runtime.platforms, remote, nobody)
            failure = self.refusal(remote, errors.AccessDenied, nobody)
            self.assertIn('refuses access', failure)
            self.assertNotIn(MALLORY.password, failure)
        self.assertTrue(self.runtime.platforms(remote, ALICE))
        self.pulled(remote, ALICE)
        # That the engine has it makes no difference.
        for nobody in (None, MALLORY):
            self.assertRaises(errors.AccessDenied, self.runtime.platforms, remote, nobody)

    def test_what_the_registry_does_not_have(self) -> None:
        missing = self.push().partition('@')[0] + '@sha256:' + 64 * '0'
        self.assertRaises(errors.NotFound, self.runtime.platforms, missing, None)
        self.assertIn('has no such image', self.refusal(missing, errors.NotFound))

    def test_made_for_other_processors(self) -> None:
        for is_list in (False, True):
            remote = self.push(architecture=OTHER_ARCHITECTURE, is_list=is_list)
            [platform] = self.runtime.platforms(remote, None)
            self.assertEqual(OTHER_ARCHITECTURE, platform.architecture)
        self.assertIn('no image for linux/', self.refusal(remote, errors.InvalidRequest))

    def test_the_registry_is_down(self) -> None:
        remote = self.push()
        self.end_registry()
        failure = self.assertRaises(
            errors.RegistryUnavailable, self.runtime.platforms, remote, None)
        self.assertIn('refuses connections', str(failure))
        self.refusal(remote, errors.RegistryUnavailable)

    def test_given_up_in_the_middle(self) -> None:
        remote = self.push()
        with contextlib.closing(
                self.runtime.pull(remote, REFERENCE, None, TIMEOUT)) as pull:
            next(pull)
        self.assertIsNone(self.runtime.image_id(REFERENCE))
        self.pulled(remote)
