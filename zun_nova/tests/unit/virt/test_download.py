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

import contextlib
import hashlib
import itertools
import logging
import threading
import time

from cryptography import exceptions as crypto_exceptions
from cursive import exception as cursive_exception
import fixtures
from nova import exception
from nova import test
from nova.image import glance

from zun_nova import errors
from zun_nova.tests import fake_glance
from zun_nova.virt import download
from zun_nova.virt import image_source

DATA = bytes(range(256)) * 4096   # 1 MiB


class Verifier:
    """As cursive makes one."""

    def __init__(self, good: bool) -> None:
        self.good = good
        self.digest = hashlib.sha256()

    def update(self, chunk: bytes) -> None:
        self.digest.update(chunk)

    def verify(self) -> None:
        if not self.good or self.digest.digest() != hashlib.sha256(DATA).digest():
            raise crypto_exceptions.InvalidSignature


class ChunksTest(test.NoDBTestCase):
    """Nova's and Glance's real clients, on a server that speaks HTTP."""

    def setUp(self) -> None:
        super().setUp()
        self.glance = self.useFixture(fake_glance.FakeGlance())
        self.flags(api_servers=[self.glance.url], num_retries=0, group='glance')

    def chunks(self, image: fake_glance.Image, timeout: float = 20) -> download.Generator:
        source = image_source.Source(image.record['id'], 'name')
        return download.chunks(glance.API(), self.glance.context(), source, timeout)

    def fails(self, kind: type[Exception], image: fake_glance.Image, **more: float) -> str:
        """The last next() fails, however much came before."""
        return str(self.assertRaises(kind, list, self.chunks(image, **more)))

    def assert_no_thread_left(self) -> None:
        deadline = time.monotonic() + 10
        while any(thread.name.startswith('download-') for thread in threading.enumerate()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_whole(self) -> None:
        self.assertEqual(DATA, b''.join(self.chunks(self.glance.add(DATA))))
        self.assert_no_thread_left()

    def test_wrong_checksum(self) -> None:
        message = self.fails(errors.ImageInvalid, self.glance.add(DATA, os_hash_value='0' * 128))
        self.assertIn('does not match its checksum', message)
        message = self.fails(errors.ImageInvalid, self.glance.add(
            DATA, os_hash_value=None, os_hash_algo=None, checksum='0' * 32))
        self.assertIn('does not match its checksum', message)

    def test_cut_off(self) -> None:
        image = self.glance.add(DATA, size=1)
        image.cut_after, image.cuts = 300_000, 1
        self.assertIn('Glance broke off', self.fails(download.BrokenOff, image))

    def test_stalled(self) -> None:
        image = self.glance.add(DATA)
        image.stall_after = 300_000
        self.assertIn('sent nothing for 0.3 seconds',
                      self.fails(download.BrokenOff, image, timeout=0.3))

    def test_glance_is_not_there(self) -> None:
        image = self.glance.add(DATA)
        self.glance.stop()
        self.assertIn(self.glance.url, self.fails(errors.ImageUnavailable, image))

    def test_unknown_or_without_data(self) -> None:
        image = self.glance.add(b'')
        self.assertIn('no associated data', self.fails(exception.ImageUnacceptable, image))
        self.glance.images.clear()
        self.fails(exception.ImageNotFound, image)

    def test_abandoned(self) -> None:
        with contextlib.closing(self.chunks(self.glance.add(DATA * 30))) as chunks:
            next(chunks)
        self.assert_no_thread_left()


class SignatureTest(ChunksTest):
    """The same where Nova's client verifies signatures, and so reads the data itself."""

    verifier_is_good = True

    def setUp(self) -> None:
        super().setUp()
        self.flags(verify_glance_signatures=True, group='glance')
        # The certificates that Nova would ask a key manager for.
        self.useFixture(fixtures.MonkeyPatch(
            'cursive.signature_utils.get_verifier',
            lambda **_: Verifier(self.verifier_is_good)))

    def test_wrong_signature(self) -> None:
        self.verifier_is_good = False
        self.assertIn('does not match its signature',
                      self.fails(errors.ImageInvalid, self.glance.add(DATA)))

    def test_no_signature(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            'cursive.signature_utils.get_verifier', self._no_signature))
        self.assertIn('only signed images are wanted',
                      self.fails(errors.ImageInvalid, self.glance.add(DATA)))

    @staticmethod
    def _no_signature(**_: object) -> None:
        raise cursive_exception.SignatureVerificationError(reason='none')


class ReportedTest(test.NoDBTestCase):

    def test_lines(self) -> None:
        logged = self.useFixture(fixtures.FakeLogger(
            'zun_nova.virt.download', format='%(levelname)s %(message)s', level=logging.DEBUG))
        seconds = itertools.count(0, 4)   # the clock is read once at the start and per piece
        pieces = [b'x' * download._MIB] * 4
        clock = lambda: float(next(seconds))   # noqa: E731
        self.assertEqual(pieces, list(download.reported(pieces, 'ID', 4 * download._MIB, clock)))
        self.assertEqual([
            'DEBUG Image ID: 25 % (1.0 MiB), 0.2 MiB/s',
            'DEBUG Image ID: 50 % (2.0 MiB), 0.2 MiB/s',
            'INFO Image ID: 75 % (3.0 MiB), 0.2 MiB/s',
            'DEBUG Image ID: 100 % (4.0 MiB), 0.2 MiB/s',
            'INFO Image ID: all data received, 100 % (4.0 MiB), 0.2 MiB/s',
        ], logged.output.splitlines())
