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

"""Glance's way of handing out images and of taking them, behind a real HTTP server.

Nova's and Glance's own clients talk to it, so that what they make of a cut
connection or of a wrong checksum is what the driver meets.
"""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import json
import threading
from typing import Any
import uuid

import fixtures
from nova import context as nova_context

CHUNK = 64 * 1024
#: What Glance's schema knows; all else is a property its owner made up.
_SCHEMA = {'name': 'image', 'properties': {name: {'is_base': True} for name in (
    'id', 'name', 'status', 'visibility', 'protected', 'checksum', 'owner', 'size', 'min_ram',
    'min_disk', 'container_format', 'disk_format', 'created_at', 'updated_at', 'tags',
    'os_hash_algo', 'os_hash_value')}, 'additionalProperties': {'type': 'string'}}


@dataclasses.dataclass
class Image:
    """One image and how its next downloads go wrong."""

    data: bytes
    record: dict[str, Any]
    #: The connection is cut after this many bytes; so often.
    cut_after: int | None = None
    cuts: int = 0
    #: Nothing more is sent after this many bytes until the fake ends.
    stall_after: int | None = None
    #: An upload's connection is cut after this many bytes.
    cut_upload_after: int | None = None
    #: Nothing of an upload is read until the fake ends.
    stall_upload: bool = False
    #: The last byte of an upload is lost.
    lose_a_byte: bool = False
    uploads: int = 0
    downloads: int = 0
    sent: int = 0
    #: Set when the first bytes of a download have been sent.
    begun: threading.Event = dataclasses.field(default_factory=threading.Event)


class FakeGlance(fixtures.Fixture):  # type: ignore[misc]  # fixtures has no types
    """A Glance to download from and to upload to, at :attr:`url`; give it to [glance] api_servers.

    :ivar images: by id.
    """

    def _setUp(self) -> None:
        self.images: dict[str, Image] = {}
        self.ended = threading.Event()
        self._server = _Server(self)
        self.url = f'http://127.0.0.1:{self._server.server_address[1]}'
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """Take no more connections."""
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, data: bytes, **record: Any) -> Image:
        """Upload an image; record may give other values than the data has."""
        image_id = record.pop('id', None) or str(uuid.uuid4())
        image = Image(data, {
            'id': image_id, 'name': 'test', 'status': 'active', 'visibility': 'private',
            'container_format': 'docker', 'disk_format': 'raw', 'size': len(data),
            'min_ram': 0, 'min_disk': 0, 'owner': 'project', 'protected': False, 'tags': [],
            'created_at': '2026-01-01T00:00:00Z', 'updated_at': '2026-01-01T00:00:00Z',
            'checksum': hashlib.md5(data, usedforsecurity=False).hexdigest(),
            'os_hash_algo': 'sha512', 'os_hash_value': hashlib.sha512(data).hexdigest(),
            **record})
        self.images[image_id] = image
        return image

    def queued(self, **properties: Any) -> Image:
        """An image as Nova makes it for a snapshot."""
        return self.add(b'', status='queued', container_format=None, disk_format=None, size=None,
                        checksum=None, os_hash_algo=None, os_hash_value=None, **properties)

    @staticmethod
    def context() -> nova_context.RequestContext:
        """A user's context, whose token this Glance does not look at."""
        return nova_context.RequestContext(
            user_id='user', project_id='project', auth_token='token', is_admin=True)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, fake: FakeGlance) -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.fake = fake

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that go away are part of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        fake = self.server.fake
        version, kind, image, *rest = self._asked()
        if self.path == '/v2/schemas/image':
            self._send(200, json.dumps(_SCHEMA).encode())
        elif (version, kind) != ('v2', 'images') or image is None:
            self._send(404, b'{}')
        elif rest[0] == 'file':
            self._send_data(fake, image)
        else:
            self._send(200, json.dumps(image.record).encode())

    def _asked(self) -> tuple[str, str, Image | None, str]:
        _, version, kind, image_id, rest = [*self.path.split('/'), '', '', ''][:5]
        return version, kind, self.server.fake.images.get(image_id), rest

    def do_PATCH(self) -> None:
        image = self._asked()[2]
        body = self.rfile.read(int(self.headers['Content-Length']))
        if image is None:
            self._send(404, b'{}')
            return
        for change in json.loads(body):
            name = change['path'].removeprefix('/')
            if change['op'] == 'remove':
                del image.record[name]
            else:
                image.record[name] = change['value']
        self._send(200, json.dumps(image.record).encode())

    def do_PUT(self) -> None:
        image = self._asked()[2]
        if image is None:
            self._send(404, b'{}')
            return
        image.uploads += 1
        if image.stall_upload:
            self.server.fake.ended.wait()
            return
        data = bytearray()
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
            if image.cut_upload_after is not None and len(data) > image.cut_upload_after:
                return
        self.rfile.readline()
        self._store(image, bytes(data[:-1] if image.lose_a_byte else data))
        self.send_response(204)
        self.end_headers()

    def _store(self, image: Image, data: bytes) -> None:
        image.data = data
        image.record |= {
            'status': 'active', 'size': len(data),
            'checksum': hashlib.md5(data, usedforsecurity=False).hexdigest(),
            'os_hash_algo': 'sha512', 'os_hash_value': hashlib.sha512(data).hexdigest()}

    def log_message(self, format: str, *args: Any) -> None:   # the base class names it so
        """Nothing: the tests' output is not the place."""

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_data(self, fake: FakeGlance, image: Image) -> None:
        image.downloads += 1
        if not image.data:
            self.send_response(204)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header('Content-Type', 'application/octet-stream')
        self.send_header('Content-Length', str(len(image.data)))
        self.end_headers()
        end = len(image.data)
        if image.cuts:
            image.cuts -= 1
            end = image.cut_after or 0
        for start in range(0, end, CHUNK):
            piece = image.data[start:min(start + CHUNK, end)]
            self.wfile.write(piece)
            image.sent += len(piece)
            image.begun.set()
            if image.stall_after is not None and start + CHUNK >= image.stall_after:
                fake.ended.wait()
                return
