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

"""Nova's ports in containers: host end by os-vif, container end by netlink.

A server's network namespace is there before its process. Each port becomes a
veth pair whose inner end is made in that namespace at once, so that a
tenant's addresses and routes are never on the host::

    host                                  server's namespace
    br-int ── tapXXXXXXXX-XX ═══ veth ═══ eth0 (MAC, MTU, addresses, routes)

:func:`plug_all`, :func:`wait_plugged`, :func:`announce_all` and
:func:`unplug_all` are all the driver uses.
"""

from __future__ import annotations

import importlib
from typing import Any
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zun_nova.vif.events import wait_plugged
    from zun_nova.vif.plug import announce_all
    from zun_nova.vif.plug import plug_all
    from zun_nova.vif.plug import unplug_all

__all__ = ['announce_all', 'plug_all', 'unplug_all', 'wait_plugged']


def __getattr__(name: str) -> Any:
    """Import on first use: the privileged daemon loads this package, and not Nova."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    owner = 'events' if name == 'wait_plugged' else 'plug'
    return getattr(importlib.import_module(f'{__name__}.{owner}'), name)
