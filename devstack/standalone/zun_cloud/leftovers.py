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

"""What of a cloud is on the machine: processes, containers, links, namespaces, mounts, ...

Reading only, from /proc and /sys; used to say what ``down`` forgot and to clean up after a
cloud that was killed.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import pathlib
import struct
import typing

from zun_cloud import agents
from zun_cloud import firewall
from zun_cloud import hosts
from zun_cloud import settings as cloud_settings
from zun_cloud import shell

OWNER = 'ZUN_CLOUD_OWNER'
# The links of a port that iptables filter, on the way from the switch; the last is the server's.
HYBRID = ('qvo', 'qvb', 'qbr', 'tap')


@dataclasses.dataclass(frozen=True)
class Found:
    """One thing that is left.

    :param kind: process, cgroup, link, namespace, mount, loop, chain or ipset.
    :param name: what to hand to the tool that removes it: a pid, a path, a link's name.
    """

    kind: str
    name: str
    detail: str = ''

    def __str__(self) -> str:
        return f'{self.kind:10} {self.name}  {self.detail}'.rstrip()


def find(settings: cloud_settings.Settings) -> list[Found]:
    """Everything of this cloud, as it is now."""
    return [
        *processes(settings), *cgroups(settings), *links(settings), *namespaces(settings),
        *mounts(settings, pathlib.Path('/proc/self/mountinfo').read_text()), *loops(settings),
        *filters(settings),
    ]


def processes(settings: cloud_settings.Settings) -> list[Found]:
    """Processes that inherited the process manager's mark, and those in its cgroups."""
    mark = f'{OWNER}={settings.state}'.encode()
    found = []
    for entry in pathlib.Path('/proc').iterdir():
        if not entry.name.isdigit():
            continue
        try:
            marked = mark in (entry / 'environ').read_bytes().split(b'\0')
        except OSError:
            continue
        if marked:
            found.append(Found('process', entry.name, _command(entry)))
    known = {item.name for item in found}
    found += [
        Found('process', pid, _command(pathlib.Path('/proc', pid)))
        for pid in sorted(container_processes(settings) - known)
    ]
    return found


def container_processes(settings: cloud_settings.Settings) -> set[str]:
    """The pids of everything that runs in this cloud's containers."""
    return {pid for directory in _cgroup_directories(settings) for pid in _members(directory)}


def cgroups(settings: cloud_settings.Settings) -> list[Found]:
    return [Found('cgroup', str(path)) for path in _cgroup_directories(settings)]


def _cgroup_directories(settings: cloud_settings.Settings) -> list[pathlib.Path]:
    """The parents of this cloud's containers, in every hierarchy."""
    root = pathlib.Path('/sys/fs/cgroup')
    pattern = f'{settings.prefix}-compute*'
    return sorted({*root.glob(pattern), *root.glob(f'*/{pattern}')})


def _members(directory: pathlib.Path) -> set[str]:
    found: set[str] = set()
    for path in directory.rglob('cgroup.procs'):
        try:
            found.update(path.read_text().split())
        except OSError:
            continue
    return found


def links(settings: cloud_settings.Settings) -> list[Found]:
    """Bridges and cables, and the machine's ends of servers' and metadata veths."""
    ours = {settings.integration_bridge, settings.provider_bridge, settings.management_bridge}
    for host in hosts.possible_hosts(settings):
        ours |= {host.link('mg'), host.link('ul')}
    ours |= _switch_ports(settings)
    if not switch_daemons():
        # The userspace datapath's own tap outlives the daemon.
        ours.add('ovs-netdev')
    present = {path.name for path in pathlib.Path('/sys/class/net').iterdir()}
    return [Found('link', name) for name in sorted(ours & present)]


