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

"""What Nova gives a server when it is built, and keeps nowhere: files and a password."""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import pathlib
from typing import Any

from zun_nova import errors
from zun_nova.virt import config_schema
from zun_nova.virt import process
from zun_nova.virt import spec


@dataclasses.dataclass(frozen=True)
class Given:
    """For one server."""

    #: Nova calls them the personality of a server, and injected files.
    files: tuple[process.File, ...] = ()
    admin_password: str | None = dataclasses.field(default=None, repr=False)


def admin_of(instance: Any) -> str:
    """The user whom the server's image calls the administrator: os_admin_user, or root."""
    return str(instance.image_meta.properties.get('os_admin_user') or 'root')


def given(injected_files: Iterable[tuple[str, bytes]], admin_password: str | None) -> Given:
    """Of the arguments of ComputeDriver.spawn.

    :raises errors.InvalidSpec: a path may be in no container; the same rules
        hold as for ``files`` of a document.
    """
    files = []
    for number, (path, content) in enumerate(injected_files):
        # Relative ones are of the root, as in Nova's other drivers.
        file = process.File(path if path.startswith('/') else f'/{path}', content)
        for problem in config_schema.problems({'files': [{'path': file.path, 'content': ''}]}):
            raise errors.InvalidSpec(f'personality[{number}].path', problem.rule)
        files.append(file)
    return Given(tuple(files), admin_password)


def with_files(container: spec.ContainerSpec, more: Given) -> spec.ContainerSpec:
    """The container with these files beside those of its owner's document.

    :raises errors.InvalidSpec: one is named twice, or would not be seen.
    """
    taken = {pathlib.PurePosixPath(file.path) for file in container.files}
    hiding = {pathlib.PurePosixPath(mount.path) for mount in container.tmpfs}
    for number, file in enumerate(more.files):
        path = pathlib.PurePosixPath(file.path)
        where = f'personality[{number}].path'
        if path in taken or any(path in each.parents or each in path.parents for each in taken):
            raise errors.InvalidSpec(where, 'is named twice, or lies below another file')
        if hidden := hiding.intersection((path, *path.parents)):
            raise errors.InvalidSpec(where, f'would be hidden by the tmpfs at {min(hidden)}')
        taken.add(path)
    return dataclasses.replace(container, files=(*container.files, *more.files))
