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

"""What an operator's flavor says about the containers made with it.

Everything that grants power is said here, in ``container:*`` extra specs,
and nowhere else: only administrators can write them. :data:`KEYS` is the one
table of them: the driver reads flavors by it, and nova-api refuses what does
not fit it (the entry point group ``nova.api.extra_spec_validators``).
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import re
from typing import Any

from oslo_utils import strutils

from zun_nova import errors

PREFIX = 'container:'
RUNTIME = 'container:runtime'
PIDS_LIMIT = 'container:pids_limit'
PRIVILEGED = 'container:privileged'
NO_NEW_PRIVILEGES = 'container:no_new_privileges'
CAP_ADD = 'container:cap_add'
CAP_DROP = 'container:cap_drop'
DEVICES = 'container:devices'
SECCOMP = 'container:seccomp'
CDI = 'container:cdi'
SAME_TENANT = 'container:same_tenant'

ALL = 'ALL'
#: See capabilities(7).
CAPABILITIES = (
    'AUDIT_CONTROL', 'AUDIT_READ', 'AUDIT_WRITE', 'BLOCK_SUSPEND', 'BPF', 'CHECKPOINT_RESTORE',
    'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'IPC_LOCK', 'IPC_OWNER',
    'KILL', 'LEASE', 'LINUX_IMMUTABLE', 'MAC_ADMIN', 'MAC_OVERRIDE', 'MKNOD', 'NET_ADMIN',
    'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_RAW', 'PERFMON', 'SETFCAP', 'SETGID', 'SETPCAP',
    'SETUID', 'SYSLOG', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_CHROOT', 'SYS_MODULE', 'SYS_NICE',
    'SYS_PACCT', 'SYS_PTRACE', 'SYS_RAWIO', 'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG',
    'WAKE_ALARM')
#: As many as a 64-bit kernel has process ids.
MAX_PIDS = 4_194_304

_CAPABILITY = f'(?:{"|".join((ALL, *CAPABILITIES))})'
_CDI_DEVICE = r'[A-Za-z0-9][\w.-]*/[A-Za-z][\w-]*=[A-Za-z0-9][\w.:-]*'
_DEVICE = r'/dev/[^:,\s]+(?::/[^:,\s]+)?(?::r?w?m?)?'


@dataclasses.dataclass(frozen=True)
class Key:
    """An extra spec."""

    name: str
    description: str
    #: str, int or bool.
    type: type
    #: Of all of the value, when it is a str.
    pattern: str = ''
    #: Bounds, when it is an int.
    minimum: int = 0
    maximum: int = 0
    #: What fits, in words.
    rule: str = ''

    def read(self, text: str) -> Any:
        """The value.

        :raises errors.InvalidSpec: it does not fit.
        """
        try:
            return self._value(text)
        except ValueError as ex:
            raise errors.InvalidSpec(
                f'flavor extra spec {self.name}', f'must be {self.rule}') from ex

    def _value(self, text: str) -> Any:
        if self.type is bool:
            return strutils.bool_from_string(text, strict=True)
        if self.type is int:
            value = int(text)
            if not self.minimum <= value <= self.maximum:
                raise ValueError
            return value
        if not re.fullmatch(self.pattern, text):
            raise ValueError
        return text


def _listed(pattern: str) -> str:
    return f'{pattern}(?:,{pattern})*'


KEYS: Mapping[str, Key] = {key.name: key for key in (
    Key(RUNTIME, 'OCI runtime by the name the engine knows: runc, crun, runsc...', str,
        pattern='[A-Za-z0-9][A-Za-z0-9._-]*', rule='the name of an OCI runtime'),
    Key(PIDS_LIMIT, 'Processes and threads the server may have.', int,
        minimum=1, maximum=MAX_PIDS, rule=f'a whole number from 1 to {MAX_PIDS}'),
    Key(PRIVILEGED, 'Give the server the whole host: all capabilities and devices, no seccomp. '
        'Only for servers that may be trusted as the host is.', bool, rule='true or false'),
    Key(NO_NEW_PRIVILEGES, 'false lets programs gain privileges by setuid, as sudo does.', bool,
        rule='true or false'),
    Key(CAP_ADD, 'Capabilities on top of the engine\'s default, such as NET_RAW,SYS_PTRACE, or '
        'ALL.', str, pattern=_listed(_CAPABILITY),
        rule='capabilities with commas between them, such as NET_RAW,SYS_PTRACE, or ALL'),
    Key(CAP_DROP, 'Capabilities the server must not have, or ALL.', str,
        pattern=_listed(_CAPABILITY),
        rule='capabilities with commas between them, such as CHOWN,SETUID, or ALL'),
    Key(DEVICES, 'Devices of the host the server may use: PATH, PATH:PATH_INSIDE or '
        'PATH:PATH_INSIDE:rwm, with commas between them.', str, pattern=_listed(_DEVICE),
        rule='/dev/PATH[:PATH_INSIDE][:rwm], with commas between several'),
    Key(SECCOMP, 'unconfined lets the server make every system call.', str,
        pattern='default|unconfined', rule='default or unconfined'),
    Key(CDI, 'Devices of the host by their names in the Container Device Interface, with commas '
        'between them: vendor.com/class=name.', str, pattern=_listed(_CDI_DEVICE),
        rule='vendor.com/class=name, with commas between several'),
    Key(SAME_TENANT, 'true: the server shares its host with servers of its own project only.',
        bool, rule='true or false'),
)}


@dataclasses.dataclass(frozen=True)
class Device:
    """A device of the host in a container."""

    path: str
    path_inside: str
    #: Of r (read), w (write), m (make its file).
    permissions: str = 'rwm'


@dataclasses.dataclass(frozen=True)
class FlavorConfig:
    """The operator's wishes; None leaves the default of nova.conf."""

    runtime: str | None = None
    pids_limit: int | None = None
    privileged: bool = False
    no_new_privileges: bool = True
    #: Without CAP_.
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    #: All system calls are allowed.
    seccomp_unconfined: bool = False
    #: Qualified names of the Container Device Interface.
    cdi: tuple[str, ...] = ()
    #: No server of another project on the same host.
    same_tenant: bool = False


