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

"""Why servers are not migrated while they run.

It would take a checkpoint of their processes, which containers cannot have (see
:mod:`zun_nova.virt.suspend`), and a connection kept through it.
"""

from __future__ import annotations

from typing import Any

from nova import exception

REASON = ('the processes of a container cannot go to another host while they run; "openstack '
          'server migrate" moves the server with its data, addresses and ports, stopped meanwhile')


def refuse() -> Any:
    """Raise what makes Nova's conductor leave the server as it is and where it is.

    For anything else, NotImplementedError too, it would make the server ERROR.

    :raises nova.exception.MigrationPreCheckError: always.
    """
    raise exception.MigrationPreCheckError(reason=REASON)
