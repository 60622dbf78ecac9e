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

"""A configuration of tempest for the cloud that runs."""

from __future__ import annotations

import pathlib
import typing

from zun_cloud import content
from zun_cloud import credentials
from zun_cloud import identity
from zun_cloud import image
from zun_cloud import rendering
from zun_cloud import settings as cloud_settings

_OTHER_IMAGE = 'busybox-other'


def write(settings: cloud_settings.Settings) -> pathlib.Path:
    """Write tempest.conf, and make the second image it names; may be repeated."""
    passwords = credentials.load(settings)
    with identity.connect(settings, passwords, 'admin') as admin:
        facts = _facts(admin, settings)
    output = rendering.Output('tempest.conf', settings.etc / 'tempest.conf', extra=facts)
    text = rendering.render_one(rendering.make_environment(), output, settings, passwords)
    credentials.write_private(output.path, text, output.mode)
    return output.path


def _facts(admin: typing.Any, settings: cloud_settings.Settings) -> dict[str, str]:
    """What only the services know."""
    smallest, next_one = list(content.FLAVORS)[:2]
    return {
        'image': admin.image.find_image('busybox', ignore_missing=False).id,
        'other_image': _other_image(admin, settings),
        'flavor': admin.compute.find_flavor(smallest, ignore_missing=False).id,
        'other_flavor': admin.compute.find_flavor(next_one, ignore_missing=False).id,
        'public_network': admin.network.find_network('public', ignore_missing=False).id,
    }


def _other_image(admin: typing.Any, settings: cloud_settings.Settings) -> str:
    """The busybox image once more: tests rebuild servers with another image."""
    found = admin.image.find_image(_OTHER_IMAGE)
    if found is None:
        archive = settings.directory('cache') / 'busybox.tar'
        image.write_busybox(archive)
        found = admin.create_image(
            _OTHER_IMAGE, filename=str(archive), container_format='docker', disk_format='raw',
            visibility='public', wait=True, timeout=60)
    return str(found.id)
