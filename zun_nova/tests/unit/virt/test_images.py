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

import concurrent.futures
import json
import pathlib
import threading
from typing import Any

import fixtures
from nova import conf
from nova import objects
from nova import test
from nova.image import glance

from zun_nova import conf as zun_conf
from zun_nova import errors
from zun_nova.tests import fake_engine
from zun_nova.tests import fake_glance
from zun_nova.tests import images as test_images
from zun_nova.virt import image_cache
from zun_nova.virt import image_source
from zun_nova.virt import images
from zun_nova.virt.runtime import base

CONF = conf.CONF
zun_conf.register_opts(CONF)
HOUR = 3600


class ImagesCase(test.NoDBTestCase):
    """Real clients of Glance and Docker, on servers that speak their protocols."""

    def setUp(self) -> None:
        super().setUp()
        self.engine = self.useFixture(fake_engine.FakeEngine())
        self.glance = self.useFixture(fake_glance.FakeGlance())
        self.flags(api_servers=[self.glance.url], num_retries=0, group='glance')
        self.flags(docker_url=self.engine.url, group='zun_nova')
        self.useFixture(fixtures.MonkeyPatch('zun_nova.virt.images._RETRY_SECONDS', 0))
        self.context = self.glance.context()
        self.store = base.load(CONF)
        self.images = images.Images(self.store, CONF)

    def image(self, **record: Any) -> fake_glance.Image:
        layer = test_images.tar({'file': b'x' * 500_000})
        return self.glance.add(test_images.archive('theirs:1', layer=layer), **record)

    def source(self, image: fake_glance.Image) -> image_source.Source:
        return image_source.of_image(objects.ImageMeta.from_image_ref(
            self.context, glance.API(), image.record['id']), image.record)

    def loaded(self, image: fake_glance.Image) -> bool:
        return self.store.image_id(self.source(image).reference) is not None

    def assert_nothing_loaded(self) -> None:
        self.assertEqual({}, self.engine.engine.images.by_id)


class EnsureTest(ImagesCase):

    def test_second_time_nothing_is_fetched(self) -> None:
        image = self.image()
        self.assertTrue(self.images.ensure(self.context, self.source(image)))
        sent = image.sent
        self.assertFalse(self.images.ensure(self.context, self.source(image)))
        self.assertEqual((len(image.data), 1), (sent, image.downloads))
        self.assertEqual(sent, image.sent)

    def test_at_once(self) -> None:
        image = self.image()
        source = self.source(image)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            fetched = list(pool.map(
                lambda _: self.images.ensure(self.context, source), range(8)))
        self.assertEqual([False] * 7 + [True], sorted(fetched))
        self.assertEqual(1, image.downloads)

    def test_who_waits_tries_again_when_it_fails(self) -> None:
        image = self.image()
        image.cut_after, image.cuts = 70_000, 3
        source = self.source(image)
        results = []

        def ensure(_: int) -> None:
            try:
                results.append(self.images.ensure(self.context, source))
            except errors.ImageUnavailable:
                results.append(None)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(ensure, range(8)))
        self.assertEqual(3, results.count(None))
        self.assertEqual((1, 4), (results.count(True), results.count(False)))

    def test_download_that_breaks_off_is_begun_anew(self) -> None:
        self.flags(num_retries=2, group='glance')
        image = self.image()
        image.cut_after, image.cuts = 70_000, 2
        self.assertTrue(self.images.ensure(self.context, self.source(image)))
        self.assertEqual(3, image.downloads)

    def test_download_that_breaks_off_too_often(self) -> None:
        self.flags(num_retries=1, group='glance')
        image = self.image()
        image.cut_after, image.cuts = 70_000, 2
        self.assertRaises(
            errors.ImageUnavailable, self.images.ensure, self.context, self.source(image))
        self.assertEqual(2, image.downloads)
        self.assert_nothing_loaded()

    def test_wrong_checksum_leaves_nothing(self) -> None:
        image = self.image(os_hash_value='0' * 128)
        self.assertRaises(
            errors.ImageInvalid, self.images.ensure, self.context, self.source(image))
        self.assert_nothing_loaded()

    def test_what_is_no_archive(self) -> None:
        image = self.glance.add(b'x' * 300_000)
        self.assertRaises(
            errors.ImageInvalid, self.images.ensure, self.context, self.source(image))
        self.assert_nothing_loaded()

    def test_engine_dies_in_the_middle(self) -> None:
        image = self.image()
        image.stall_after = 100_000
        source = self.source(image)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            load = pool.submit(self.images.ensure, self.context, source)
            self.assertTrue(image.begun.wait(10))
            self.engine.stop()
            self.glance.ended.set()
            self.assertRaises(errors.ZunNovaError, load.result)
        self.engine.start()
        self.assert_nothing_loaded()

    def test_other_containers_are_no_reason_to_wait(self) -> None:
        slow, quick = self.image(), self.image(os_hash_value=None)
        slow.stall_after = 100_000
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            load = pool.submit(self.images.ensure, self.context, self.source(slow))
            self.assertTrue(slow.begun.wait(10))
            self.assertTrue(self.images.ensure(self.context, self.source(quick)))
            self.assertFalse(load.done())
            self.glance.ended.set()


