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

"""A second cloud beside one, on another of Neutron's back ends, for the tests of that.

It has data, configuration and logs of its own; software, caches, ports and names are the first
one's, so only one of them can be up.
"""

from __future__ import annotations

import dataclasses

from zun_cloud import settings as cloud_settings

SHARED = ('venv', 'tools', 'cache')


def of(settings: cloud_settings.Settings, network: str | None) -> cloud_settings.Settings:
    """The cloud on this back end: the one of the settings, or one in a directory beside its.

    :param network: None: the back end does not matter.
    """
    if network in (None, settings.network):
        return settings
    state = settings.state.with_name(f'{settings.state.name}-{network}')
    return dataclasses.replace(settings, state=state, network=network)


def share(first: cloud_settings.Settings, second: cloud_settings.Settings) -> None:
    """Link what they share, and keep the second one's settings for commands on it.

    May be repeated. What is there already, link or not, is left alone.
    """
    for name in SHARED:
        link = second.directory() / name
        if not link.is_symlink() and not link.exists():
            link.symlink_to(first.state / name)
    chosen = dataclasses.asdict(second)
    del chosen['state']
    cloud_settings.remember(second, chosen)
