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

"""Reference images, from the property in Glance into the engine."""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import uuid

import ddt
import fixtures
from nova import objects
from nova.image import glance

from zun_nova import errors
from zun_nova.tests import images as test_images
from zun_nova.tests import key_manager
from zun_nova.tests.unit.virt import test_images as images_cases
from zun_nova.virt import image_source
from zun_nova.virt import images

HOST = 'registry.example.com'
USER, PASSWORD = 'alice', 'won:der"land'
#: What Nova leaves of a fault's message.
ROOM = 128


class Unwanted(Exception):
    """Nobody wants the image."""


def unwanted():
    raise Unwanted


class PullsCase(images_cases.ImagesCase):

    def setUp(self):
        super().setUp()
        self.flags(allowed_registries=[HOST], group='zun_nova')
        self.registries = self.engine.engine.registries
        self.log = self.useFixture(fixtures.FakeLogger())

    def remote(self, repository='team/web', **more):
        """An image in the registry: its name with digest."""
        archive = test_images.archive('x:1', {'Labels': {'of': repository}})
        return self.registries.add(f'{HOST}/{repository}', archive, **more)

    def closed(self, repository='team/closed'):
        return self.remote(repository, credentials=(USER, PASSWORD))

    def secret(self, password=PASSWORD):
        """The UUID of a secret of the user's own."""
        directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.flags(state_path=str(directory))
        self.flags(backend='zun_nova.tests.key_manager.FileKeyManager', group='key_manager')
        secret_id = str(uuid.uuid4())
        (directory / key_manager.FILE).write_text(json.dumps({secret_id: {
            'project_id': self.context.project_id, 'payload': json.dumps(
                {'auths': {HOST: {'username': USER, 'password': password}}})}}))
        return secret_id

    def source_of(self, remote, **properties):
        """What a Glance image without data refers to."""
        image = self.glance.add(b'', **{'container_image_ref': remote} | properties)
        image_id = image.record['id']
        return image_source.of_image(
            objects.ImageMeta.from_image_ref(self.context, glance.API(), image_id), image.record)

    def ensure(self, remote, **properties):
        source = self.source_of(remote, **properties)
        self.assertTrue(self.images.ensure(self.context, source))
        return source

    def refusal(self, remote, kind, **properties):
        """What the user is told; there is nothing in the engine then, and no secret anywhere."""
        before = set(self.engine.engine.images.by_id)
        failure = self.assertRaises(
            kind, self.images.ensure, self.context, self.source_of(remote, **properties))
        for text in (str(failure), self.log.output):
            self.assertNotIn(PASSWORD, text)
            self.assertNotIn('guessed', text)
        self.assertEqual(before, set(self.engine.engine.images.by_id))
        self.assertLess(len(getattr(failure, 'reason', '')), ROOM)
        return str(failure)

    def calls(self, path):
        return [called for _, called in self.engine.requests if called.startswith(path)]


