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

"""The cloud's passwords: random, made once, in one file only root may read."""

from __future__ import annotations

import json
import os
import secrets
import typing

from zun_cloud import settings as cloud_settings

NAMES = (
    'admin', 'demo', 'database', 'rabbitmq', 'metadata', 'heat-domain',
    'keystone', 'placement', 'glance', 'neutron', 'nova', 'cinder', 'heat',
)


def load(settings: cloud_settings.Settings) -> dict[str, str]:
    """Every password by name; what is missing from the file is made and kept."""
    path = settings.directory('etc') / 'passwords.json'
    try:
        known: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        known = {}
    missing = [name for name in NAMES if name not in known]
    if missing:
        known.update({name: secrets.token_hex(16) for name in missing})
        write_private(path, json.dumps(known, indent=1) + '\n')
    return known


def write_private(path: os.PathLike[str], text: str, mode: int = 0o600) -> None:
    """Replace a file whole; at no moment is it readable by others or half written."""
    temporary = f'{os.fspath(path)}.new'
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with typing.cast(typing.TextIO, os.fdopen(descriptor, 'w')) as stream:
        os.fchmod(descriptor, mode)
        stream.write(text)
    os.replace(temporary, path)
