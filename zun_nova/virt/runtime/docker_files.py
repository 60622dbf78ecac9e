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

"""Looks into containers that do not run yet, and puts files there.

Docker unpacks them in the container's own root: a link in the image that
leads to the host's files leads nowhere.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import io
import json
import pathlib
import tarfile
import time
from typing import Any

from zun_nova import errors
from zun_nova.virt import process
from zun_nova.virt.runtime import docker_client
from zun_nova.virt.runtime import files as runtime_files

_DIRECTORY_MODE = 0o755
_PRIVATE_MODE = 0o700
# Of what Docker tells of a path in a header (Go's os.FileMode).
_GO_DIRECTORY = 1 << 31


class Files(runtime_files.Files):
    """Of one engine that speaks this part of Docker's API."""

    #: docker_client.Engine, or one of another module with the same methods.
    _engine: Any

    def read_file(self, name: str, path: str, max_bytes: int) -> bytes | None:
        stat = self._stat(name, path)
        if stat is None:
            return None
        try:
            with self._archive(name, stat['linkTarget'] or path) as response:
                return _first(response.raw, max_bytes)
        except errors.NotFound:   # a link that leads nowhere
            return None

    def has_directory(self, name: str, path: str) -> bool:
        stat = self._stat(name, path)
        if stat is not None and stat['linkTarget']:
            stat = self._stat(name, stat['linkTarget'])
        return stat is not None and bool(stat['mode'] & _GO_DIRECTORY)

    def put_files(self, name: str, files: Iterable[process.File]) -> None:
        for directory, together in _by_directory(files).items():
            # Podman would make it, and for root.
            private = any(file.private_directory for file in together)
            missing = private and self._stat(name, str(directory)) is None
            _put(self._engine, name, directory, together,
                 directory.parent if missing else directory)

    def _stat(self, name: str, path: str) -> Mapping[str, Any] | None:
        """What Docker tells of a path; None: there is nothing.

        :raises errors.NotFound: it is the container that is missing.
        """
        try:
            with self._archive(name, path, 'HEAD') as response:
                told: Mapping[str, Any] = json.loads(base64.b64decode(
                    response.headers['X-Docker-Container-Path-Stat']))
                return told
        except errors.NotFound:
            with self._engine.ask(f'inspect container {name}') as client:
                client.inspect_container(name)
        except (errors.EngineUnavailable, errors.EngineTimeout):
            raise
        except errors.EngineError:   # there are no words in the answer to HEAD
            with contextlib.suppress(errors.InvalidRequest), self._archive(name, path):
                raise
        return None

    @contextlib.contextmanager
    def _archive(self, name: str, path: str, method: str = 'GET') -> Iterator[Any]:
        with self._engine.ask(f'look at {path} of container {name}') as client:
            with self._engine.stream(
                    client, method, _archive_of(name), params={'path': path},
                    headers={'Accept-Encoding': 'identity'}) as response:
                yield response


def _archive_of(name: str) -> str:
    return f'/containers/{docker_client.quoted(name)}/archive'


def _first(stream: Any, max_bytes: int) -> bytes | None:
    """The content of the archive's first member, if that is a file of at most that size."""
    with tarfile.open(fileobj=stream, mode='r|') as archive:
        member = archive.next()
        if member is None or not member.isreg() or member.size > max_bytes:
            return None
        file = archive.extractfile(member)
        return None if file is None else file.read()


def put(engine: docker_client.Engine, name: str, files: Iterable[process.File]) -> None:
    """Put them into the container; may be called again.

    Directories that are missing are made and belong to root; those that are
    there, links to directories too, stay as they are.

    :raises errors.NotFound: there is no such container.
    :raises errors.InvalidRequest: a file cannot be where it should.
    """
    for directory, together in _by_directory(files).items():
        _put(engine, name, directory, together, directory)


def _by_directory(
        files: Iterable[process.File]) -> dict[pathlib.PurePosixPath, list[process.File]]:
    found: dict[pathlib.PurePosixPath, list[process.File]] = {}
    for file in files:
        found.setdefault(pathlib.PurePosixPath(file.path).parent, []).append(file)
    return found


def refuse_volumes(answer: Mapping[str, Any], files: Iterable[process.File]) -> None:
    """What is put into a volume goes into no image.

    :param answer: Docker's for a container of the image.
    :raises errors.InvalidRequest: one lies in a volume of the image.
    """
    volumes = [pathlib.PurePosixPath(mount['Destination']) for mount in answer['Mounts']]
    for file in files:
        if not set(volumes).isdisjoint(pathlib.PurePosixPath(file.path).parents):
            raise errors.InvalidRequest(
                f'put {file.path} into a read-only container', 'the image keeps a volume there')


def _put(engine: docker_client.Engine, name: str, directory: pathlib.PurePosixPath,
         files: list[process.File], first: pathlib.PurePosixPath) -> None:
    """Into the nearest directory that is there: unpacked, a directory would replace a link.

    :param first: the first one to try.
    """
    for there in (first, *first.parents):
        try:
            _unpack(engine, name, there, _archive(there, directory, files))
            return
        except errors.NotFound:
            if there == there.parent:   # then it is the container that is missing
                raise


def _unpack(engine: docker_client.Engine, name: str, directory: pathlib.PurePosixPath,
            archive: bytes) -> None:
    with engine.ask(f'put files into {directory} of container {name}') as client:
        with engine.stream(
                client, 'PUT', _archive_of(name),
                params={'path': str(directory), 'noOverwriteDirNonDir': '1'}, data=archive):
            pass


def _archive(there: pathlib.PurePosixPath, directory: pathlib.PurePosixPath,
             files: list[process.File]) -> bytes:
    """The files of a directory, and what is missing between it and ``there``."""
    content = io.BytesIO()
    below = directory.relative_to(there)
    with tarfile.open(fileobj=content, mode='w') as archive:
        for missing in [*reversed(below.parents[:-1]), below][:len(below.parts)]:
            member = _member(missing, _DIRECTORY_MODE)
            member.type = tarfile.DIRTYPE
            owners = [file for file in files if file.private_directory and missing == below]
            if owners:
                member.mode, member.uid, member.gid = (
                    _PRIVATE_MODE, owners[0].uid, owners[0].gid)
            archive.addfile(member)
        for file in files:
            member = _member(below / pathlib.PurePosixPath(file.path).name, file.mode)
            member.size, member.uid, member.gid = len(file.content), file.uid, file.gid
            archive.addfile(member, io.BytesIO(file.content))
    return content.getvalue()


def _member(path: pathlib.PurePosixPath, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(str(path))
    member.mode, member.mtime = mode, int(time.time())
    return member
