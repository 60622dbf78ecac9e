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

"""Images through the API: formats of other tools, and what is refused."""

from __future__ import annotations

import gzip

from zun_nova.tests import hostile
from zun_nova.tests import images
from zun_nova.tests import oci
from zun_nova.tests.functional.cloud import base


class ArchiveTest(base.CloudTest):
    """What docker save writes."""

    def test_compressed_archive(self) -> None:
        data = b''.join(self.demo.image.download_image(
            self.demo.image.find_image('busybox'), stream=True).iter_content(65536))
        server = self.boot(self.upload(gzip.compress(data)))
        self.console_with(server, 'Hello from')

    def test_equal_tags_do_not_meet(self) -> None:
        """Both archives name their image test:latest."""
        first, second = self.image('echo first; sleep 1000'), self.image('echo second; sleep 1000')
        servers = [self.boot(first), self.boot(second), self.boot(first)]
        for server, text in zip(servers, ('first', 'second', 'first'), strict=True):
            self.console_with(server, text)
        for each in self.hosts.values():
            self.assertEqual([], each.engine.images('test'))


class LayoutTest(base.CloudTest):

    def test_boots(self) -> None:
        """An index of several platforms, layers compressed, as buildx makes it."""
        layout = oci.Layout()
        wanted = layout.image(
            images.busybox_layer(),
            config={'Cmd': ['sh', '-c', 'echo from a layout; sleep 1000'], 'Env': ['PATH=/bin']},
            platform={'os': 'linux', 'architecture': images.architecture()})
        other = layout.image(images.tar({'other': b''}), architecture='s390x', platform={
            'os': 'linux', 'architecture': 's390x'})
        server = self.boot(self.upload(layout.tar(layout.index(other, wanted))))
        self.console_with(server, 'from a layout')


class RefusedTest(base.CloudTest):
    """The owner is told why, and nothing of the image stays in an engine."""

    def test_hostile(self) -> None:
        traces, stored = self.traces(), self.stored_images()
        cases = [case for case in hostile.cases() if case.name in (
            'no tar', 'cut short in a file', 'absolute by pax', 'GNU long name', 'no layer',
            'encrypted')]
        servers = [self.request(self.upload(case.make())) for case in cases]
        for case, server in zip(cases, servers, strict=True):
            self.assertIn(case.words, self.fault(server))
            self.delete(server)
        self.assertEqual(set(), self.traces() - traces)
        self.assertEqual(stored, self.stored_images())

    def test_layer_of_another_image_on_the_host(self) -> None:
        server = self.boot()
        engine = self.host_of(server).engine
        layers = engine.inspect_image(self.container(server)['Image'])['RootFS']['Layers']
        stored = self.stored_images()
        fault = self.fault_of(image=self.upload(hostile.stolen(layers[0])))
        self.assertIn('its layer 1 is not the one that its configuration names', fault)
        self.assertEqual(stored, self.stored_images())
