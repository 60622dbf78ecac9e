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

"""Rewrites an image that was made on this host on its way out.

What an engine saves names the host's containers and images: the container it
was made of with all its labels, its own names for the image. Of that, nothing
leaves: layers are passed on as they are, and the configuration and the
manifest are written anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import hashlib
import json
from typing import Any

from zun_nova.virt import archive
from zun_nova.virt import archive_contents
from zun_nova.virt import compression
from zun_nova.virt import identity
from zun_nova.virt import image_json
from zun_nova.virt import oci_layout
from zun_nova.virt import tar_stream

BadArchive = tar_stream.BadArchive

#: What an image says of itself; see
#: https://github.com/opencontainers/image-spec/blob/main/config.md
_KEPT = ('architecture', 'os', 'variant', 'os.version', 'os.features', 'created', 'author',
         'rootfs', 'history')
#: What it says of its containers: that specification's, and Docker's own.
_CONFIG_KEPT = ('User', 'ExposedPorts', 'Env', 'Entrypoint', 'Cmd', 'Volumes', 'WorkingDir',
                'Labels', 'StopSignal', 'Healthcheck', 'Shell', 'OnBuild', 'ArgsEscaped')


def portable(source: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield a ``docker save`` archive with its one image, which has no name any more.

    One pass; nothing is kept but configurations. What the engine wrote is
    checked: each layer must be what the configuration says of it.

    :param max_bytes: of all that is in it when it is unpacked.
    :raises BadArchive: it is cut short or damaged, or too large.
    """
    budget = compression.Budget(max_bytes)
    contents = archive_contents.Contents()
    yield from _layers(source, contents, budget)
    image = archive.image_in(contents, oci_layout.host_platform())
    archive.check(contents, image)
    config = _written(_cleaned(image_json.parse(contents.texts[image.config], 'configuration')))
    name = f'{hashlib.sha256(config).hexdigest()}.json'
    yield tar_stream.file(name, config)
    yield tar_stream.file(archive.MANIFEST, _written(
        [{'Config': name, 'RepoTags': None, 'Layers': list(image.layers)}]))
    yield tar_stream.END


def _layers(source: Iterable[bytes], contents: archive_contents.Contents,
            budget: compression.Budget) -> Iterator[bytes]:
    """All files but JSON, which is noted in contents."""
    reader = tar_stream.Reader(_counted(source, budget))
    for given in reader:
        member = contents.add(given)
        if member is None or member.kind is tar_stream.Kind.DIRECTORY:
            continue
        data = reader.data()
        if member.kind is tar_stream.Kind.FILE and member.size <= image_json.MAX_BYTES:
            whole = b''.join(data)
            data = iter([whole])
            if _is_json(whole):
                for _ in contents.watched(member, data, budget):
                    pass
                contents.texts[member.name] = whole
                continue
        yield member.header()
        yield from contents.watched(member, data, budget)
        yield tar_stream.padding(member.size)


def _counted(source: Iterable[bytes], budget: compression.Budget) -> Iterator[bytes]:
    for piece in source:
        budget.use(len(piece))
        yield piece


def _is_json(data: bytes) -> bool:
    """No tar is: there are NULs in it."""
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _cleaned(document: Any) -> dict[str, Any]:
    found = _chosen(document, _KEPT)
    config = _chosen(document.get('config'), _CONFIG_KEPT)
    if labels := config.pop('Labels', None):
        config['Labels'] = {name: value for name, value in labels.items()
                            if not name.startswith(identity.LABEL_PREFIX)}
    return found | {'config': config}


def _chosen(document: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: document[name] for name in names if (document or {}).get(name) is not None}


def _written(value: Any) -> bytes:
    return json.dumps(value).encode()
