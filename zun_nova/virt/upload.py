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

"""An image's bytes to Glance, as they are made; compared with Glance's checksum."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import hashlib
from http import HTTPStatus
import queue
import threading
import time
from typing import Any

from glanceclient import exc as glance_exc
from nova import exception
from oslo_log import log as logging

from zun_nova import errors

LOG = logging.getLogger(__name__)

#: Pieces that may wait for Glance.
_WAITING = 64
_LOOK_SECONDS = 0.2
#: For the connection to be cut before anybody removes the image.
_CUT_SECONDS = 10.0


def send(glance: Any, context: Any, image_id: str, record: Mapping[str, Any],
         pieces: Iterable[bytes], timeout: float, end_timeout: float) -> None:
    """Give an image its data, and in the same breath the rest of its record.

    A thread sends while the caller's makes the pieces. When it raises, Glance
    has no whole image: the connection was cut before its end, or what Glance
    has is not what was sent.

    :param glance: a nova.image.glance.API.
    :param record: as for its update(); ``properties`` replace all there are.
    :param timeout: seconds in which Glance takes nothing, after which it has failed.
    :param end_timeout: seconds it may take from the last byte on.
    :raises errors.ImageNotStored: Glance does not take it.
    :raises nova.exception.NovaException: Glance refuses.
    :raises Exception: what pieces raises.
    """
    pipe = _Pipe()
    sender = _Sender(glance, context, image_id, record, pipe)
    sender.start()
    try:
        for piece in pieces:
            sender.put(piece, timeout)
        sender.put(None, timeout)
        stored = sender.result(end_timeout)
    except BaseException:
        pipe.abandoned.set()
        sender.join(_CUT_SECONDS)
        raise
    if not pipe.is_what(stored):
        raise errors.ImageNotStored(
            image_id, 'the checksum of what Glance has is not that of what was sent')


class _Again(Exception):
    """What was read is gone: nobody can begin anew."""


class _Abandoned(Exception):
    """There will be no end."""


class _Pipe:
    """A file that one thread writes and another reads, as far as Glance's client does."""

    def __init__(self) -> None:
        self.pieces: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self.abandoned = threading.Event()
        self._rest: bytes | None = b''
        self._begun = False
        self._size = 0
        self._hashes = {'md5': hashlib.md5(usedforsecurity=False), 'sha512': hashlib.sha512()}

    def __bool__(self) -> bool:
        """Glance's client asks before it reads, and again when Nova's has it try again.

        That attempt would send what is left, for an image.
        """
        if self._begun:
            raise _Again
        return True

    def read(self, size: int) -> bytes:
        """Some bytes; none at the end."""
        self._begun = True
        while self._rest == b'':
            self._rest = self._next()
        if self._rest is None:
            return b''
        piece, self._rest = self._rest[:size], self._rest[size:]
        self._size += len(piece)
        for each in self._hashes.values():
            each.update(piece)
        return piece

    def is_what(self, stored: Mapping[str, Any]) -> bool:
        """Whether Glance has stored all that was read."""
        md5, sha512 = (self._hashes[name].hexdigest() for name in ('md5', 'sha512'))
        same = stored.get('size') == self._size and stored.get('checksum') in (None, md5)
        return same and (
            stored.get('os_hash_algo') != 'sha512' or stored.get('os_hash_value') == sha512)

    def _next(self) -> bytes | None:
        while not self.abandoned.is_set():
            try:
                return self.pieces.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                pass
        raise _Abandoned


class _Sender:
    """The thread that talks with Glance, seen from the other one."""

    def __init__(self, glance: Any, context: Any, image_id: str, record: Mapping[str, Any],
                 pipe: _Pipe) -> None:
        self._glance = glance
        self._context = context
        self._image_id = image_id
        self._record = record
        self._pipe = pipe
        self._stored: Mapping[str, Any] = {}
        self._failure: Exception | None = None
        self._thread = threading.Thread(
            target=self._run, daemon=True, name=f'upload-{image_id}')
        self.start = self._thread.start
        self.join = self._thread.join

    def put(self, piece: bytes | None, timeout: float) -> None:
        """Give it the next piece; None: there are no more.

        :raises: what ended the thread.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._pipe.pieces.put(piece, timeout=_LOOK_SECONDS)
                return
            except queue.Full:
                pass
            if not self._thread.is_alive():
                raise self._translated()
            if time.monotonic() > deadline:
                raise errors.ImageNotStored(
                    self._image_id, f'Glance took nothing for {timeout:g} seconds')

    def result(self, timeout: float) -> Mapping[str, Any]:
        """Glance's record of the image after the last piece.

        :raises: what ended the thread.
        """
        self.join(timeout)
        if self._thread.is_alive():
            raise errors.ImageNotStored(
                self._image_id, f'Glance did not answer within {timeout:g} seconds')
        if self._failure is not None:
            raise self._translated()
        return self._stored

    def _run(self) -> None:
        self._context.update_store()   # the request id in what is logged here
        try:
            self._stored = self._glance.update(
                self._context, self._image_id, dict(self._record), self._pipe, purge_props=True)
        except Exception as ex:  # noqa: BLE001  the other thread raises it
            LOG.debug('Upload of image %s ended: %s', self._image_id, ex)
            self._failure = ex

    def _translated(self) -> Exception:
        """Our kind of error for what ended it; itself when Glance refuses."""
        ex = self._failure
        failure: Exception
        code = ex.code if isinstance(ex, glance_exc.HTTPException) else None
        if code == HTTPStatus.GONE:   # as Glance says when it is deleted meanwhile
            failure = exception.ImageNotFound(image_id=self._image_id)
            return failure
        if isinstance(ex, exception.GlanceConnectionFailed):
            return errors.ImageNotStored(self._image_id, str(ex))
        if isinstance(ex, exception.NovaException):
            failure = ex
            return failure
        reason = f'Glance broke off ({type(ex).__name__})'
        if isinstance(ex, glance_exc.HTTPException):
            reason = f'Glance answers {ex}'
        failure = errors.ImageNotStored(self._image_id, reason)
        failure.__cause__ = ex
        return failure
