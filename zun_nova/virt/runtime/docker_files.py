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

"""Puts files into containers that do not run yet.

Docker unpacks them in the container's own root: a link in the image that
leads to the host's files leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import io
import pathlib
import tarfile
import time
from typing import Any

from zun_nova import errors
from zun_nova.virt import process
from zun_nova.virt.runtime import docker_client

_DIRECTORY_MODE = 0o755


def put(engine: docker_client.Engine, name: str, files: Iterable[process.File]) -> None:
    """Put them into the container; may be called again.

    Directories that are missing are made and belong to root; those that are
    there, links to directories too, stay as they are.

    :raises errors.NotFound: there is no such container.
    :raises errors.InvalidRequest: a file cannot be where it should.
    """
    by_directory: dict[pathlib.PurePosixPath, list[process.File]] = {}
    for file in files:
        by_directory.setdefault(pathlib.PurePosixPath(file.path).parent, []).append(file)
    for directory, together in by_directory.items():
        _put(engine, name, directory, together)


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
         files: list[process.File]) -> None:
    """Into the nearest directory that is there: unpacked, a directory would replace a link."""
    for there in (directory, *directory.parents):
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
                client, 'PUT', f'/containers/{docker_client.quoted(name)}/archive',
                params={'path': str(directory), 'noOverwriteDirNonDir': '1'}, data=archive):
            pass


def _archive(there: pathlib.PurePosixPath, directory: pathlib.PurePosixPath,
             files: Iterable[process.File]) -> bytes:
    """The files of a directory, and what is missing between it and ``there``."""
    content = io.BytesIO()
    below = directory.relative_to(there)
    with tarfile.open(fileobj=content, mode='w') as archive:
        for missing in [*reversed(below.parents[:-1]), below][:len(below.parts)]:
            member = _member(missing, _DIRECTORY_MODE)
            member.type = tarfile.DIRTYPE
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
