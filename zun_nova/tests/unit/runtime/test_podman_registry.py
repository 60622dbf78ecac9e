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

"""What skopeo says of registries; a program of the test's own plays it."""

from __future__ import annotations

import pathlib

import fixtures
import testtools

from zun_nova import errors
from zun_nova.virt.runtime import podman_client
from zun_nova.virt.runtime import podman_registry
from zun_nova.virt.runtime import registry

REMOTE = 'registry.example.com/team/denied@sha256:' + 64 * '0'
ALICE = registry.Credentials('alice', 'won:der"land')


class PlatformsTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.puller = podman_registry.Puller()
        self.puller._engine = podman_client.Engine('unix:///nowhere', 60)

    def skopeo(self, script):
        program = self.directory / 'skopeo'
        program.write_text(f'#!/bin/sh\necho "$@" >> {self.directory}/asked\n{script}\n')
        program.chmod(0o700)
        self.useFixture(fixtures.MonkeyPatch(
            'zun_nova.virt.runtime.podman_registry.SKOPEO', str(program)))

    def asked(self):
        return (self.directory / 'asked').read_text().splitlines()

    def refused(self, kind, script, timeout=60):
        self.skopeo(script)
        self.puller._engine.timeout = timeout
        return str(self.assertRaises(kind, self.puller.platforms, REMOTE, None))

    def test_one_image(self):
        self.skopeo('case "$*" in *--config*) echo \'{"os": "linux", "architecture": "arm64"}\';;'
                    '*) echo \'{"layers": []}\';; esac')
        self.assertEqual([registry.Platform('linux', 'arm64')],
                         self.puller.platforms(REMOTE, None))
        self.assertEqual([f'inspect --raw --no-creds docker://{REMOTE}',
                          f'inspect --raw --config --no-creds docker://{REMOTE}'], self.asked())

    def test_a_list_of_images(self):
        self.skopeo('echo \'{"manifests": [{"platform": {"os": "linux", "architecture": "s390x"}},'
                    ' {"platform": {"os": "linux", "architecture": "amd64"}}, {}]}\'')
        self.assertEqual(
            ['linux/s390x', 'linux/amd64', '/'], [*map(str, self.puller.platforms(REMOTE, None))])

    def test_credentials_are_in_no_argument(self):
        self.skopeo(f'cat "$4" > {self.directory}/auth; echo \'{{"manifests": [{{}}]}}\'')
        self.puller.platforms(REMOTE, ALICE)
        self.assertNotIn('alice', ''.join(self.asked()))
        self.assertIn('--authfile /proc/self/fd/', self.asked()[0])
        self.assertEqual('{"auths": {"registry.example.com": '
                         '{"auth": "YWxpY2U6d29uOmRlciJsYW5k"}}}',
                         (self.directory / 'auth').read_text())

    def test_failures(self):
        for kind, script, words in (
                (errors.AccessDenied, 'echo "unauthorized: authentication required" >&2; exit 1',
                 'refuses access'),
                (errors.NotFound, f'echo "reading {REMOTE}: manifest unknown" >&2; exit 1',
                 'has no such image'),
                (errors.InvalidRequest, 'echo "choosing image instance: no image found in '
                 'manifest list for architecture amd64, variant, OS linux" >&2; exit 1',
                 'has no image for linux/amd64'),
                (errors.InvalidRequest, 'echo "no JSON"', 'holds no image'),
                (errors.InvalidRequest, 'echo \'{"manifests": [], "Manifests": []}\'',
                 'holds no image'),
                (errors.RegistryUnavailable, 'exit 1', 'does not answer as a registry should'),
        ):
            self.assertIn(words, self.refused(kind, script))

    def test_it_takes_too_long(self):
        self.assertIn('does not answer in time',
                      self.refused(errors.RegistryUnavailable, 'exec sleep 600', timeout=0.2))

    def test_without_skopeo(self):
        self.useFixture(fixtures.MonkeyPatch(
            'zun_nova.virt.runtime.podman_registry.SKOPEO', str(self.directory / 'none')))
        failure = self.assertRaises(errors.Unsupported, self.puller.platforms, REMOTE, None)
        self.assertIn('skopeo is missing', str(failure))
