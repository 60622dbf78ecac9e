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

"""Network namespaces that outlive containers, on Podman: named ones, which the driver makes.

Podman's containers join a namespace by its path, so nothing need hold it but its
name in /run/netns, where ``ip netns`` shows it. What Podman has no place for is
in files of the driver: the labels, and what containers have as /etc/hosts,
/etc/resolv.conf and /etc/hostname. They outlive a restart of the host, which
loses the namespace.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import json
import os
import pathlib
import shutil
import tempfile
import threading
from typing import Any

from zun_nova import errors
from zun_nova.vif import named
from zun_nova.vif import privileged
from zun_nova.virt import spec as container_spec
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import podman_request

_RECORD = 'network.json'


class Networks:
    """The open networks of one host; see base.Runtime for the contracts.

    :param directory: of the records, one below it for each network.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()

    def open(self, network: container_spec.NetworkSpec) -> str:
        """Have the files and then the namespace; returns its path."""
        with self._lock:
            try:
                return self.path(network.name)
            except errors.NotFound:
                self._write(network)
                privileged.make_namespace(network.name)
                return str(named.DIRECTORY / network.name)

    def path(self, name: str) -> str:
        """The path of the namespace.

        :raises errors.NotFound: it is not open.
        """
        path = named.DIRECTORY / name
        if not (self._directory / name / _RECORD).exists() or not named.is_there(path):
            raise errors.NotFound(f'find network {name}', 'it is not open')
        return str(path)

    def joined(self, name: str) -> podman_request.Network:
        """What a container needs of it.

        :raises errors.NotFound: it is not open.
        """
        path = self.path(name)
        home = self._directory / name
        return podman_request.Network(path, _read(home)['hostname'], str(home))

    def close(self, name: str) -> None:
        """Remove the namespace and then its files; nothing to do when absent."""
        with self._lock:
            if (named.DIRECTORY / name).exists():
                privileged.remove_namespace(name)
            shutil.rmtree(self._directory / name, ignore_errors=True)

    def list(self, labels: Mapping[str, str]) -> list[base.ContainerSummary]:
        """Those that carry all these labels, as if a container held each."""
        return [row for row in self._rows() if labels.items() <= row.labels.items()]

    def _rows(self) -> Iterator[base.ContainerSummary]:
        for record in sorted(self._directory.glob(f'*/{_RECORD}')):
            name = record.parent.name
            try:
                labels = _read(record.parent)['labels']
            except FileNotFoundError:
                continue   # closed meanwhile
            is_open = named.is_there(named.DIRECTORY / name)
            yield base.ContainerSummary(
                id='', name=name, labels=labels, image_id='',
                state=base.State.RUNNING if is_open else base.State.EXITED)

    def _write(self, network: container_spec.NetworkSpec) -> None:
        home = self._directory / network.name
        home.mkdir(parents=True, exist_ok=True)
        for file, text in files(network).items():
            _replace(home / file, text, 0o644)
        # Last: only with it there is a network.
        _replace(home / _RECORD, json.dumps(dataclasses.asdict(network)), 0o600)


def files(network: container_spec.NetworkSpec) -> dict[str, str]:
    """The content of each of podman_request.NETWORK_FILES; pure."""
    names = ' '.join(dict.fromkeys((network.hostname, *network.aliases)))
    return {
        'hosts': ''.join(f'{line}\n' for line in (
            '127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback',
            'fe00::0\tip6-localnet', 'ff02::1\tip6-allnodes', 'ff02::2\tip6-allrouters',
            *(f'{address}\t{names}' for address in network.addresses))),
        'resolv.conf': ''.join(f'{line}\n' for line in (
            *([f'search {" ".join(network.dns_search)}'] if network.dns_search else ()),
            # To the resolver this address says the same as an empty file.
            *(f'nameserver {server}' for server in network.dns_servers or ('127.0.0.1',)))),
        'hostname': f'{network.hostname}\n',
    }


def _read(home: pathlib.Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((home / _RECORD).read_text())
    return record


def _replace(path: pathlib.Path, text: str, mode: int) -> None:
    """Write it whole or not at all."""
    with tempfile.NamedTemporaryFile('w', dir=path.parent, prefix='.new-', delete=False) as new:
        new.write(text)
        os.fchmod(new.fileno(), mode)
    os.replace(new.name, path)
