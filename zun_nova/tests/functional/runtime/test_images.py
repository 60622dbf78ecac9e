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

"""Glance images in a real engine: what gets in, and what leaves no trace."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gzip
import hashlib
import os
import time
import unittest

import fixtures
from nova import conf
from nova import exception
from nova import objects
from nova import test
from nova.image import glance

from zun_nova import conf as zun_conf
from zun_nova import errors
from zun_nova.tests import fake_glance
from zun_nova.tests import hostile
from zun_nova.tests import images as test_images
from zun_nova.tests import oci
from zun_nova.tests import runtime_contract
from zun_nova.tests.functional import engine
from zun_nova.virt import compression
from zun_nova.virt import image_source
from zun_nova.virt import images

CONF = conf.CONF
zun_conf.register_opts(CONF)
MIB = 1024 * 1024


class _ImagesTest(runtime_contract.Case, test.NoDBTestCase):
    """Nova's and Glance's own clients, and a real engine."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        reason = test_images.why_no_busybox()
        if reason:
            raise unittest.SkipTest(reason)
        cls.engine = cls.new_engine()

    @classmethod
    def new_engine(cls):
        return engine.for_class(cls)

    def setUp(self):
        super().setUp()
        self.set_up_runtime(self.engine.runtime())
        self.glance = self.useFixture(fake_glance.FakeGlance())
        self.flags(api_servers=[self.glance.url], num_retries=0, group='glance')
        self.useFixture(fixtures.MonkeyPatch('zun_nova.virt.images._RETRY_SECONDS', 0))
        self.context = self.glance.context()
        self.images = images.Images(self.runtime, CONF)

    def source(self, image):
        return image_source.of_image(objects.ImageMeta.from_image_ref(
            self.context, glance.API(), image.record['id']), image.record)

    def ensure(self, data):
        """Bring an archive into the engine; returns the image's name there."""
        source = self.source(self.glance.add(data))
        self.addCleanup(self.runtime.remove_image, source.reference)
        self.images.ensure(self.context, source)
        return source.reference

    def refused(self, data):
        """What the owner of this archive is told."""
        return str(self.assertRaises(errors.ImageInvalid, self.ensure, data))

    def says_hello(self, reference):
        return self.output('echo', 'hello', image=reference) == b'hello\n'

    def traces(self):
        """Images with their names, and what the engine keeps of layers on disk."""
        found = {(row['Id'], *sorted(row['RepoTags'] or ()))
                 for row in self.engine.client().images(all=True)}
        if self.engine.owned:
            for path in ('tmp', 'image/overlay2/layerdb/sha256', 'overlay2', 'overlay2/l'):
                with contextlib.suppress(FileNotFoundError):
                    found |= {(path, name) for name in os.listdir(self.engine.data / path)}
        return found

    def assert_no_traces_but(self, before):
        """Soon: the engine removes its temporary files after it has answered."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.traces() != before:
            time.sleep(0.1)
        self.assertEqual(before, self.traces())


class FormatsTest(_ImagesTest):
    """What other tools and engines save is run."""

    def test_oci_layout(self):
        for compress, kind in ((gzip.compress, '+gzip'), (compression.zstd.compress, '+zstd'),
                               (bytes, '')):
            layout = oci.Layout()
            image = layout.image(
                test_images.busybox_layer(), compress=compress, layer_type=oci.LAYER + kind,
                config={'Env': ['PATH=/bin']},
                platform={'os': 'linux', 'architecture': test_images.architecture()})
            other = layout.image(test_images.tar({'other': b''}), architecture='s390x', platform={
                'os': 'linux', 'architecture': 's390x'})
            with self.subTest(kind):
                self.assertTrue(self.says_hello(self.ensure(layout.tar(other, image))))

    def test_what_the_engine_saved_itself(self):
        """With equal layers, which Docker 20.10 saves as links."""
        layers = [test_images.busybox_layer(), *[test_images.tar({'a': b'x'})] * 2]
        layout = oci.Layout()
        reference = self.ensure(layout.tar(
            layout.image(*layers, config={'Env': ['PATH=/bin']})))
        saved = b''.join(self.engine.client().get_image(reference))
        self.runtime.remove_image(reference)
        self.assertTrue(self.says_hello(self.ensure(saved)))
        self.assertTrue(self.says_hello(self.ensure(gzip.compress(saved))))


class RefusedTest(_ImagesTest):
    """Nothing of what is refused stays in the engine."""

    def setUp(self):
        super().setUp()
        self.runtime.load_image([test_images.archive(hostile.VICTIM)], hostile.VICTIM)
        self.victim = self.runtime.image_id(hostile.VICTIM)

    def test_hostile(self):
        before = self.traces()
        for case in hostile.cases():
            with self.subTest(case.name):
                if case.words.startswith('unpacks'):
                    continue   # the limit of these tests is none that can be configured
                data = case.make()
                words = 'no associated data' if not data else case.words
                self.assertIn(words, str(self.assertRaises(
                    (errors.ImageInvalid, exception.ImageUnacceptable), self.ensure, data)))
        self.assert_no_traces_but(before)

    def test_names_of_others_are_not_moved(self):
        reference = self.ensure(hostile.with_manifest(
            b'[{"Config": "c.json", "RepoTags": [], "Layers": ["l/layer.tar"],'
            b' "repotags": ["VICTIM"], "repoTags": ["VICTIM"]}]'.replace(
                b'VICTIM', hostile.VICTIM.encode())))
        self.assertEqual(self.victim, self.runtime.image_id(hostile.VICTIM))
        self.assertNotEqual(self.victim, self.runtime.image_id(reference))

    def test_layers_of_others_are_not_given(self):
        """Docker looks at the data of a layer only when it has none of this digest."""
        layer = test_images.tar({'secret': b'of another tenant'})
        self.runtime.load_image(
            [test_images.archive(hostile.VICTIM, layer=layer)], hostile.VICTIM)
        before = self.traces()
        self.assertIn('layer 1 is not the one', self.refused(
            hostile.stolen(f'sha256:{hashlib.sha256(layer).hexdigest()}')))
        self.assert_no_traces_but(before)

    def test_layer_that_only_the_engine_can_read(self):
        before = self.traces()
        good, cut = test_images.tar({'a': b''}), test_images.tar({'a': bytes(5000)})[:3000]
        layout = oci.Layout()
        self.assertIn('the engine cannot read', self.refused(
            layout.tar(layout.image(good, cut))))
        self.assert_no_traces_but(before)

    def test_sparse_file(self):
        """Docker writes it in full, so it counts in full."""
        layer = hostile.tar(hostile.sparse(2 * MIB))
        name = self.ensure(hostile.with_layer(layer))
        self.assertEqual(2 * MIB, self.engine.client().inspect_image(name)['Size'])


class FaultsTest(_ImagesTest):
    """Glance, the engine and its disk fail in the middle of an image."""

    DISK_BYTES = 96 * MIB

    @classmethod
    def new_engine(cls):
        return engine.for_class(cls, data_bytes=cls.DISK_BYTES)

    def setUp(self):
        super().setUp()
        if not self.engine.owned:
            self.skipTest('the engine at ZUN_TEST_DOCKER_URL is not ours to stop or to fill')
        self.before = self.traces()

    def image(self):
        """An image of some MiB that can be run."""
        layer = test_images.tar({'noise': os.urandom(8 * MIB)})
        layout = oci.Layout()
        return self.glance.add(layout.tar(layout.image(
            test_images.busybox_layer(), layer, config={'Env': ['PATH=/bin']})))

    def runs(self, image):
        source = self.source(image)
        self.addCleanup(self.runtime.remove_image, source.reference)
        self.images.ensure(self.context, source)
        return self.says_hello(source.reference)

    def fails(self, kind, image):
        return str(self.assertRaises(
            kind, self.images.ensure, self.context, self.source(image)))

    def test_glance_breaks_off(self):
        self.flags(num_retries=2, group='glance')
        image = self.image()
        image.cut_after, image.cuts = 5 * MIB, 3
        self.assertIn('Glance broke off', self.fails(errors.ImageUnavailable, image))
        self.assert_no_traces_but(self.before)
        image.cuts = 2
        self.assertTrue(self.runs(image))

    def test_engine_dies(self):
        image = self.image()
        image.stall_after = 5 * MIB
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            failure = pool.submit(self.fails, errors.EngineUnavailable, image)
            self.assertTrue(image.begun.wait(60))
            self.engine.stop(kill=True)
            image.stall_after = None
            self.glance.ended.set()
            self.assertIn('no engine answers', failure.result())
        self.engine.start()
        self.assert_no_traces_but(self.before)
        self.assertTrue(self.runs(image))

    def test_disk_is_full(self):
        zeros = test_images.tar({'zeros': bytes(self.DISK_BYTES)})
        layout = oci.Layout()
        compressed = layout.tar(layout.image(test_images.busybox_layer(), zeros))
        plain = test_images.archive('theirs:1', layer=zeros)
        for data in (compressed, plain):
            failure = self.fails(errors.EngineError, self.glance.add(data))
            self.assertIn('no space left on device', failure)
            self.assert_no_traces_but(self.before)
        self.assertTrue(self.runs(self.image()))
