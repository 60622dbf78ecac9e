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

"""Devices by CDI names, for engines that do not know them.

A CDI specification is a file in which whoever makes a device says what a
container needs for it: https://github.com/cncf-tags/container-device-interface
(SPEC.md). Engines since Docker 27 and Podman 4 read them by themselves. For
others they are read here, as far as an engine can be told the same in other
words: device files, mounts and environment. What needs a hook of the OCI
runtime is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import pathlib
from typing import Any

from oslo_log import log as logging
import yaml

from zun_nova import errors
from zun_nova.virt import flavor_config
from zun_nova.virt import spec as container_spec

LOG = logging.getLogger(__name__)

#: In order of precedence, the last one first; of the specification.
DIRECTORIES = (pathlib.Path('/etc/cdi'), pathlib.Path('/var/run/cdi'))

_WHERE = f'flavor extra spec {flavor_config.CDI}'
_EDITS = {'deviceNodes', 'mounts', 'env'}
_NODE = {'path', 'hostPath', 'permissions', 'type', 'major', 'minor'}
_MOUNT = {'hostPath', 'containerPath', 'options', 'type'}
#: Options of mounts that an engine sets anyway, or that change nothing in a container.
_OPTIONS = {'rw', 'ro', 'bind', 'rbind', 'nosuid', 'nodev', 'private', 'rprivate'}


@dataclasses.dataclass(frozen=True)
class Edits:
    """What a container gets for its devices."""

    devices: tuple[flavor_config.Device, ...] = ()
    mounts: tuple[container_spec.Mount, ...] = ()
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)


def read(directories: Iterable[pathlib.Path] = DIRECTORIES) -> dict[str, list[Mapping[str, Any]]]:
    """The edits of each device on this host, by qualified name, read anew.

    Those of the whole specification come first. What is no specification is
    logged and passed over.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for directory in directories:
        for path in sorted((*directory.glob('*.json'), *directory.glob('*.yaml'))):
            try:
                found |= dict(_devices(yaml.safe_load(path.read_text())))
            except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as ex:
                LOG.warning('Passing over %s, which is no CDI specification: %r', path, ex)
    return found


def _devices(content: Any) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    common = _edits(content)
    for device in content['devices']:
        yield f'{content["kind"]}={device["name"]}', [common, _edits(device)]


def _edits(part: Any) -> Mapping[str, Any]:
    edits = part.get('containerEdits', {}) if isinstance(part, Mapping) else None
    if not isinstance(edits, Mapping):
        raise TypeError(f'{part!r:.80} is not what has edits')
    return edits


def resolve(names: Iterable[str], known: Mapping[str, list[Mapping[str, Any]]]) -> Edits:
    """What a container needs for these devices.

    :param known: of :func:`read`.
    :raises errors.InvalidSpec: the host has no such device, or it cannot be
        had without an engine that knows CDI.
    """
    edits: list[Mapping[str, Any]] = []
    for name in names:
        if name not in known:
            raise errors.InvalidSpec(
                _WHERE, f'the host has no CDI device {name}, only {", ".join(known) or "none"}; '
                'keep the flavor to hosts that have it')
        for edit in known[name]:
            _only(name, edit, _EDITS)
            # Those of the specification are once for all of its devices.
            if edit not in edits:
                edits.append(edit)
    joined = ', '.join(names)
    return Edits(
        devices=tuple(_device(joined, node) for node in _each(edits, 'deviceNodes')),
        mounts=tuple(_mount(joined, mount) for mount in _each(edits, 'mounts')),
        env=dict(variable.partition('=')[::2] for variable in _each(edits, 'env')),
    )


def _each(edits: Iterable[Mapping[str, Any]], key: str) -> Iterator[Any]:
    for edit in edits:
        yield from edit.get(key) or ()


def _device(name: str, node: Mapping[str, Any]) -> flavor_config.Device:
    _only(name, node, _NODE)
    path = node.get('hostPath') or node['path']
    if not pathlib.Path(path).exists():
        raise errors.InvalidSpec(_WHERE, f'{name} needs {path}, which the host has not')
    return flavor_config.Device(path, node['path'], node.get('permissions') or 'rwm')


def _mount(name: str, mount: Mapping[str, Any]) -> container_spec.Mount:
    _only(name, mount, _MOUNT)
    options = set(mount.get('options') or ())
    if mount.get('type', 'bind') not in ('', 'bind') or not options <= _OPTIONS:
        raise errors.InvalidSpec(
            _WHERE, f'{name} needs a mount that this engine cannot make: {dict(mount)}')
    return container_spec.Mount(mount['hostPath'], mount['containerPath'], 'ro' in options)


def _only(name: str, wanted: Mapping[str, Any], possible: set[str]) -> None:
    rest = {key for key, value in wanted.items() if value} - possible
    if rest:
        raise errors.InvalidSpec(
            _WHERE, f'{name} needs {", ".join(sorted(rest))}, which only an engine that knows '
            'CDI can do: Docker 27 or Podman 4')
