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

"""Which properties the image of a snapshot has; pure.

Nova gives it those of the server's image. But the image is of the server: its
configuration has the command, environment and user that the server ran with,
wherever they were said, and properties go before a configuration. What no
configuration can say (a terminal, sysctls) becomes a property instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import json
from typing import Any

from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt import image_source
from zun_nova.virt import owner_config

LOG = logging.getLogger(__name__)

#: Keys of the configuration that an image's own cannot say.
_CARRIED = ('tty', 'stdin', 'read_only', 'stop_timeout', 'tmpfs', 'sysctls', 'ulimits')
_OF_CONTENT = (image_source.REFERENCE_PROPERTY, image_source.SECRET_PROPERTY)


def of_snapshot(given: Mapping[str, str], instance: Any) -> dict[str, str]:
    """The properties of the image of a server.

    :param given: those Nova has given it: of the server's image, and of who asked for the
        snapshot, which stay.
    :param instance: Nova's Instance with metadata, system metadata and user data.
    """
    inherited = image_source.properties_of(instance)
    kept = {name: value for name, value in given.items()
            if not (_is_of_container(name) and value == inherited.get(name))}
    return dict(_carried(instance, inherited)) | kept


def _is_of_container(name: str) -> bool:
    return (name.startswith(owner_config.PREFIX) or name == owner_config.COMMAND_LINE
            or name in _OF_CONTENT)


def _carried(instance: Any, inherited: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    try:
        config = owner_config.read(instance.user_data, instance.metadata, {
            name: value for name, value in inherited.items()
            if name.startswith(owner_config.PREFIX)})
    except errors.InvalidSpec as ex:   # it was changed after the server was made
        LOG.warning('The snapshot has no properties of the container: %s', ex, instance=instance)
        return
    for key in _CARRIED:
        if key not in config:
            continue
        values = config[key]
        named = {f'{key}:{name}': value for name, value in values.items()} if isinstance(
            values, Mapping) else {key: values}
        for name, value in named.items():
            text = value if isinstance(value, str) else json.dumps(value)
            if len(text.encode()) < owner_config.PROPERTY_BYTES:
                yield owner_config.PREFIX + name, text
            else:
                LOG.warning('%s is too long for a property of the snapshot', name,
                            instance=instance)
