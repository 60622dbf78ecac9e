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

"""Passwords of users in running servers."""

from __future__ import annotations

from typing import Any

from nova import exception
from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt import guest
from zun_nova.virt import identity
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import streams

LOG = logging.getLogger(__name__)

#: Seconds chpasswd may take; crypt(3) is slow on purpose.
TIMEOUT = 60

_MAX_OUTPUT = 4096


def set_admin(runtime: base.Runtime, instance: Any, password: str) -> None:
    """Give the administrator of a running server a password; may be called again.

    It is handed to the ``chpasswd`` of the server's image on standard input: in no argument, no
    environment and no log. What that program writes is not read, for it may repeat the password.

    :raises nova.exception.SetAdminPasswdNotSupported: this server cannot have one set; its owner
        reads why.
    :raises errors.EngineError: for other reasons it was not set, or perhaps not.
    """
    user = guest.admin_of(instance)
    if ':' in user or any(character in user + password for character in '\n\r\0'):
        raise _refusal('neither it nor the user\'s name may hold line ends, nor the name a ":"')
    if not isinstance(runtime, streams.Streams):
        raise _refusal('the container engine of its host runs no programs in containers')
    try:
        result = runtime.exec_run(
            identity.container_name(instance), ['chpasswd'], user='0',
            stdin=f'{user}:{password}\n'.encode(), timeout=TIMEOUT, max_output=_MAX_OUTPUT)
    except errors.StartFailed as ex:
        raise _refusal('its image has no program chpasswd that can be run') from ex
    if result.exit_code:
        raise _refusal(f'its chpasswd ended with {result.exit_code}; is there a user {user!r} in '
                       'its /etc/passwd, and can that file be written?')


def set_at_boot(runtime: base.Runtime, instance: Any, password: str) -> None:
    """Give it to the administrator of a server that was just started, if its image can have one.

    A server goes without rather than fail: most images have nothing that asks for a password.
    """
    try:
        set_admin(runtime, instance, password)
    except (exception.SetAdminPasswdNotSupported, errors.EngineError) as ex:
        LOG.info('No password at boot: %s', ex, instance=instance)


def _refusal(reason: str) -> exception.SetAdminPasswdNotSupported:
    return exception.SetAdminPasswdNotSupported(f'The password was not set: {reason}')
