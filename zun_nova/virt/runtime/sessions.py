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

"""Kills what was started in a container beside its own process.

No engine can do that: Docker forgets an exec whose client goes away, and the
process runs on. Imports nothing of Nova's or of the engine's: the privileged
daemon loads it.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal

_ROUNDS = 20


def kill(pid: int, container_id: str, proc: pathlib.Path = pathlib.Path('/proc')) -> int:
    """Kill a process and all others of its session.

    OCI runtimes give each process they add to a container a session of its own, which it leads
    (runc) or is in (crun). What left it by itself (a daemon) is not looked for. May be called
    again; a leader may have ended before.

    :param pid: in the pid namespace of this process.
    :param container_id: only processes in control groups of this container are killed.
    :returns: how many were killed; 0 also where the process is a stand-in for one in a sandbox.
    """
    session = _session_of(proc / str(pid)) if _is_in(pid, container_id, proc) else None
    session = session or pid
    killed: set[int] = set()
    for _ in range(_ROUNDS):   # while one is killed another may be born
        found = {each for each in _session(session, proc) if _is_in(each, container_id, proc)}
        if found <= killed:
            break
        for each in found:
            _kill(each, session, container_id, proc)
        killed |= found
    return len(killed)


def _kill(pid: int, session: int, container_id: str, proc: pathlib.Path) -> None:
    """Kill it if it is, once it cannot become another, still the one that was meant."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if pid in _session(session, proc) and _is_in(pid, container_id, proc):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def _session(session: int, proc: pathlib.Path) -> set[int]:
    """The living processes of the session."""
    return {int(directory.name) for directory in proc.glob('[0-9]*')
            if _session_of(directory) == session}


def _session_of(directory: pathlib.Path) -> int | None:
    """See proc(5): stat; the name in parentheses may hold anything. None for the dead."""
    with contextlib.suppress(OSError):
        state, _, _, session = (directory / 'stat').read_text().rpartition(')')[2].split()[:4]
        if state not in 'ZX':
            return int(session)
    return None


def _is_in(pid: int, container_id: str, proc: pathlib.Path) -> bool:
    with contextlib.suppress(OSError):
        return container_id in (proc / str(pid) / 'cgroup').read_text()
    return False
