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

"""Which of Neutron's back ends a cloud's data were made with.

Ports, networks and routers are bound to the back end they were made on. It is noted with the
data, because the setting alone may come from anywhere.
"""

from __future__ import annotations

import pathlib

from zun_cloud import errors
from zun_cloud import settings as cloud_settings


def check(settings: cloud_settings.Settings) -> None:
    """:raises CloudError: the cloud's data were made with another back end than the settings'."""
    try:
        noted = _note(settings).read_text().strip()
    except FileNotFoundError:
        # Before there was a choice.
        noted = 'ovn' if (settings.data / 'compute1/ovnnb_db.db').exists() else settings.network
    if noted != settings.network:
        raise errors.CloudError(
            f'this cloud was made with --network {noted}: its networks and ports cannot change to'
            f' {settings.network}.\n`cloud reset` forgets them, or choose another --state-dir'
        )


def note(settings: cloud_settings.Settings) -> None:
    """Keep the choice as long as the data."""
    _note(settings).write_text(settings.network + '\n')


def _note(settings: cloud_settings.Settings) -> pathlib.Path:
    return settings.data / 'network'
