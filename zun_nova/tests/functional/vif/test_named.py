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

"""Namespaces with names, made by several processes at once.

Each test has mounts of its own: what it gets wrong must not multiply on the machine.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import fcntl
import functools
import multiprocessing
import os
import pathlib
import subprocess
import time
from typing import Any
import unittest

import testtools

from zun_nova.vif import named
from zun_nova.vif import namespace

_CLONE_NEWNS = 0x20000
_DEADLINE = 60
_PROCESSES = 8
#: Of the race for the first mount. Without the lock one in a hundred goes wrong.
_ROUNDS = 250
_libc = ctypes.CDLL(None, use_errno=True)
_processes = multiprocessing.get_context('fork')


def with_own_mounts(test: Callable[[Any], None]) -> Callable[[Any], None]:
    """Run a test in a thread with a mount namespace of its own and nothing in /run."""
    @functools.wraps(test)
    def run(self: Any) -> None:
        def body() -> None:
            if _libc.unshare(_CLONE_NEWNS):
                raise OSError(ctypes.get_errno(), 'cannot make a mount namespace')
            mount('--make-rprivate', '/')
            mount('-t', 'tmpfs', 'tmpfs', '/run')
            named.DIRECTORY.mkdir()
            test(self)

        namespace.in_thread(body)

    return run


def mount(*arguments: str) -> None:
    subprocess.run(['mount', *arguments], check=True, timeout=_DEADLINE)


def mounts() -> list[str]:
    """The mount points in and at the directory, as often as something is mounted there."""
    lines = pathlib.Path('/proc/thread-self/mountinfo').read_text().splitlines()
    ids = {line.split()[0]: line.split()[1] for line in lines}
    # What is below a /run that is covered is nobody's business.
    run = [line.split()[0] for line in lines if line.split()[4] == '/run'][-1]
    return [line.split()[4] for line in lines if run in _above(line.split()[1], ids)]


def _above(mount_id: str, ids: dict[str, str]) -> list[str]:
    found = [mount_id]
    while found[-1] in ids:
        found.append(ids[found[-1]])
    return found


class NamedTest(testtools.TestCase):

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid() != 0:
            raise unittest.SkipTest('needs root')

    def start(self, function: Callable[..., None], *arguments: Any) -> Any:
        process = _processes.Process(target=function, args=arguments)
        process.start()
        self.addCleanup(process.kill)
        return process

    def end(self, process: Any) -> None:
        process.join(_DEADLINE)
        self.assertEqual(0, process.exitcode)

    @with_own_mounts
    def test_the_directory_is_mounted_once(self) -> None:
        begin = _processes.Barrier(_PROCESSES + 1)

        def share() -> None:
            for _ in range(_ROUNDS):
                begin.wait(_DEADLINE)
                named.share_directory()
                begin.wait(_DEADLINE)

        processes = [self.start(share) for _ in range(_PROCESSES)]
        for _ in range(_ROUNDS):
            begin.wait(_DEADLINE)
            begin.wait(_DEADLINE)
            self.assertEqual([str(named.DIRECTORY)], mounts())
            self.assertEqual(0, _libc.umount2(bytes(named.DIRECTORY), 0))
        for process in processes:
            self.end(process)

    @with_own_mounts
    def test_one_mount_for_each_name(self) -> None:
        def make(number: int) -> None:
            for name in ('a', 'b'):
                named.make(f'{name}{number}')

        for process in [self.start(make, number) for number in range(_PROCESSES)]:
            self.end(process)
        names = [f'{name}{number}' for name in 'ab' for number in range(_PROCESSES)]
        paths = [str(named.DIRECTORY / name) for name in names]
        self.assertEqual(sorted([str(named.DIRECTORY), *paths]), sorted(mounts()))
        self.assertTrue(all(named.is_there(pathlib.Path(path)) for path in paths))
        # Others find the same: iproute2 looks for it, too, and mounts nothing more.
        subprocess.run(['ip', 'netns', 'add', 'c'], check=True, timeout=_DEADLINE)
        self.assertEqual(len(names) + 2, len(mounts()))
        for name in (*names, 'c'):
            named.remove(name)
        self.assertEqual([str(named.DIRECTORY)], mounts())
        self.assertEqual([], os.listdir(named.DIRECTORY))

    @with_own_mounts
    def test_it_waits_for_who_is_at_it(self) -> None:
        held = os.open(named.DIRECTORY, os.O_RDONLY)
        self.addCleanup(os.close, held)
        fcntl.flock(held, fcntl.LOCK_EX)
        process = self.start(named.make, 'a')
        self.wait_until_it_waits(process.pid)
        mount('--bind', str(named.DIRECTORY), str(named.DIRECTORY))
        mount('--make-shared', str(named.DIRECTORY))
        fcntl.flock(held, fcntl.LOCK_UN)
        self.end(process)
        self.assertEqual([str(named.DIRECTORY), str(named.DIRECTORY / 'a')], mounts())

    def wait_until_it_waits(self, pid: int) -> None:
        deadline = time.monotonic() + _DEADLINE
        while not any(line.split()[1] == '->' and line.split()[5] == str(pid)
                      for line in pathlib.Path('/proc/locks').read_text().splitlines()):
            self.assertLess(time.monotonic(), deadline, 'it does not wait for the lock')
            time.sleep(0.02)

    @with_own_mounts
    def test_names_reach_mount_namespaces_made_before(self) -> None:
        named.share_directory()
        with subprocess.Popen(
                ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', 'echo; exec cat'],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdout.read(1)
            named.make('a')
            there = pathlib.Path(f'/proc/{other.pid}/root{named.DIRECTORY}/a')
            self.assertTrue(named.is_there(there))
            named.remove('a')
            self.assertFalse(named.is_there(there))
            other.stdin.close()