def from_extra_specs(extra_specs: Mapping[str, str]) -> FlavorConfig:
    """Read a flavor's extra specs; those without ``container:`` are Nova's.

    :raises errors.InvalidSpec: a key is unknown or a value does not fit.
    """
    values = {}
    for name, text in sorted(extra_specs.items()):
        if name.startswith(PREFIX):
            if name not in KEYS:
                known = ', '.join(key.removeprefix(PREFIX) for key in KEYS)
                raise errors.InvalidSpec(
                    f'flavor extra spec {name}', f'no such key; known after {PREFIX} are {known}')
            values[name] = KEYS[name].read(text)
    return FlavorConfig(
        runtime=values.get(RUNTIME),
        pids_limit=values.get(PIDS_LIMIT),
        privileged=values.get(PRIVILEGED, False),
        no_new_privileges=values.get(NO_NEW_PRIVILEGES, True),
        cap_add=_split(values.get(CAP_ADD)),
        cap_drop=_split(values.get(CAP_DROP)),
        devices=tuple(map(_device, _split(values.get(DEVICES)))),
        seccomp_unconfined=values.get(SECCOMP) == 'unconfined',
        cdi=_split(values.get(CDI)),
        same_tenant=values.get(SAME_TENANT, False),
    )


def keeps_tenants_apart(extra_specs: Mapping[str, str]) -> bool:
    """Whether servers of this flavor share a host with their own project's only.

    :raises errors.InvalidSpec: the value does not fit.
    """
    return SAME_TENANT in extra_specs and bool(KEYS[SAME_TENANT].read(extra_specs[SAME_TENANT]))


def register() -> list[Any]:
    """What nova-api checks extra specs by; it calls this once."""
    from nova.api.validation.extra_specs import base

    return [base.ExtraSpecValidator(
        name=key.name, description=key.description, value=_nova_rule(key))
        for key in KEYS.values()]


def _nova_rule(key: Key) -> dict[str, Any]:
    rule: dict[str, Any] = {'type': key.type, 'description': key.rule}
    if key.type is int:
        rule |= {'min': key.minimum, 'max': key.maximum}
    elif key.type is str:
        rule['pattern'] = key.pattern
    return rule


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(',')) if text else ()


def _device(text: str) -> Device:
    path, *more = text.split(':')
    permissions = more.pop() if more and not more[-1].startswith('/') else ''
    return Device(path, more[0] if more else path, permissions or 'rwm')
