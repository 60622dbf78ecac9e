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


"""One at a time changes the wiring of a server, and one its volumes.

Nova's own lock for each server does not keep attaching and detaching from
each other, nor from deletion, start and reboot.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from oslo_concurrency import lockutils


def wiring(instance: Any) -> AbstractContextManager[Any]:
    """Hold the server's lock; a thread that holds it must not ask for it again."""
    held: AbstractContextManager[Any] = lockutils.lock(f'zun-nova-wiring-{instance.uuid}')
    return held


def volumes(instance: Any) -> AbstractContextManager[Any]:
    """The same of the server's volumes; taken before wiring() by who needs both."""
    held: AbstractContextManager[Any] = lockutils.lock(f'zun-nova-volumes-{instance.uuid}')
    return held
