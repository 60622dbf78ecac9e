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

from collections.abc import Sequence
import pathlib
from typing import Any

import ddt
import fixtures
from nova import objects
from oslotest import base

from zun_nova import errors
from zun_nova.tests import certificates
from zun_nova.tests import fake_glance
from zun_nova.tests.unit.virt import test_driver
from zun_nova.tests.unit.virt import test_images
from zun_nova.virt import identity
from zun_nova.virt import image_source

SIGNER = 'e9c0e8c2-3d51-4b0b-9d0e-2f4f0a1c7d35'
PROPERTIES = {
    'img_signature': 'c2lnbmF0dXJl', 'img_signature_hash_method': 'SHA-256',
    'img_signature_key_type': 'RSA-PSS', 'img_signature_certificate_uuid': SIGNER}


@ddt.ddt
class NameTest(base.BaseTestCase):

    SOURCE = image_source.Source(
        test_driver.IMAGE_ID, f'zun-nova/glance:{test_driver.IMAGE_ID}-{"c" * 32}')

    def test_no_certificates(self) -> None:
        self.assertIs(self.SOURCE, image_source.trusted(self.SOURCE, PROPERTIES, ()))

    def test_of_its_own(self) -> None:
        trusted = image_source.trusted(self.SOURCE, PROPERTIES, ['root'])
        self.assertEqual(image_source.Trust(SIGNER, ('root',)), trusted.trust)
        self.assertTrue(trusted.reference.startswith(f'{self.SOURCE.reference}-signed-'))
        self.assertEqual(test_driver.IMAGE_ID, image_source.image_id_of(trusted.reference))
        # What engines allow a tag.
        self.assertRegex(trusted.reference, r'\Azun-nova/glance:[A-Za-z0-9_.-]{1,128}\Z')

    def test_same_for_all_who_trust_the_image(self) -> None:
        one, other = (image_source.trusted(self.SOURCE, PROPERTIES, [certificate])
                      for certificate in ('root', 'other'))
        self.assertEqual(one.reference, other.reference)

    @ddt.data(*PROPERTIES)
    def test_another_signature_is_another_name(self, name: str) -> None:
        one, other = (image_source.trusted(self.SOURCE, properties, ['root'])
                      for properties in (PROPERTIES, PROPERTIES | {name: 'changed'}))
        self.assertNotEqual(one.reference, other.reference)


class TrustedCase(test_images.ImagesCase):
    """Images signed for real, verified by cursive."""

    def setUp(self) -> None:
        super().setUp()
        self.signer, self.stranger = certificates.Signer(), certificates.Signer('stranger')
        directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.flags(state_path=str(directory))
        self.flags(backend='zun_nova.tests.key_manager.FileKeyManager', group='key_manager')
        certificates.store(directory, self.context.project_id, self.signer, self.stranger)

    def signed(self, signer: certificates.Signer | None = None) -> fake_glance.Image:
        image = self.image()
        image.record |= (signer or self.signer).sign(image.data)
        return image

    def trusting(self, image: fake_glance.Image,
                 trusted: Sequence[str] = ()) -> image_source.Source:
        return self.images.trusted(
            self.context, self.source(image), trusted or [self.signer.authority])

    def ensure(self, image: fake_glance.Image, trusted: Sequence[str] = ()) -> bool:
        return self.images.ensure(self.context, self.trusting(image, trusted))

    def refusal(self, image: fake_glance.Image, trusted: Sequence[str] = ()) -> str:
        return str(self.assertRaises(errors.ImageInvalid, self.ensure, image, trusted))

    def names(self) -> list[str]:
        return [stored.reference for stored in self.store.list_images(image_source.REPOSITORY)]


