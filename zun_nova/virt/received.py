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

"""Layers of servers that other hosts have sent here, as files.

Used by nova-compute and by the program that other hosts start (see
:mod:`zun_nova.receive`), so it needs nothing but Python.

A file is there whole or not at all: it is written under another name and
renamed when all of it is on the disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import errno
import hashlib
import os
import pathlib
import re
import tempfile
from typing import BinaryIO

#: Below Nova's instances_path.
DIRECTORY = 'zun_nova/received'
#: A server's uuid and a number.
_NAME = re.compile('([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-[0-9]{1,18}')
_PART = '.part'
_NOTE = '.note'
_CHUNK = 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Refused(Exception):
    """It is not taken; the text says why and what to do, and holds no secret."""


def name_of(uuid: str, number: int) -> str:
    """The name of a file.

    :param number: of the migration.
    """
    return f'{uuid}-{number}'


class Store:
    """The files below one directory, which is made when it is needed."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory

    def check(self) -> None:
        """:raises Refused: nothing can be written here."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as ex:
            raise Refused(f'cannot make {self._directory}: {ex.strerror}') from ex
        if not os.access(self._directory, os.W_OK | os.X_OK):
            raise Refused(f'cannot write into {self._directory}; it must belong to the user '
                          'that nova-compute runs as')

    def put(self, name: str, pieces: Iterable[bytes], limit: int) -> str:
        """Write a file, or replace it; returns its SHA-256.

        :param limit: of its size in bytes.
        :raises Refused: it is too large, or cannot be written. An exception of
            pieces passes. Nothing is left then.
        """
        path = self._path(name)
        self.check()
        number, part = tempfile.mkstemp(_PART, f'{name}.', self._directory)
        try:
            with open(number, 'wb') as file:
                digest = _write(file, pieces, limit)
            pathlib.Path(part).replace(path)
            self._sync()
        except OSError as ex:
            raise Refused(_why(ex, self._directory)) from ex
        finally:
            pathlib.Path(part).unlink(missing_ok=True)
        return digest

    def read(self, name: str) -> Iterator[bytes]:
        """:raises FileNotFoundError: there is none."""
        with self._path(name).open('rb') as file:
            while piece := file.read(_CHUNK):
                yield piece

    def has(self, name: str) -> bool:
        return self._path(name).exists()

    def drop(self, name: str) -> None:
        """Remove a file, its note and what interrupted tries have left; may be called again."""
        self._path(name).unlink(missing_ok=True)
        for part in self._directory.glob(f'{name}.*'):
            part.unlink(missing_ok=True)

    def note(self, name: str, text: str) -> None:
        """Keep a text under the name of a file, whether that is there or not.

        :raises Refused: it cannot be written.
        """
        path = self._path(name).with_name(name + _NOTE)
        self.check()
        try:
            with path.with_suffix(_PART).open('w') as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            path.with_suffix(_PART).replace(path)
            self._sync()
        except OSError as ex:
            raise Refused(_why(ex, self._directory)) from ex

    def noted(self, name: str) -> str | None:
        """The text, None when there is none."""
        try:
            return self._path(name).with_name(name + _NOTE).read_text()
        except FileNotFoundError:
            return None

    def servers(self) -> dict[str, set[str]]:
        """The names of files, whole or not, by the uuid of the server."""
        found: dict[str, set[str]] = {}
        if self._directory.exists():
            for path in self._directory.iterdir():
                name = path.name.partition('.')[0]
                match = _NAME.fullmatch(name)
                if match:
                    found.setdefault(match[1], set()).add(name)
        return found

    def _path(self, name: str) -> pathlib.Path:
        if not _NAME.fullmatch(name):
            raise Refused(f'{name[:80]!r} names no layer of a server')
        return self._directory / name

    def _sync(self) -> None:
        """The new name survives a power cut."""
        number = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def checked(pieces: Iterable[bytes], sha256: str) -> Iterator[bytes]:
    """The same pieces; what is not as it was sent is noticed at the end.

    :raises Refused: it is not.
    """
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != sha256:
        raise Refused('its SHA-256 is another')


def _write(file: BinaryIO, pieces: Iterable[bytes], limit: int) -> str:
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise Refused(f'it is larger than the {limit} bytes that were announced')
        digest.update(piece)
        file.write(piece)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()


def _why(ex: OSError, directory: pathlib.Path) -> str:
    if ex.errno in _FULL:
        return f'no space left in {directory}; make room there, or choose another host'
    return f'cannot write into {directory}: {ex.strerror}'