class WantedTest(ImagesCase):
    """A build that nobody wants any more ends while its image comes."""

    def setUp(self) -> None:
        super().setUp()
        self.checks = 0

    def unwanted(self) -> None:
        self.checks += 1
        raise LookupError

    def test_nobody_else_waits(self) -> None:
        image = self.image()
        held = self.images.held(self.context, self.source(image), self.unwanted)
        self.assertRaises(LookupError, held.__enter__)
        self.assertEqual(1, self.checks)
        self.assert_nothing_loaded()
        with self.images.held(self.context, self.source(image)):
            self.assertTrue(self.loaded(image))

    def test_somebody_else_waits(self) -> None:
        image = self.image()
        source = self.source(image)
        self.images._held[source.reference] += 1
        with self.images.held(self.context, source, self.unwanted):
            self.assertTrue(self.loaded(image))
        self.assertEqual(0, self.checks)


class CacheTest(ImagesCase):

    def setUp(self) -> None:
        super().setUp()
        self.now = 1_000_000.0
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.flags(instances_path=str(self.directory))
        self.flags(remove_unused_original_minimum_age_seconds=24 * HOUR, group='image_cache')
        self.cache = self.new_cache()

    def new_cache(self) -> image_cache.ImageCache:
        return image_cache.ImageCache(
            self.store, self.images, CONF, 'compute1', clock=lambda: self.now)

    def cached(self) -> fake_glance.Image:
        image = self.image()
        # Equal content would be one image with several names.
        image.data = test_images.archive('theirs:1', {'Labels': {'id': image.record['id']}})
        image.record |= {'os_hash_value': None, 'checksum': None}
        self.assertTrue(self.cache.fetch(self.context, image.record['id']))
        return image

    def server(self, image: fake_glance.Image, host: str = 'compute1') -> objects.Instance:
        return objects.Instance(image_ref=image.record['id'], host=host)

    def clean_after(self, hours: float, *instances: objects.Instance) -> None:
        self.now += hours * HOUR
        self.cache.clean(instances)

    def test_fetched_before_it_is_wanted(self) -> None:
        image = self.cached()
        self.assertFalse(self.cache.fetch(self.context, image.record['id']))
        self.assertFalse(self.images.ensure(self.context, self.source(image)))
        self.assertEqual(1, image.downloads)

    def test_unused_for_long(self) -> None:
        image = self.cached()
        self.clean_after(23)
        self.assertTrue(self.loaded(image))
        self.clean_after(1)
        self.assertFalse(self.loaded(image))
        self.assert_nothing_loaded()
        self.clean_after(100)

    def test_age_begins_with_the_last_use(self) -> None:
        image = self.cached()
        self.clean_after(20, self.server(image))
        self.clean_after(23)
        self.assertTrue(self.loaded(image))
        self.cache = self.new_cache()   # nova-compute was restarted
        self.clean_after(1)
        self.assertFalse(self.loaded(image))

    def test_fetching_again_makes_it_young(self) -> None:
        image = self.cached()
        self.now += 23 * HOUR
        self.cache.fetch(self.context, image.record['id'])
        self.clean_after(23)
        self.assertTrue(self.loaded(image))

    def test_servers_of_other_hosts_do_not_count(self) -> None:
        image = self.cached()
        self.clean_after(24, self.server(image, 'compute2'))
        self.assertFalse(self.loaded(image))

    def test_used_by_a_server_at_age_zero(self) -> None:
        self.flags(remove_unused_original_minimum_age_seconds=0, group='image_cache')
        used, unused = self.cached(), self.cached()
        self.clean_after(0, self.server(used))
        self.assertEqual((True, False), (self.loaded(used), self.loaded(unused)))

    def test_used_by_a_container_nova_does_not_know(self) -> None:
        image, twin = self.cached(), self.image()
        twin.data, twin.record['checksum'] = image.data, None
        twin.record['os_hash_value'] = None
        self.cache.fetch(self.context, twin.record['id'])
        reference = self.source(image).reference
        with self.store._engine.ask('create') as client:
            client.create_container_from_config({'Image': reference, 'Cmd': ['true']}, 'foreign')
        self.clean_after(100)
        # The engine would give up the one of two names: its container needs the content.
        self.assertEqual((True, True), (self.loaded(image), self.loaded(twin)))

    def test_a_server_is_being_made_of_it(self) -> None:
        image = self.cached()
        with self.images.held(self.context, self.source(image)):
            self.clean_after(24)
            self.assertTrue(self.loaded(image))
        self.clean_after(1)
        self.assertFalse(self.loaded(image))

    def test_switched_off(self) -> None:
        self.flags(remove_unused_base_images=False, group='image_cache')
        image = self.cached()
        self.clean_after(1000)
        self.assertTrue(self.loaded(image))

    def test_images_of_others_are_never_removed(self) -> None:
        for reference in ('ubuntu:latest', 'zun-nova/glance-not:1', 'zun-nova/holder:1'):
            self.store.load_image([test_images.archive(reference)], reference)
        self.clean_after(0)
        self.clean_after(1000)
        self.assertEqual(3, sum(len(image.tags) for image
                                in self.engine.engine.images.by_id.values()))

    def test_loaded_by_a_boot_before_the_first_pass(self) -> None:
        image = self.image()
        self.images.ensure(self.context, self.source(image))
        self.clean_after(1000)
        self.assertTrue(self.loaded(image))
        self.clean_after(24)
        self.assertFalse(self.loaded(image))

    def test_damaged_file(self) -> None:
        image = self.cached()
        [file] = self.directory.rglob('*.json')
        for content in ('{', '[]', '{"a": "b"}', '[1]'):
            file.write_text(content)
            self.clean_after(1000)
            self.assertTrue(self.loaded(image))
        self.assertEqual({self.source(image).reference: self.now}, json.loads(file.read_text()))
        self.assertEqual([file], [path for path in self.directory.rglob('*') if path.is_file()])

    def test_nothing_to_do_is_two_calls(self) -> None:
        self.cached()
        self.engine.requests.clear()
        self.clean_after(1)
        self.assertEqual([('GET', '/images/json'), ('GET', '/containers/json')],
                         self.engine.requests)

    def test_at_once(self) -> None:
        image = self.cached()
        barrier = threading.Barrier(4)

        def run(number: int) -> None:
            barrier.wait()
            if number % 2:
                self.cache.clean([])
            else:
                self.cache.fetch(self.context, image.record['id'])

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(run, range(4)))
        self.assertTrue(self.loaded(image))
