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

"""A real registry of container images for tests, on loopback."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
import unittest

import fixtures
import requests

from zun_nova.tests import images

REGISTRY = '/usr/bin/docker-registry'
USERNAME = 'alice'
#: With what divides and quotes in other places.
PASSWORD = 'won:der"land'
_HTPASSWD = f'{USERNAME}:$2b$04$LHD/mQRI3vYNq0/isGWIZ.jhsUb2d9u6cphJE4FOsvW7IwHVtFQ0i\n'
MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
_CONFIG = 'application/vnd.docker.container.image.v1+json'
_LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip'
_LISTENING = re.compile(r'listening on 127\.0\.0\.1:([0-9]+)')
_START_SECONDS = 60
_STOP_SECONDS = 30


def why_not() -> str | None:
    """Why no registry can be had here; None when one can."""
    return None if os.path.exists(REGISTRY) else f'{REGISTRY} is missing: install docker-registry'


class Registry(fixtures.Fixture):
    """A registry of its own, empty at first; skips the test where there is no program.

    :param closed: it asks for USERNAME and PASSWORD.
    :param port: to listen on; 0 is any free one.
    :ivar name: host and port, as in names of images.
    """

    def __init__(self, closed: bool = False, port: int = 0) -> None:
        super().__init__()
        self._closed = closed
        self._port = port

    def _setUp(self) -> None:
        reason = why_not()
        if reason:
            raise unittest.SkipTest(reason)
        self._root = pathlib.Path(tempfile.mkdtemp(prefix='zun-test-registry-'))
        self.addCleanup(shutil.rmtree, self._root)
        self._write_configuration()
        self.start()
        self.addCleanup(self.stop)

    @property
    def name(self) -> str:
        return f'127.0.0.1:{self._port}'

    def start(self) -> None:
        """Run it and wait until it listens; what it held, it holds still."""
        log = self._root / 'log'
        log.write_bytes(b'')
        with log.open('ab') as output:
            self._process = subprocess.Popen(
                [REGISTRY, 'serve', str(self._root / 'config.json')], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output)
        deadline = time.monotonic() + _START_SECONDS
        while not (found := _LISTENING.search(log.read_text())):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(f'The registry did not start:\n{log.read_text()}')
            time.sleep(0.05)
        self._port = int(found[1])
        self._write_configuration()   # for the next start, at the same port

    def stop(self) -> None:
        """End it; may be called again."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)

    def freeze(self) -> None:
        """Let it accept connections but not answer, until it is stopped."""
        self._process.send_signal(signal.SIGSTOP)

    def push(self, repository: str, layers: Sequence[bytes], architecture: str | None = None,
             **config: object) -> str:
        """Put an image of these layers (tars) into it; returns its name with digest.

        :param architecture: by Go's name; this machine's when left out.
        :param config: of the image, such as Cmd=['sh'].
        """
        content = json.dumps({
            'architecture': architecture or images.architecture(), 'os': 'linux',
            'config': config,
            'rootfs': {'type': 'layers', 'diff_ids': [digest(layer) for layer in layers]},
        }, sort_keys=True).encode()
        packed = [gzip.compress(layer, mtime=0) for layer in layers]
        return self.push_manifest(repository, MANIFEST, {
            'schemaVersion': 2, 'mediaType': MANIFEST,
            'config': self._blob(repository, _CONFIG, content),
            'layers': [self._blob(repository, _LAYER, layer) for layer in packed]})

    def push_list(self, reference: str, architecture: str | None = None) -> str:
        """Put a manifest list of one image into it; returns its name with digest."""
        repository, _, of_image = reference.removeprefix(f'{self.name}/').partition('@')
        manifest = self._ask('GET', f'/v2/{repository}/manifests/{of_image}', kind=MANIFEST)
        return self.push_manifest(repository, MANIFEST_LIST, {
            'schemaVersion': 2, 'mediaType': MANIFEST_LIST, 'manifests': [{
                'mediaType': MANIFEST, 'size': len(manifest.content), 'digest': of_image,
                'platform': {'os': 'linux',
                             'architecture': architecture or images.architecture()}}]})

    def push_manifest(self, repository: str, kind: str, manifest: Mapping[str, object]) -> str:
        """Put a manifest into it whose blobs are there; returns its name with digest."""
        content = json.dumps(manifest).encode()
        reference = digest(content)
        self._ask('PUT', f'/v2/{repository}/manifests/{reference}', content, kind)
        return f'{self.name}/{repository}@{reference}'

    def _blob(self, repository: str, kind: str, content: bytes) -> dict[str, object]:
        begun = self._ask('POST', f'/v2/{repository}/blobs/uploads/')
        self._ask('PUT', f'{begun.headers["Location"]}&digest={digest(content)}', content)
        return {'mediaType': kind, 'size': len(content), 'digest': digest(content)}

    def _ask(self, method: str, path: str, data: bytes = b'',
             kind: str = 'application/octet-stream') -> requests.Response:
        url = path if path.startswith('http') else f'http://{self.name}{path}'
        response = requests.request(
            method, url, data=data, headers={'Content-Type': kind, 'Accept': kind},
            auth=(USERNAME, PASSWORD) if self._closed else None, timeout=60)
        response.raise_for_status()
        return response

    def _write_configuration(self) -> None:
        configuration: dict[str, object] = {
            'version': '0.1',
            'storage': {'filesystem': {'rootdirectory': str(self._root / 'data')}},
            'http': {'addr': f'127.0.0.1:{self._port}'}}
        if self._closed:
            passwords = self._root / 'htpasswd'
            passwords.write_text(_HTPASSWD)
            configuration['auth'] = {'htpasswd': {'realm': 'test', 'path': str(passwords)}}
        (self._root / 'config.json').write_text(json.dumps(configuration))


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class SlowLine(fixtures.Fixture):
    """A way to a registry on which every layer takes hours, though something always comes.

    :ivar begun: set when a layer is on its way.
    """

    _AT_ONCE = 64 * 1024   # of each connection: manifests, and the beginning of a layer
    _PIECE = 2048
    _PAUSE = 0.5

    def __init__(self, registry: Registry, port: int) -> None:
        super().__init__()
        self._target = registry.name
        self._port = port
        self._ended = threading.Event()
        self.begun = threading.Event()
        self.name = f'127.0.0.1:{port}'

    def _setUp(self) -> None:
        line = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    line._carry(self.request)

        server = _Server(('127.0.0.1', self._port), Handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.addCleanup(self._ended.set)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        host, _, port = self._target.partition(':')
        with socket.create_connection((host, int(port)), timeout=60) as there:
            threading.Thread(target=self._pass_on, args=(client, there), daemon=True).start()
            carried = 0
            while data := there.recv(self._PIECE):
                client.sendall(data)
                carried += len(data)
                if carried > self._AT_ONCE:
                    self.begun.set()
                    if self._ended.wait(self._PAUSE):
                        return

    @staticmethod
    def _pass_on(client: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                there.sendall(data)
            there.shutdown(socket.SHUT_RDWR)


def digest(content: bytes) -> str:
    """As registries name content."""
    return f'sha256:{hashlib.sha256(content).hexdigest()}'
