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

"""Compute hosts: what each is called and where its parts live.

Host 1 is the machine itself. Every further one is a set of namespaces (network, mount, UTS,
IPC, PID) whose first process is a program of the process manager: killing that process is a
power cut.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time

from zun_cloud import errors
from zun_cloud import settings as cloud_settings


@dataclasses.dataclass(frozen=True)
class Host:
    """One compute host of the cloud."""

    settings: cloud_settings.Settings
    number: int

    @property
    def name(self) -> str:
        """Its name for Nova, Neutron and OVN."""
        return f'compute{self.number}'

    @property
    def is_machine(self) -> bool:
        return self.number == 1

    @property
    def directory(self) -> pathlib.Path:
        """What survives its power cut."""
        return self.settings.data / self.name

    @property
    def etc(self) -> pathlib.Path:
        return self.settings.etc / self.name

    @property
    def run(self) -> pathlib.Path:
        """What does not; short, for the unix sockets in it."""
        return self.settings.run / str(self.number)

    @property
    def address(self) -> str:
        """Where other hosts reach it."""
        return self.settings.management_address(self.number)

    @property
    def control_address(self) -> str:
        """Where it reaches the control plane."""
        return '127.0.0.1' if self.is_machine else self.settings.management_address(1)

    @property
    def engine(self) -> str:
        """What runs its containers: docker or podman."""
        return self.settings.engine_of(self.number)

    @property
    def engine_service(self) -> str:
        """The service that answers at ``engine_url``."""
        return f'{"dockerd" if self.engine == "docker" else "podman"}-{self.number}'

    def socket_of(self, engine: str) -> pathlib.Path:
        """Where an engine listens, if the host has that one."""
        return self.run / f'{engine}.sock'

    @property
    def engine_socket(self) -> pathlib.Path:
        return self.socket_of(self.engine)

    @property
    def engine_url(self) -> str:
        """Docker's protocol is spoken there, whichever engine it is."""
        return f'unix://{self.engine_socket}'

    @property
    def containerd_socket(self) -> pathlib.Path:
        return self.run / 'containerd.sock'

    @property
    def cgroup(self) -> str:
        """The parent of its containers' cgroups."""
        return f'/{self.settings.prefix}-{self.name}'

    @property
    def ovs_env(self) -> dict[str, str]:
        """Points every OVS and OVN program at this host's own instance."""
        ovs, ovn, log = (str(self.run / 'ovs'), str(self.run / 'ovn'), str(self.settings.log))
        return {
            'OVS_RUNDIR': ovs, 'OVS_DBDIR': str(self.directory), 'OVS_LOGDIR': log,
            'OVN_RUNDIR': ovn, 'OVN_DBDIR': str(self.directory), 'OVN_LOGDIR': log,
        }

    @property
    def ovsdb_socket(self) -> pathlib.Path:
        return self.run / 'ovs' / 'db.sock'

    @property
    def enter_script(self) -> pathlib.Path:
        """Runs a command inside the host: ``enter ip addr``."""
        return self.directory / 'enter'

    @property
    def pid_file(self) -> pathlib.Path:
        return self.run / 'init.pid'

    def inside(self, *command: str) -> tuple[str, ...]:
        """The command as it must be run to happen on this host."""
        if self.is_machine:
            return command
        return (str(self.enter_script), *command)

    def link(self, kind: str) -> str:
        """The name, on the machine, of this host's cable: ``mg`` or ``ul``."""
        return f'{self.settings.prefix}{kind}{self.number}'


def all_hosts(settings: cloud_settings.Settings) -> list[Host]:
    return [Host(settings, number) for number in range(1, settings.computes + 1)]


def possible_hosts(settings: cloud_settings.Settings) -> list[Host]:
    """Every host any ``up`` of this cloud may have made, whatever the number is now."""
    return [Host(settings, number) for number in range(1, 100)]


def wait_powered(host: Host, unshare_pid: int, timeout: float = 20) -> int:
    """Wait until the host's init runs and note its pid for the ``enter`` script.

    :param unshare_pid: the supervised ``unshare``, whose only child is the init.
    :returns: the pid of the init as the machine sees it.
    """
    ready = host.run / 'ready'
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        children = _children(unshare_pid)
        if ready.exists() and children:
            pid = children[0]
            namespace = os.readlink(f'/proc/{pid}/ns/net')
            host.pid_file.write_text(f'{pid} {namespace}\n')
            return pid
        time.sleep(0.05)
    raise errors.CloudError(f'{host.name} did not start', host.settings.log_of(host.name))


def _children(pid: int) -> list[int]:
    try:
        text = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]
