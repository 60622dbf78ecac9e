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

"""What the processes of a container use, from the files of its control groups.

The way there is the same for every engine: a process of the container, its
``/proc/PID/cgroup``, and where the hierarchies are mounted. Both versions of
control groups are read, and hosts that have both. All files are readable by
every user, so that no privilege is needed; but in a control group namespace
of its own nova-compute would see other paths and read nothing.

https://docs.kernel.org/admin-guide/cgroup-v2.html
https://docs.kernel.org/admin-guide/cgroup-v1/index.html
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import pathlib

#: Stands for the one hierarchy of version 2 among the names of controllers.
UNIFIED = ''

# What version 1 says where there is no limit is about 2**63.
_NO_LIMIT = 2 ** 60


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a container used since it was started; None where the host does not count it."""

    cpu_ns: int | None = None
    #: Without the part of the page cache that can be dropped at once.
    memory_bytes: int | None = None
    #: None when there is no limit, too.
    memory_limit_bytes: int | None = None
    #: Processes and threads now.
    pids: int | None = None
    #: Of block devices; what comes from the page cache is not counted.
    read_bytes: int | None = None
    read_requests: int | None = None
    write_bytes: int | None = None
    write_requests: int | None = None


def usage(pid: int, container_id: str, root: pathlib.Path = pathlib.Path('/')) -> Usage:
    """What the container of this process uses.

    A container that has just ended has used nothing that is known.

    :param container_id: the engine's. Engines put it into the name of the
        container's group; processes inside may have made groups below it.
    :param root: where ``proc`` and the mounts of control groups are.
    """
    try:
        memberships = (root / f'proc/{pid}/cgroup').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return Usage()
    groups = {
        controller: root / path.relative_to('/') for controller, path in
        directories(memberships, (root / 'proc/self/mountinfo').read_text(), container_id).items()}
    return Usage(**_cpu(groups), **_memory(groups), **_pids(groups), **_io(groups))


def directories(memberships: str, mountinfo: str,
                container_id: str) -> dict[str, pathlib.PurePosixPath]:
    """Where the files of the container's group are, by controller.

    :param memberships: the text of ``/proc/PID/cgroup``.
    :param mountinfo: the text of ``/proc/self/mountinfo``.
    """
    mounts = dict(_mounts(mountinfo))
    found = {}
    for line in memberships.splitlines():
        _, controllers, path = line.split(':', 2)
        for controller in controllers.split(','):
            if controller in mounts:
                top, mounted_at = mounts[controller]
                group = _of_container(pathlib.PurePosixPath(path), container_id)
                if group.is_relative_to(top):
                    found[controller] = mounted_at / group.relative_to(top)
    return found


def _of_container(group: pathlib.PurePosixPath, container_id: str) -> pathlib.PurePosixPath:
    """The group that engines made: docker/ID, docker-ID.scope, libpod-ID.scope/container."""
    for each in (group, *group.parents):
        if container_id in each.name:
            return each
    return group


def _mounts(mountinfo: str) -> Iterator[
        tuple[str, tuple[pathlib.PurePosixPath, pathlib.PurePosixPath]]]:
    """Controller, the group that is mounted, and where; see proc_pid_mountinfo(5)."""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(' - ')
        kind, _, options = rest.split(' ', 2)
        top, mounted_at = map(pathlib.PurePosixPath, fields.split(' ')[3:5])
        if kind == 'cgroup2':
            yield UNIFIED, (top, mounted_at)
        elif kind == 'cgroup':
            for option in options.split(','):
                yield option, (top, mounted_at)


def _cpu(groups: Mapping[str, pathlib.Path]) -> dict[str, int | None]:
    if 'cpuacct' in groups:
        return {'cpu_ns': _number(groups['cpuacct'] / 'cpuacct.usage')}
    used = _table(groups, UNIFIED, 'cpu.stat').get('usage_usec')
    return {'cpu_ns': None if used is None else used * 1000}


def _memory(groups: Mapping[str, pathlib.Path]) -> dict[str, int | None]:
    if 'memory' in groups:
        used, limit = 'memory.usage_in_bytes', 'memory.limit_in_bytes'
        droppable = _table(groups, 'memory', 'memory.stat').get('total_inactive_file', 0)
    else:
        used, limit = 'memory.current', 'memory.max'
        droppable = _table(groups, UNIFIED, 'memory.stat').get('inactive_file', 0)
    directory = groups.get('memory', groups.get(UNIFIED))
    if directory is None:
        return {}
    memory, most = _number(directory / used), _number(directory / limit)
    return {'memory_bytes': None if memory is None else max(0, memory - droppable),
            'memory_limit_bytes': None if most is None or most > _NO_LIMIT else most}


def _pids(groups: Mapping[str, pathlib.Path]) -> dict[str, int | None]:
    directory = groups.get('pids', groups.get(UNIFIED))
    return {} if directory is None else {'pids': _number(directory / 'pids.current')}


def _io(groups: Mapping[str, pathlib.Path]) -> dict[str, int | None]:
    """The sums over all devices."""
    if 'blkio' in groups:
        moved = _operations(groups['blkio'], 'blkio.throttle.io_service_bytes')
        asked = _operations(groups['blkio'], 'blkio.throttle.io_serviced')
        return {'read_bytes': moved.get('Read'), 'read_requests': asked.get('Read'),
                'write_bytes': moved.get('Write'), 'write_requests': asked.get('Write')}
    text = None if UNIFIED not in groups else _text(groups[UNIFIED] / 'io.stat')
    if text is None:
        return {}
    sums = {'rbytes': 0, 'rios': 0, 'wbytes': 0, 'wios': 0}
    for word in text.split():
        key, _, value = word.partition('=')
        if key in sums:
            sums[key] += int(value)
    return {'read_bytes': sums['rbytes'], 'read_requests': sums['rios'],
            'write_bytes': sums['wbytes'], 'write_requests': sums['wios']}


def _operations(directory: pathlib.Path, file: str) -> dict[str, int]:
    """Lines ``8:0 Read 4096``; with what groups below did, where the kernel adds that up."""
    text = _text(directory / f'{file}_recursive') or _text(directory / file)
    if text is None:
        return {}
    sums = {'Read': 0, 'Write': 0}
    for words in map(str.split, text.splitlines()):
        if len(words) == 3 and words[1] in sums:
            sums[words[1]] += int(words[2])
    return sums


def _table(groups: Mapping[str, pathlib.Path], controller: str, file: str) -> dict[str, int]:
    """Lines ``name number``."""
    text = _text(groups[controller] / file) if controller in groups else None
    return {name: int(number) for name, number in map(str.split, (text or '').splitlines())}


def _number(path: pathlib.Path) -> int | None:
    """None: 'max', or there is no such file."""
    text = (_text(path) or '').strip()
    return int(text) if text.isdigit() else None


def _text(path: pathlib.Path) -> str | None:
    """None where the host does not have it, or no longer: groups end with their containers."""
    try:
        return path.read_text()
    except OSError:   # ENOENT before it is opened, ENODEV after
        return None