def switch_daemons() -> list[int]:
    """Every ovs-vswitchd in this network namespace, of this cloud or not."""
    here = os.readlink('/proc/self/ns/net')
    found = []
    for entry in pathlib.Path('/proc').iterdir():
        try:
            if (entry / 'comm').read_text() == 'ovs-vswitchd\n' and (
                os.readlink(entry / 'ns/net') == here
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return sorted(found)


def _switch_ports(settings: cloud_settings.Settings) -> set[str]:
    """The links of its switch's ports, also while that does not run."""
    rows = _query(hosts.Host(settings, 1).directory / 'conf.db', 'Open_vSwitch', 'Interface')
    names = {row['name'] for row in rows}
    return {name for name in names if name.startswith('tap')} | {
        kind + name.removeprefix('qvo')
        for name in names if name.startswith('qvo') for kind in HYBRID
    }


def hybrid_links(settings: cloud_settings.Settings) -> list[Found]:
    """Those of them that stay when the server is gone, and then the port on the switch."""
    return [item for item in links(settings) if item.name.startswith(HYBRID[:-1])]


def filters(settings: cloud_settings.Settings) -> list[Found]:
    """Chains and sets of the layer 2 agent in this network namespace."""
    if settings.network != 'ovs':
        return []
    return [
        *(Found('chain', name, f'{program}, table {table}')
          for program in firewall.PROGRAMS
          for table, name in firewall.chains(firewall.rules(program))),
        *(Found('ipset', name) for name in firewall.sets()),
    ]


def namespaces(settings: cloud_settings.Settings) -> list[Found]:
    """What Neutron's agents made for networks and routers."""
    machine = hosts.Host(settings, 1)
    names = [*agents.namespaces(machine), *_metadata_namespaces(machine)]
    return [Found('namespace', n) for n in sorted(names) if pathlib.Path('/run/netns', n).exists()]


def _metadata_namespaces(machine: hosts.Host) -> list[str]:
    """The metadata agent's namespace of every network OVN knows."""
    rows = _query(machine.directory / 'ovnnb_db.db', 'OVN_Northbound', 'Logical_Switch')
    return [f"ovnmeta-{row['name'].removeprefix('neutron-')}" for row in rows]


def _query(path: pathlib.Path, database: str, table_name: str) -> list[dict[str, str]]:
    """The names in a table of an OVSDB file; nothing when the file is not there."""
    if not path.exists():
        return []
    select = {'op': 'select', 'table': table_name, 'where': [], 'columns': ['name']}
    answer = json.loads(shell.run(['ovsdb-tool', 'query', str(path),
                                   json.dumps([database, select])]))
    return list(answer[0]['rows'])


def mounts(settings: cloud_settings.Settings, mountinfo: str) -> list[Found]:
    """Mounts below the state directory, innermost first, with what is mounted."""
    found = []
    for line in mountinfo.splitlines():
        mount, _, filesystem = line.partition(' - ')
        # /proc writes blanks and the like as octal escapes.
        name = mount.split()[4].encode().decode('unicode_escape')
        if name.startswith(f'{settings.state}/'):
            found.append(Found('mount', name, filesystem.split()[1]))
    return found[::-1]


def loops(settings: cloud_settings.Settings) -> list[Found]:
    """Loop devices whose file is below the state directory.

    The path the kernel knows says nothing once the mount is gone by which the file was opened,
    as in a power cut of a host: a volume's file is known by its inode too.
    """
    found = []
    volumes = _files(settings.data / 'cinder/share')
    for path in sorted(pathlib.Path('/sys/block').glob('loop*/loop/backing_file')):
        try:
            backing = path.read_text().strip()
        except OSError:
            continue
        device = f'/dev/{path.parent.parent.name}'
        if backing.startswith(f'{settings.state}/') or _backing_file(device) in volumes:
            found.append(Found('loop', device, backing))
    return found


def _files(directory: pathlib.Path) -> set[tuple[int, int]]:
    """Devices and inodes of what is in a directory, if there is one."""
    if not directory.is_dir():
        return set()
    return {(path.stat().st_dev, path.stat().st_ino) for path in directory.iterdir()}


def _backing_file(device: str) -> tuple[int, int] | None:
    """Device and inode of a loop device's file; None when it has none any more."""
    status = bytearray(232)
    try:
        with pathlib.Path(device).open('rb') as stream:
            # LOOP_GET_STATUS64 of linux/loop.h, whose structure begins with these two.
            fcntl.ioctl(stream, 0x4C05, status)
    except OSError:
        return None
    number, inode = struct.unpack_from('QQ', status)
    return number, inode


def _command(entry: pathlib.Path) -> str:
    try:
        words = (entry / 'cmdline').read_bytes().split(b'\0')
    except OSError:
        return ''
    return b' '.join(words).decode(errors='replace').strip()[:120]


def own_process(item: Found) -> bool:
    """Whether it is this very process or one of its parents, never to be ended."""
    pid = os.getpid()
    while pid > 1:
        if item.name == str(pid):
            return True
        pid = _parent(pid)
    return False


def _parent(pid: int) -> int:
    try:
        text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    except OSError:
        return 0
    # The name, in parentheses, may hold anything, blanks included.
    return int(text.rpartition(')')[2].split()[1])


def table(found: typing.Iterable[Found]) -> str:
    return '\n'.join(str(item) for item in found)
