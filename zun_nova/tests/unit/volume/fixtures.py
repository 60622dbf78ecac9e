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

"""Stand-ins for what zun_nova.volume does as root, and for os-brick."""

from __future__ import annotations

from collections.abc import Mapping
import errno
import os
from typing import Any
from unittest import mock

import fixtures
from os_brick import exception as brick_exception
from os_brick.initiator import connector

from zun_nova.volume import brick
from zun_nova.volume import filesystem
from zun_nova.volume import privileged

GIB = 1024 ** 3


class RecordedVolumes(fixtures.Fixture):
    """No volumes at all; it behaves as a host that has them.

    A volume of which nothing else is said is an empty file of one GiB.
    """

    def __init__(self) -> None:
        super().__init__()
        #: Device of each file that has one.
        self.loops: dict[str, str] = {}
        #: What is on which file.
        self.content: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        #: What is mounted where on the host.
        self.mounted: dict[str, str] = {}
        #: Where in which container.
        self.inside: set[tuple[str, str]] = set()
        #: Files and devices that os-brick has connected.
        self.connected: set[str] = set()
        #: Calls that fail, by name.
        self.errors: dict[str, Exception] = {}
        #: How often this host was asked what it is.
        self.asked = 0

    def _setUp(self) -> None:
        for name in ('attach_loop', 'detach_loop', 'resize_loop', 'size', 'probe',
                     'make_filesystem', 'grow', 'mount', 'unmount', 'bring_in', 'take_out'):
            self._patch(privileged, name, self._call(name))
        self._patch(brick.Brick, '_connector', lambda _, connection: _Connector(
            self, connection.volume_id))
        self._patch(connector, 'get_connector_properties', self._properties)

    def _patch(self, owner: Any, name: str, value: Any) -> None:
        patcher = mock.patch.object(owner, name, value)
        patcher.start()
        self.addCleanup(patcher.stop)

    def _call(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            if name in self.errors:
                raise self.errors[name]
            return getattr(self, '_' + name)(*arguments)

        return call

    def _properties(self, *_: Any, **more: Any) -> dict[str, Any]:
        self.asked += 1
        return {'initiator': 'iqn.2026-11.test:host', 'host': more['host'], 'ip': None}

    def _file(self, device: str) -> str:
        return next(path for path, its in self.loops.items() if its == device)

    def _attach_loop(self, path: str, read_only: bool) -> str:
        if path not in self.connected:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.loops.setdefault(path, f'/dev/loop{len(self.loops)}')

    def _detach_loop(self, path: str) -> None:
        if self.loops.get(path) in self.mounted.values():
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self.loops.pop(path, None)

    def _resize_loop(self, path: str) -> None:
        """Nothing: the device is as large as its file."""

    def _size(self, device: str) -> int:
        return self.sizes.get(self._file(device), GIB)

    def _probe(self, device: str) -> str:
        return self.content.get(self._file(device), '')

    def _make_filesystem(self, device: str, kind: str) -> None:
        self.content[self._file(device)] = kind

    def _grow(self, device: str, kind: str, target: str) -> None:
        assert self.mounted[target] == device
        assert kind in filesystem.KNOWN

    def _mount(self, device: str, kind: str, target: str, read_only: bool) -> None:
        assert os.path.isdir(target)
        assert self.content[self._file(device)] == kind
        self.mounted[target] = device

    def _unmount(self, target: str) -> None:
        self.mounted.pop(target, None)

    def _bring_in(self, pid: int, container_id: str, source: str, target: str) -> None:
        assert source in self.mounted
        self.inside.add((container_id, target))

    def _take_out(self, pid: int, container_id: str, source: str) -> None:
        self.inside = {(each, path) for each, path in self.inside
                       if (each, os.path.basename(path)) != (
                           container_id, os.path.basename(source))}


class _Connector:
    """That of one volume."""

    def __init__(self, host: RecordedVolumes, volume_id: str) -> None:
        self._host = host
        self._path = f'/shares/{volume_id}'

    def connect_volume(self, data: Mapping[str, Any]) -> dict[str, Any]:
        if 'connect' in self._host.errors:
            raise brick_exception.VolumeDeviceNotFound(device='password=verysecret')
        self._host.connected.add(self._path)
        return {'path': self._path}

    def disconnect_volume(self, data: Mapping[str, Any], device: Mapping[str, Any]) -> None:
        self._host.connected.discard(self._path)