class EnsureTest(PullsCase):

    def test_pulled_once_and_asked_for_every_time(self):
        remote = self.remote()
        source = self.ensure(remote)
        self.assertIsNotNone(self.store.image_id(source.reference))
        self.assertFalse(self.images.ensure(self.context, source))
        image = self.registries.images[remote]
        self.assertEqual((2, 1), (image.asked, image.pulled))
        [stored] = self.store.list_images(image_source.REPOSITORY)
        self.assertEqual(source.image_id, image_source.image_id_of(stored.reference))

    def test_data_in_glance_means_nothing_then(self):
        image = self.glance.add(b'see the properties', container_image_ref=self.remote())
        self.assertTrue(self.images.ensure(self.context, self.source(image)))
        self.assertEqual(0, image.downloads)

    def test_progress_is_logged(self):
        source = self.ensure(self.remote())
        self.assertIn(f'Image {source.image_id}: all data received, 100 %', self.log.output)

    def test_at_once(self):
        """Two Glance images refer to one digest: one pull at a time, both names in the end."""
        remote = self.remote()
        sources = [self.source_of(remote), self.source_of(remote)] * 4
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            fetched = list(pool.map(
                lambda source: self.images.ensure(self.context, source), sources))
        self.assertEqual(2, fetched.count(True))
        self.assertEqual(2, len(self.store.list_images(image_source.REPOSITORY)))
        [image] = self.engine.engine.images.by_id.values()
        self.assertEqual(set(), image.digests)

    def test_the_last_name_removes_it(self):
        sources = [self.ensure(self.closed(), container_registry_secret=self.secret())
                   for _ in range(2)]
        for source in sources:
            self.assertTrue(self.images.forget(source.reference))
        self.assert_nothing_loaded()

    def test_pull_that_fails_may_be_tried_again(self):
        remote = self.remote()
        self.registries.images[remote].failure = 'unexpected EOF'
        self.assertIn('breaks the connection; try again later',
                      self.refusal(remote, errors.ImageUnavailable))
        self.registries.images[remote].failure = ''
        self.ensure(remote)

    def test_a_registry_that_stands_still(self):
        self.flags(image_timeout=1, group='zun_nova')
        remote = self.remote()
        self.registries.images[remote].go_on.clear()
        self.assertIn('does not answer in time', self.refusal(remote, errors.ImageUnavailable))

    def test_given_up_when_nobody_wants_it(self):
        remote = self.remote()
        self.registries.images[remote].go_on.clear()   # never ends by itself
        self.assertRaises(Unwanted, self.images.ensure, self.context, self.source_of(remote),
                          unwanted)
        self.assert_nothing_loaded()

    def test_larger_than_the_cloud_allows(self):
        remote = self.remote()
        source = self.source_of(remote)
        self.flags(image_max_size_gb=1, group='zun_nova')
        self.registries.images[remote].layer_bytes = 2 * 1024 ** 3
        self.registries.images[remote].go_on.clear()
        failure = self.assertRaises(
            errors.ImageInvalid, self.images.ensure, self.context, source)
        self.assertIn('more than 1 GiB, the limit of this cloud', str(failure))
        self.assert_nothing_loaded()

    def test_no_space_is_not_the_images_fault(self):
        remote = self.remote()
        self.registries.images[remote].failure = 'write /x: no space left on device'
        self.assertIn('no space left', self.refusal(remote, errors.EngineError))


class CacheTest(images_cases.CacheTest, PullsCase):
    """All that holds for images with data, for those without."""

    def image(self, **record):
        remote = self.remote(f'team/a{uuid.uuid4().hex}')
        image = self.glance.add(b'', container_image_ref=remote, **record)
        image.of = self.registries.images[remote]
        return image

    def cached(self):
        image = self.image()
        self.assertTrue(self.cache.fetch(self.context, image.record['id']))
        return image

    def test_fetched_before_it_is_wanted(self):
        image = self.cached()
        self.assertFalse(self.cache.fetch(self.context, image.record['id']))
        self.assertFalse(self.images.ensure(self.context, self.source(image)))
        self.assertEqual((3, 1), (image.of.asked, image.of.pulled))

    def test_used_by_a_container_nova_does_not_know(self):
        image = self.cached()
        twin = self.glance.add(b'', container_image_ref=image.record['container_image_ref'])
        self.cache.fetch(self.context, twin.record['id'])
        reference = self.source(image).reference
        with self.store._engine.ask('create') as client:
            client.create_container_from_config({'Image': reference, 'Cmd': ['true']}, 'foreign')
        self.clean_after(100)
        self.assertEqual((True, True), (self.loaded(image), self.loaded(twin)))


