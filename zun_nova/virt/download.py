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

"""An image's bytes from Glance, as they come, checked against Glance's checksum."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
import errno
import queue
import threading
import time
from typing import Any

from glanceclient import exc as glance_exc
from nova import exception
from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt import image_source
from zun_nova.virt import signature

LOG = logging.getLogger(__name__)

#: Pieces of 64 KiB, as Glance's client reads them, that may wait for the engine.
_WAITING = 64
_MIB = 1024 * 1024
#: Seconds between two lines of progress.
INFO_SECONDS = 10.0
DEBUG_SECONDS = 1.0


class BrokenOff(errors.ImageUnavailable):
    """The download ended before its end; another attempt may do better."""


class _Abandoned(BaseException):
    """Nobody wants the rest: ends the thread that downloads.

    No Exception, which Nova's image client would log as an error of the image.
    """


def chunks(glance: Any, context: Any, source: image_source.Source,
           timeout: float) -> Generator[bytes, None, None]:
    """The image's data; the last ``next()`` fails unless all of it is right.

    A thread downloads while the caller works on what it has, at most some
    MiB ahead; it ends when the generator is closed. Glance's client compares
    the checksum (os_hash_value, or the MD5 of old images), Nova's client the
    signature where one is demanded.

    :param glance: a nova.image.glance.API.
    :param timeout: seconds without data after which it has failed.
    :raises errors.ImageInvalid: the data does not match its checksum or signature.
    :raises BrokenOff: Glance stopped in the middle.
    :raises errors.ImageUnavailable: Glance cannot be reached.
    :raises nova.exception.NovaException: Glance refuses.
    """
    pipe: queue.Queue[bytes | BaseException | None] = queue.Queue(_WAITING)
    abandoned = threading.Event()

    def put(item: bytes | BaseException | None) -> None:
        while not abandoned.is_set():
            try:
                pipe.put(item, timeout=0.2)
                return
            except queue.Full:
                pass
        raise _Abandoned

    thread = threading.Thread(
        target=_download, args=(glance, context, source, put), daemon=True,
        name=f'download-{source.image_id}')
    thread.start()
    try:
        while (item := _next(pipe, source.image_id, timeout)) is not None:
            yield item
    finally:
        abandoned.set()


def _next(pipe: queue.Queue[bytes | BaseException | None], image_id: str,
          timeout: float) -> bytes | None:
    try:
        item = pipe.get(timeout=timeout)
    except queue.Empty:
        raise BrokenOff(image_id, f'Glance sent nothing for {timeout:g} seconds') from None
    if isinstance(item, BaseException):
        failure = translated(item, image_id)
        raise failure from (None if failure is item else item)
    return item


def _download(glance: Any, context: Any, source: image_source.Source,
              put: Callable[[bytes | BaseException | None], None]) -> None:
    """Body of the thread: data, then None, or what went wrong, into the pipe."""
    context.update_store()   # the request id in what is logged here
    try:
        try:
            if signature.demanded(source):
                # Nova reads all the data to verify it before it returns.
                glance.download(context, source.image_id, data=_Sink(put),
                                trusted_certs=signature.certificates(source))
            else:
                for chunk in glance.download(context, source.image_id):
                    put(chunk)
            put(None)
        except Exception as ex:  # noqa: BLE001  the thread that loads raises it
            put(ex)
    except _Abandoned:
        LOG.debug('The rest of image %s is not wanted', source.image_id)


class _Sink:
    """A file to write to, as far as Nova's image client uses it."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self.write = put

    def truncate(self, size: int) -> None:
        """Nothing: what was written is thrown away when the signature is wrong."""


def translated(ex: BaseException, image_id: str) -> BaseException:
    """Our kind of error for what downloading raised; itself when it is none of Glance's."""
    refusal = signature.refusal(ex, image_id)
    if refusal is not None:
        return refusal
    if isinstance(ex, exception.GlanceConnectionFailed):   # after retries of its own
        return errors.ImageUnavailable(image_id, str(ex))
    if isinstance(ex, OSError) and ex.errno == errno.EPIPE:   # what its client raises then
        return errors.ImageInvalid(
            image_id, f'what Glance delivers does not match its checksum ({ex.strerror}); '
            'upload it again')
    if isinstance(ex, OSError | glance_exc.ClientException):
        return BrokenOff(image_id, f'Glance broke off in the middle ({type(ex).__name__})')
    return ex


def reported(pieces: Iterable[bytes], image_id: str, size: int | None,
             clock: Callable[[], float] = time.monotonic,
             done_word: str = 'received') -> Iterator[bytes]:
    """The same pieces; logs how far it is.

    :param size: of all, in bytes, where it is known.
    """
    report = Report(image_id, clock, done_word)
    done = 0
    for piece in pieces:
        done += len(piece)
        yield piece
        report.reached(done, size)
    report.ended()


class Report:
    """Logs how far an image is, with INFO now and then, with DEBUG more often."""

    def __init__(self, image_id: str, clock: Callable[[], float] = time.monotonic,
                 done_word: str = 'received') -> None:
        self._image_id = image_id
        self._done_word = done_word
        self._clock = clock
        self._began = self._shown = self._told = clock()
        self._done = 0

    def reached(self, done: int, size: int | None) -> None:
        """So many bytes are here, of so many where it is known."""
        self._done = done
        now = self._clock()
        if now - self._shown >= DEBUG_SECONDS:
            level = logging.INFO if now - self._told >= INFO_SECONDS else logging.DEBUG
            LOG.log(level, 'Image %s: %s', self._image_id, self._progress(size, now))
            self._shown = now
            self._told = now if level == logging.INFO else self._told

    def ended(self) -> None:
        """All is here."""
        LOG.info('Image %s: all data %s, %s', self._image_id, self._done_word,
                 self._progress(self._done, self._clock()))

    def _progress(self, size: int | None, now: float) -> str:
        done = self._done
        share = f'{done * 100 // size} % ' if size else ''
        speed = done / _MIB / max(now - self._began, 1e-6)
        return f'{share}({done / _MIB:.1f} MiB), {speed:.1f} MiB/s'
