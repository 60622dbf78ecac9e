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

"""A real Docker engine for tests."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import types
from typing import Any
import unittest

import docker
import docker.errors
import fixtures
import requests

from zun_nova.virt.runtime import docker as docker_runtime
from zun_nova.virt.runtime import sessions

DOCKERD = '/usr/sbin/dockerd'
CRUN = '/usr/bin/crun'
RUNSC = '/usr/bin/runsc'
#: As doc/source/install/runtimes.rst tells operators, for the version of Debian 12.
RUNSC_ARGUMENTS = ('--network=host', '--overlay=false')
_CGROUPS = pathlib.Path('/sys/fs/cgroup')
_START_SECONDS = 60
_STOP_SECONDS = 30

# Its own mount namespace with a /run of its own: dockerd talks to the host's
# containerd when it finds its socket there. The engine's directory is shared
# both ways, so that the test sees the network namespaces of the engine.
_SCRIPT = """
mount --make-slave / 2>/dev/null
mount --make-slave /run 2>/dev/null
mount --bind "$1" /run && shift && exec "$@"
"""


def why_not() -> str | None:
    """Why no engine can be had here; None when one can."""
    if os.environ.get('ZUN_TEST_DOCKER_URL'):
        return None
    if os.geteuid() != 0:
        return 'a Docker engine of our own needs root, or set ZUN_TEST_DOCKER_URL'
    if not os.path.exists(DOCKERD):
        return f'{DOCKERD} is missing: install docker.io, or set ZUN_TEST_DOCKER_URL'
    return None


class DockerEngine(fixtures.Fixture):
    """The engine at ZUN_TEST_DOCKER_URL, or one started for the test; skips when it cannot.

    One of our own has its state, its mounts and its control groups for
    itself, leaves containers running when it is restarted (live-restore), and
    leaves nothing behind. The engine at ZUN_TEST_DOCKER_URL is used with care:
    only containers and images whose names begin with PREFIX and REPOSITORY are
    removed in the end.

    :ivar url: unix://...
    :ivar owned: it is our own, so it may be stopped.
    :ivar data: where one of our own keeps its state.
    :param data_bytes: how much that can be, of one of our own; kept in memory then.
    """

    PREFIX = 'zun-test-'
    REPOSITORY = 'zun-test/'

    def __init__(self, data_bytes: int | None = None) -> None:
        super().__init__()
        self._data_bytes = data_bytes

    def _setUp(self) -> None:
        reason = self.why_not()
        if reason:
            raise unittest.SkipTest(reason)
        self.url = self.given_url()
        self.owned = not self.url
        if self.owned:
            self._make_root()
            self.start()
        self.addCleanup(self.clean)

    def why_not(self) -> str | None:
        """Why there can be none here; None when there can."""
        return why_not()

    def given_url(self) -> str:
        """Of an engine that is there already, '' for one of our own."""
        return os.environ.get('ZUN_TEST_DOCKER_URL', '')

    def command(self) -> list[str]:
        """What runs one of our own."""
        return ['unshare', '--mount', '--propagation', 'unchanged', 'sh', '-c', _SCRIPT, 'sh',
                str(self._root / 'run'), DOCKERD,
                '--config-file', str(self._root / 'daemon.json'),
                '--data-root', str(self.data),
                '--exec-root', str(self._root / 'exec'),
                '--pidfile', str(self._root / 'docker.pid'),
                '--host', self.url,
                '--bridge=none', '--iptables=false', '--ip6tables=false',
                '--exec-opt', 'native.cgroupdriver=cgroupfs',
                '--cgroup-parent', f'/{self._root.name}']

    def config(self) -> dict[str, Any]:
        """What daemon.json says of one of our own."""
        return {'live-restore': True,
                'runtimes': {'crun': {'path': self._crun()},
                             'runsc': {'path': RUNSC, 'runtimeArgs': list(RUNSC_ARGUMENTS)}}}

    def runtime(self, timeout: int = 60) -> docker_runtime.DockerRuntime:
        """A runtime on this engine, configured as in nova.conf."""
        return docker_runtime.DockerRuntime(types.SimpleNamespace(zun_nova=types.SimpleNamespace(
            docker_url=self.url, engine_timeout=timeout)), sessions.kill)

    def client(self) -> docker.APIClient:
        """The SDK's client, for looking from outside."""
        client = docker.APIClient(self.url, version='1.41', timeout=60)
        self.addCleanup(client.close)
        return client

    def clean(self) -> None:
        """Remove the containers of the tests, holders included, and their images."""
        client = docker.APIClient(self.url, version='1.41', timeout=60)
        with contextlib.closing(client), contextlib.suppress(requests.RequestException):
            for row in client.containers(all=True):
                if self.owned or any(name[1:].startswith(self.PREFIX) for name in row['Names']):
                    with contextlib.suppress(docker.errors.APIError):
                        client.remove_container(row['Id'], force=True, v=True)
            for image in client.images():
                for tag in image['RepoTags'] or ():
                    if tag.startswith(self.REPOSITORY):
                        client.remove_image(tag, force=True)

    def start(self) -> None:
        """Start our own engine and wait until it answers."""
        log = (self._root / 'engine.log').open('ab')
        with log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True)
        self._wait_for_answer()

    def stop(self, kill: bool = False) -> None:
        """End our own engine; its containers run on.

        :param kill: without a warning.
        """
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(_STOP_SECONDS)
        self._wait_for_containerd()

    def freeze(self) -> None:
        """Let our own engine accept connections but not answer, until thaw()."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def _make_root(self) -> None:
        # Not the test's own temporary directory: a socket's path is short.
        self._root = pathlib.Path(tempfile.mkdtemp(prefix='zun-test-', dir='/tmp'))
        self.url = f'unix://{self._root}/docker.sock'
        self.data = self._root / 'data'
        (self._root / 'run').mkdir()
        (self._root / 'daemon.json').write_text(json.dumps(self.config()))
        self._mount('--bind', str(self._root), str(self._root))
        self._mount('--make-shared', str(self._root))
        if self._data_bytes is not None:
            self.data.mkdir()
            self._mount('-t', 'tmpfs', '-o', f'size={self._data_bytes}', 'tmpfs', str(self.data))
        self.addCleanup(self._remove_root)
        self.addCleanup(self._end_processes)
        self.addCleanup(self.stop)

    def _crun(self) -> str:
        """crun, which refuses to work beside a second hierarchy of cgroups: it sees none."""
        if not (_CGROUPS / 'unified').exists():
            return CRUN
        script = self._root / 'crun.sh'
        script.write_text('#!/bin/sh\nexec unshare --mount --propagation slave sh -c '
                          f"'umount {_CGROUPS}/unified; exec {CRUN} \"$@\"' sh \"$@\"\n")
        script.chmod(0o700)
        return str(script)

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            client = docker.APIClient(self.url, version='1.41', timeout=5)
            with contextlib.closing(client), contextlib.suppress(requests.RequestException):
                client.ping()
                return
            time.sleep(0.05)
        log = (self._root / 'engine.log').read_text(errors='replace')
        raise AssertionError(f'the engine did not start; the end of its log:\n{log[-2000:]}')

    def _wait_for_containerd(self) -> None:
        """Wait until the engine's containerd is gone, too.

        It is killed with its parent. As long as pid 1 has not reaped it, a new
        dockerd takes it for running and waits for it in vain.
        """
        pid_file = self._root / 'exec/containerd/containerd.pid'
        with contextlib.suppress(FileNotFoundError):
            process = pathlib.Path('/proc', pid_file.read_text().strip())
            deadline = time.monotonic() + _STOP_SECONDS
            while process.exists() and time.monotonic() < deadline:
                time.sleep(0.05)

    def _end_processes(self) -> None:
        """End what outlived the engine: its containerd, shims and containers."""
        groups = [*_CGROUPS.glob(f'*/{self._root.name}'), _CGROUPS / self._root.name]
        for _ in range(50):
            left = _processes_of(str(self._root)) | {
                int(pid) for group in groups for procs in group.rglob('cgroup.procs')
                for pid in procs.read_text().split()}
            if not left:
                break
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        for group in groups:
            if group.exists():
                for directory, _, _ in os.walk(group, topdown=False):
                    os.rmdir(directory)

    def _remove_root(self) -> None:
        mounts = pathlib.Path('/proc/self/mountinfo').read_text().splitlines()
        for mount in reversed([line.split()[4] for line in mounts]):
            if pathlib.PurePath(mount).is_relative_to(self._root):
                subprocess.run(['umount', '--lazy', mount], check=False, timeout=10)
        shutil.rmtree(self._root)

    def _mount(self, *arguments: str) -> None:
        subprocess.run(['mount', *arguments], check=True, timeout=10)


def for_class(case: type[unittest.TestCase], data_bytes: int | None = None,
              kind: type[DockerEngine] | None = None) -> Any:
    """An engine that all tests of a class share; for setUpClass().

    :param kind: DockerEngine, or another that is much like it.
    """
    engine = (kind or DockerEngine)(data_bytes)
    reason = engine.why_not()
    if reason:
        raise unittest.SkipTest(reason)
    engine.setUp()
    case.addClassCleanup(engine.cleanUp)
    return engine


def _processes_of(path: str) -> set[int]:
    """The processes that were given this path, which no one else's were."""
    found = set()
    for directory in pathlib.Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            if path.encode() in (directory / 'cmdline').read_bytes():
                found.add(int(directory.name))
    return found - {os.getpid()}