@ddt.ddt
class RefusalTest(PullsCase):

    @ddt.data([], ['other.example.com'], [f'{HOST}/other'])
    def test_registries_that_are_not_allowed(self, allowed):
        self.flags(allowed_registries=allowed, group='zun_nova')
        self.engine.requests.clear()
        failure = self.refusal(self.remote(), errors.ImageInvalid)
        self.assertIn(f'no images of {HOST}/team/web are run here; upload the image itself '
                      f'(allowed: {", ".join(allowed) or "none"})', failure)
        self.assertEqual([], self.engine.requests)

    def test_signed_images_only(self):
        self.flags(verify_glance_signatures=True, group='glance')
        self.assertIn('only signed images are wanted',
                      self.refusal(self.remote(), errors.ImageInvalid))

    def test_engines_that_fetch_none(self):
        self.images = images.Images(object(), images_cases.CONF)
        self.assertIn('upload the image itself', self.refusal(self.remote(), errors.ImageInvalid))

    def test_names_without_digest(self):
        failure = self.assertRaises(errors.ImageInvalid, self.source_of, f'{HOST}/team/web:1')
        self.assertIn('container_image_ref: it names no digest', str(failure))

    def test_credentials(self):
        remote = self.closed()
        nobody = self.refusal(remote, errors.ImageUnavailable)
        self.assertIn(f'registry {HOST} refuses access to team/closed; name a secret', nobody)
        wrong = self.refusal(remote, errors.ImageUnavailable,
                             container_registry_secret=self.secret('guessed'))
        self.assertIn('check the credentials in the secret', wrong)
        self.ensure(remote, container_registry_secret=self.secret())

    def test_content_in_the_engine_is_no_right_to_it(self):
        remote = self.closed()
        own = self.ensure(remote, container_registry_secret=self.secret())
        pulls = len(self.calls('/images/create'))
        self.refusal(remote, errors.ImageUnavailable)
        # Neither with the name of the first one's secret, nor with the first one's image.
        secret_id = own.remote.secret_id
        self.context.project_id = 'other'
        self.assertIn('that you may read', self.refusal(
            remote, errors.ImageInvalid, container_registry_secret=secret_id))
        self.assertRaises(errors.ImageInvalid, self.images.ensure, self.context, own)
        self.assertEqual(pulls, len(self.calls('/images/create')))

    def test_access_that_was_taken_back(self):
        remote = self.closed()
        source = self.ensure(remote, container_registry_secret=self.secret())
        self.registries.images[remote].credentials = (USER, 'changed')
        self.assertRaises(
            errors.ImageUnavailable, self.images.ensure, self.context, source)

    def test_secrets_for_other_registries_are_not_sent(self):
        self.flags(allowed_registries=[HOST, 'evil.example.com'], group='zun_nova')
        archive = test_images.archive('x:1')
        remote = self.registries.add('evil.example.com/x', archive, credentials=('', ''))
        self.engine.requests.clear()
        self.assertIn('it has nothing for evil.example.com', self.refusal(
            remote, errors.ImageInvalid, container_registry_secret=self.secret()))
        self.assertEqual([], self.engine.requests)

    @ddt.data(
        ('dial tcp: lookup r: no such host', 'not known to DNS'),
        ('dial tcp 1.1.1.1:443: connect: connection refused', 'refuses connections'),
        ('x509: certificate signed by unknown authority', 'certificate'))
    @ddt.unpack
    def test_registries_that_do_not_answer(self, words, ours):
        remote = self.remote()
        self.registries.broken[HOST] = words
        failure = self.refusal(remote, errors.ImageUnavailable)
        self.assertIn(f'registry {HOST} ', failure)
        self.assertIn(ours, failure)

    def test_a_check_that_stands_still(self):
        self.flags(engine_timeout=1, group='zun_nova')
        self.store = images.base.load(images_cases.CONF)
        self.images = images.Images(self.store, images_cases.CONF)
        self.engine.fail_next('GET', '/distribution/.*', delay=3)
        self.assertIn('does not answer in time',
                      self.refusal(self.remote(), errors.ImageUnavailable))

    def test_what_the_registry_does_not_have(self):
        self.assertIn(f'registry {HOST} has no such image; check name and digest', self.refusal(
            f'{HOST}/team/web@sha256:{"0" * 64}', errors.ImageInvalid))

    @ddt.data(True, False)
    def test_made_for_other_processors(self, is_list):
        remote = self.remote(architecture='s390x', is_list=is_list)
        self.assertIn('only for linux/s390x',
                      self.refusal(remote, errors.ImageInvalid))
        self.assertEqual([], self.calls('/images/create'))

    def test_an_engine_that_is_down_is_not_the_images_fault(self):
        self.engine.stop()
        failure = self.assertRaises(
            errors.EngineUnavailable, self.images.ensure, self.context,
            self.source_of(self.remote()))
        self.assertIn('no engine answers', str(failure))
