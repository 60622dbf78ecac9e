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

"""The cloud that is measured, and what is booted in it."""

from __future__ import annotations

import dataclasses
from typing import Any

from zun_cloud import credentials
from zun_cloud import hosts
from zun_cloud import identity
from zun_cloud import settings as cloud_settings


@dataclasses.dataclass(frozen=True)
class Cloud:
    """A standalone cloud with its first compute host, image, flavor and network."""

    settings: cloud_settings.Settings
    host: hosts.Host
    #: openstacksdk connections.
    demo: Any
    admin: Any
    image: Any
    flavor: Any
    network: Any


def connect() -> Cloud:
    """The cloud that ZUN_CLOUD_STATE names; it must be up."""
    settings = cloud_settings.load()
    passwords = credentials.load(settings)
    demo = identity.connect(settings, passwords, 'demo')
    return Cloud(
        settings=settings,
        host=hosts.Host(settings, 1),
        demo=demo,
        admin=identity.connect(settings, passwords, 'admin'),
        image=demo.image.find_image('busybox', ignore_missing=False),
        flavor=demo.compute.find_flavor('container.tiny', ignore_missing=False),
        network=demo.network.find_network('private', ignore_missing=False),
    )