class TrustedTest(TrustedCase):

    def test_verified_once(self) -> None:
        image = self.signed()
        self.assertEqual([True, False], [self.ensure(image), self.ensure(image)])
        self.assertEqual(1, image.downloads)
        self.assertEqual([self.trusting(image).reference], self.names())

    def test_nobody_named_certificates(self) -> None:
        image = self.image()
        source = self.source(image)
        self.assertIs(source, self.images.trusted(self.context, source, ()))

    def test_here_but_never_verified(self) -> None:
        image = self.signed()
        self.images.ensure(self.context, self.source(image))
        self.assertTrue(self.ensure(image))
        self.assertEqual((2, 2), (image.downloads, len(self.names())))
        tampered = self.image()
        tampered.record |= self.signer.sign(image.data + b'x')
        self.images.ensure(self.context, self.source(tampered))
        self.assertIn('does not match its signature', self.refusal(tampered))

    def test_other_data_than_was_signed(self) -> None:
        image = self.image()
        image.record |= self.signer.sign(b'something else')
        self.assertIn('does not match its signature', self.refusal(image))
        self.assert_nothing_loaded()

    def test_no_signature(self) -> None:
        self.assertIn('only signed images are wanted', self.refusal(self.image()))
        self.assert_nothing_loaded()

    def test_signed_by_a_stranger(self) -> None:
        image = self.signed(self.stranger)
        self.assertIn(f'validation failed for certificate: {self.stranger.certificate}',
                      self.refusal(image))
        self.assert_nothing_loaded()

    def test_here_but_of_a_stranger_for_the_next_one(self) -> None:
        image = self.signed()
        self.ensure(image)
        self.assertIn('Could not locate the signing certificate',
                      self.refusal(image, [self.stranger.authority]))
        self.assertFalse(self.ensure(image, [self.stranger.authority, self.signer.authority]))

    def test_signed_anew(self) -> None:
        image = self.signed()
        self.ensure(image)
        image.record |= self.stranger.sign(image.data)
        self.assertIn('validation failed', self.refusal(image))
        self.assertTrue(self.ensure(image, [self.stranger.authority]))

    def test_certificates_of_another_project(self) -> None:
        image = self.signed()
        own = self.context.project_id
        self.context.project_id = 'other'
        self.assertIn('a certificate for its signature cannot be had', self.refusal(image))
        self.assert_nothing_loaded()
        self.context.project_id = own
        self.ensure(image)
        self.context.project_id = 'other'
        self.assertIn('a certificate for its signature cannot be had', self.refusal(image))

    def test_content_of_a_registry(self) -> None:
        self.flags(allowed_registries=['registry.example.com'], group='zun_nova')
        image = self.glance.add(
            b'', container_image_ref=f'registry.example.com/web@sha256:{"a" * 64}',
            **self.signer.sign(b''))
        self.assertIn('what a registry delivers has no signature', self.refusal(image))


class Glance(test_driver.Glance):
    """Says who signed its images, and notes which certificates Nova is given."""

    def __init__(self, archive: bytes) -> None:
        super().__init__(archive)
        self.trusted: list[list[str]] = []

    def get(self, context: Any, image_id: str) -> dict[str, Any]:
        return {'id': image_id, 'checksum': 'c0ffee', 'container_format': 'docker',
                'disk_format': 'raw', 'properties': PROPERTIES}

    def download(self, context: Any, image_id: str, data: Any = None,
                 trusted_certs: Any = None) -> Any:
        if data is None:
            return super().download(context, image_id)
        self.trusted.append(trusted_certs.ids)
        data.write(self.archive)
        return None


class ServerTest(test_driver.DriverCase):

    def setUp(self) -> None:
        super().setUp()
        self.glance = Glance(self.glance.archive)
        self.driver = self.new_driver('compute1')

    def test_spawn(self) -> None:
        trusting, other = self.instance(), self.instance()
        trusting.trusted_certs = objects.TrustedCerts(ids=['root'])
        for server in (trusting, other):
            self.spawn(server)
        self.assertEqual([['root']], self.glance.trusted)
        one, two = (self.engine.containers[identity.container_name(server)].config['Image']
                    for server in (trusting, other))
        self.assertTrue(one.startswith(f'{two}-signed-'), one)
