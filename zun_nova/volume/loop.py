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

"""Files as block devices; as root.

The kernel knows which file is which device, so nothing is kept here. Numbers of
devices mean nothing: after a restart of the host another file has them.
"""

from __future__ import annotations

import errno
import json
import os
import time

from oslo_concurrency import processutils

#: Seconds that a program may take.
_DEADLINE = 60
#: A container that starts beside holds every mount of the host for a moment.
_TRIES, _PAUSE = 50, 0.1


def attach(path: str, read_only: bool) -> str:
    """The device of the file; made when there is none."""
    found = devices(path)
    if found:
        return found[0]
    output, _ = processutils.execute(
        'losetup', '--find', '--show', '--direct-io=on', *(['--read-only'] if read_only else []),
        path, timeout=_DEADLINE)
    return str(output).strip()


def devices(path: str) -> list[str]:
    """Those of the file; a file that is gone has none."""
    if not os.path.exists(path):
        return []
    output, _ = processutils.execute(
        'losetup', '--json', '--output', 'NAME', '--list', '--associated', path,
        timeout=_DEADLINE)
    return names_of(output)


def names_of(output: str) -> list[str]:
    """The devices in what losetup has told; pure."""
    return [row['name'] for row in json.loads(output)['loopdevices']] if output.strip() else []


def detach(path: str) -> None:
    """Have no device of the file; nothing to do when there is none.

    :raises OSError: EBUSY: something has it open.
    """
    for _ in range(_TRIES):
        found = devices(path)
        if not found:
            return
        for device in found:
            # Of one in use this only says that it shall go with its last user.
            processutils.execute('losetup', '--detach', device, timeout=_DEADLINE,
                                 check_exit_code=[0, 1])
        if not devices(path):
            return
        time.sleep(_PAUSE)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)


def resize(path: str) -> None:
    """Have the device as large as its file has become."""
    for device in devices(path):
        processutils.execute('losetup', '--set-capacity', device, timeout=_DEADLINE)
