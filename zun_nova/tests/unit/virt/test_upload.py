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

from collections.abc import Iterator
import time
from typing import Any

import fixtures
from nova import exception
from nova import test
from nova.image import glance

from zun_nova import errors
from zun_nova.tests import fake_glance
from zun_nova.virt import upload

PIECE = bytes(range(256)) * 400
TIMEOUT = 60


class SendTest(test.NoDBTestCase):
    """Nova's and Glance's real clients, on a server that speaks HTTP."""

    def setUp(self) -> None:
        super().setUp()
        self.glance = self.useFixture(fake_glance.FakeGlance())
        self.flags(api_servers=[self.glance.url], num_retries=1, group='glance')
        self.useFixture(fixtures.MonkeyPatch('zun_nova.virt.upload._CUT_SECONDS', 0.1))
        self.image = self.glance.queued(old='property', kept='first')

    def send(self, pieces: Any, timeout: float = TIMEOUT, end_timeout: float = TIMEOUT) -> None:
        upload.send(
            glance.API(), self.glance.context(), self.image.record['id'],
            {'container_format': 'docker', 'disk_format': 'raw', 'properties': {'kept': 'x'}},
            pieces, timeout, end_timeout)

    def fails(self, kind: type[Exception], *arguments: Any) -> str:
        return str(self.assertRaises(kind, self.send, *arguments))

    def test_pieces_of_any_size(self) -> None:
        pieces = [b'first', b'', PIECE, PIECE * 30, b'', b'last']
        self.send(pieces)
        self.assertEqual(b''.join(pieces), self.image.data)
        record = self.image.record
        self.assertEqual(('docker', 'raw', 'x'), (
            record['container_format'], record['disk_format'], record['kept']))
        self.assertNotIn('old', record)

    def test_glance_breaks_off(self) -> None:
        """Nova's client tries again, but must not send the rest for the whole."""
        self.image.cut_upload_after = 10 * len(PIECE)
        self.assertIn('cannot be stored', self.fails(errors.ImageNotStored, [PIECE] * 500))
        self.assertEqual(b'', self.image.data)

    def test_glance_hangs(self) -> None:
        self.image.stall_upload = True
        began = time.monotonic()
        self.assertIn('took nothing for 1 seconds', self.fails(
            errors.ImageNotStored, [PIECE * 100] * 200, 1))
        self.assertLess(time.monotonic() - began, 60)

    def test_glance_does_not_answer(self) -> None:
        self.image.stall_upload = True
        self.assertIn('did not answer within 1 seconds', self.fails(
            errors.ImageNotStored, [PIECE], TIMEOUT, 1))

    def test_glance_stores_something_else(self) -> None:
        self.image.lose_a_byte = True
        self.assertIn('checksum', self.fails(errors.ImageNotStored, [PIECE]))

    def test_deleted_before(self) -> None:
        self.glance.images.clear()
        self.fails(exception.ImageNotFound, [PIECE] * 200)

    def test_what_the_pieces_raise_comes_back_and_nothing_is_stored(self) -> None:
        def broken() -> Iterator[bytes]:
            yield PIECE
            raise failure

        for failure in (ValueError('x'), OSError('x'), errors.NotFound('x', 'y')):
            self.assertIs(failure, self.assertRaises(type(failure), self.send, broken()))
            self.assertEqual(b'', self.image.data)
