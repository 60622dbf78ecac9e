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

"""Pulling with a real Podman, and skopeo, from a real registry."""

from __future__ import annotations

import base64
import json
import pathlib
import shutil
import unittest

import fixtures

from zun_nova import errors
from zun_nova.tests.functional import podman_engine
from zun_nova.tests.functional import registry
from zun_nova.tests.functional.runtime import registry_case
from zun_nova.virt.runtime import podman_registry


class PodmanPullsTest(registry_case.Pulls):

    KIND = podman_engine.PodmanEngine

    @classmethod
    def prepare(cls):
        """Let them look in a home of the test's own, where these registries speak no TLS."""
        if shutil.which(podman_registry.SKOPEO) is None:
            raise unittest.SkipTest('skopeo is missing: install skopeo')
        home = fixtures.TempHomeDir()
        home.setUp()
        cls.addClassCleanup(home.cleanUp)
        cls.home = pathlib.Path(home.path, '.config/containers')
        cls.home.mkdir(parents=True)
        (cls.home / 'registries.conf').write_text(''.join(
            f'[[registry]]\nlocation = "{each.name}"\ninsecure = true\n'
            for each in cls.registries))

    def test_nobodys_credentials_are_sent_without_any(self):
        """Not those in the home directory of who runs nova-compute, or Podman's service."""
        pair = f'{registry.USERNAME}:{registry.PASSWORD}'.encode()
        auth = self.home / 'auth.json'
        auth.write_text(json.dumps({'auths': {
            self.registries[1].name: {'auth': base64.b64encode(pair).decode()}}}))
        self.addCleanup(auth.unlink)
        self.useFixture(fixtures.EnvironmentVariable('REGISTRY_AUTH_FILE', str(auth)))
        remote = self.push(closed=True)
        self.assertRaises(errors.AccessDenied, self.runtime.platforms, remote, None)
        self.refusal(remote, errors.AccessDenied)
