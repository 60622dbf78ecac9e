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

"""The process manager: supervisor, over its unix socket.

supervisord runs with a small fixed environment in which ``ZUN_CLOUD_OWNER`` names the state
directory. Every process it starts inherits that mark, which is how ``leftovers`` tells this
cloud's processes from all others.
"""

from __future__ import annotations

import dataclasses
import http.client
import os
import shlex
import signal
import subprocess
import threading
import time
import typing
import xmlrpc.client

import supervisor.xmlrpc

from zun_cloud import credentials
from zun_cloud import errors
from zun_cloud import rendering
from zun_cloud import service as cloud_service
from zun_cloud import settings as cloud_settings

OWNER = 'ZUN_CLOUD_OWNER'
UP = {'STARTING', 'RUNNING'}
ALIVE = {*UP, 'STOPPING'}
POLL = 0.1

# supervisor's own fault codes, from supervisor.xmlrpc.Faults.
NOT_RUNNING = supervisor.xmlrpc.Faults.NOT_RUNNING
ALREADY_STARTED = supervisor.xmlrpc.Faults.ALREADY_STARTED


@dataclasses.dataclass(frozen=True)
class Process:
    """What the process manager says of one service."""

    name: str
    state: str
    pid: int | None
    started: float
    detail: str

    @property
    def up(self) -> bool:
        return self.state in UP


class Manager:
    """One supervisord. Methods may be called from any thread."""

    def __init__(self, settings: cloud_settings.Settings) -> None:
        self._settings = settings
        self._config = settings.etc / 'supervisord.conf'
        # One connection for all threads: it answers one call after the other anyway.
        self._lock = threading.Lock()
        transport = supervisor.xmlrpc.SupervisorTransport(
            None, None, serverurl=f'unix://{settings.run}/supervisor.sock'
        )
        # The address only satisfies ServerProxy: the transport goes to the socket.
        self._transport = transport
        self._rpc = xmlrpc.client.ServerProxy('http://127.0.0.1', transport=transport)
        self._snapshot: dict[str, Process] = {}
        self._snapshot_time = 0.0
        # When each service was last started or stopped: older snapshots say nothing of it.
        self._touched: dict[str, float] = {}

    def is_running(self) -> bool:
        try:
            self._call('getState')
        except errors.CloudError:
            return False
        return True

    def apply(self, services: typing.Sequence[cloud_service.Service]) -> None:
        """Make these the services it keeps.

        One that is new is added and not started; one that is gone or whose definition or
        configuration files changed is stopped. Starts supervisord when it does not run.
        """
        credentials.write_private(self._config, render(self._settings, services))
        if not self.is_running():
            self._launch()
            return
        [[added, changed, removed]] = self._call('reloadConfig')
        self.stop(*changed, *removed)
        for name in [*changed, *removed]:
            self._call('removeProcessGroup', name)
        for name in [*added, *changed]:
            self._call('addProcessGroup', name)

    def processes(self) -> dict[str, Process]:
        """All services by name; empty when supervisord does not run."""
        try:
            found = self._call('getAllProcessInfo')
        except errors.CloudError:
            return {}
        return {
            item['name']: Process(
                item['name'], item['statename'], item['pid'] or None, item['start'],
                item['spawnerr'] or item['description'],
            )
            for item in found
        }

    def process(self, name: str, age: float = 0.0) -> Process:
        """One service, as it was at most ``age`` seconds ago.

        :raises CloudError: the process manager does not run or does not keep it.
        """
        now = time.monotonic()
        if self._snapshot_time < max(now - age, self._touched.get(name, 0.0)):
            self._snapshot, self._snapshot_time = self.processes(), now
        if name not in self._snapshot:
            raise errors.CloudError(f'the process manager does not keep {name}')
        return self._snapshot[name]

    def start(self, name: str) -> None:
        """Start it unless it runs; does not wait."""
        try:
            self._call('startProcess', name, False)
        except xmlrpc.client.Fault as exc:
            if exc.faultCode != ALREADY_STARTED:
                raise errors.CloudError(
                    f'{name}: {exc.faultString}', self._settings.log_of(name)
                ) from exc
        self._touched[name] = time.monotonic()

    def stop(self, *names: str) -> None:
        """Stop those that run, all at once; returns when they have ended."""
        for name in names:
            try:
                self._call('stopProcess', name, False)
            except xmlrpc.client.Fault as exc:
                if exc.faultCode != NOT_RUNNING:
                    raise errors.CloudError(f'{name}: {exc.faultString}') from exc
            self._touched[name] = time.monotonic()
        # Ends by itself: supervisor kills what takes longer than its stopwaitsecs.
        while any(self.process(name, POLL).state in ALIVE for name in names):
            time.sleep(POLL)

    def kill(self, name: str) -> None:
        """End it with all its processes as a crash would, and do not start it again.

        No handler of its own runs. Nothing to do when it does not run.
        """
        pid = self.process(name).pid
        if pid is None:
            return
        # Stopped, it does not see the SIGTERM by which the process manager ends a service,
        # which it would otherwise start again.
        os.killpg(pid, signal.SIGSTOP)
        try:
            self._call('stopProcess', name, False)
        finally:
            os.killpg(pid, signal.SIGKILL)
        self.stop(name)

    def wait_ready(self, service: cloud_service.Service, timeout: float = 300) -> None:
        """Wait until the service can be used.

        :raises CloudError: it died for good or is not well in time; names its log.
        """
        log = self._settings.log_of(service.name)
        deadline = time.monotonic() + timeout
        while True:
            process = self.process(service.name, POLL)
            if process.up and service.ready():
                return
            if process.state in {'FATAL', 'EXITED', 'STOPPED', 'UNKNOWN'}:
                raise errors.CloudError(f'{service.name} ended ({process.state})', log)
            if time.monotonic() > deadline:
                raise errors.CloudError(f'{service.name} is not ready after {timeout:.0f} s', log)
            time.sleep(POLL)

    def shutdown(self, timeout: float = 30) -> None:
        """End supervisord; it stops what still runs."""
        if not self.is_running():
            return
        self._call('shutdown')
        deadline = time.monotonic() + timeout
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(0.1)

    def _launch(self) -> None:
        environment = {
            'PATH': self._settings.search_path,
            'HOME': '/root',
            'LANG': 'C.UTF-8',
            'PYTHONPATH': str(cloud_settings.STANDALONE),
            OWNER: str(self._settings.state),
            # setproctitle would write a service's title over the mark.
            'SPT_NOENV': '1',
        }
        command = [self._settings.program('python'), '-m', 'zun_cloud.supervisord',
                   '-c', str(self._config)]
        log = self._settings.log / 'supervisord.log'
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        if done.returncode:
            raise errors.CloudError(f'supervisord: {done.stderr.strip()}', log)
        deadline = time.monotonic() + 15
        while not self.is_running():
            if time.monotonic() > deadline:
                raise errors.CloudError('supervisord does not answer', log)
            time.sleep(0.05)

    def _call(self, method: str, *arguments: typing.Any) -> typing.Any:
        with self._lock:
            try:
                return getattr(self._rpc.supervisor, method)(*arguments)
            except (OSError, http.client.HTTPException) as exc:
                self._transport.close()
                raise errors.CloudError('the process manager does not run') from exc


def render(
    settings: cloud_settings.Settings, services: typing.Sequence[cloud_service.Service]
) -> str:
    """The process manager's configuration."""
    environment = rendering.make_environment()
    environment.filters['supervisor_word'] = _word
    programs = [
        {
            'name': item.name,
            'command': item.command,
            'environment': _environment(item),
            'restart': item.restart,
            'stop_seconds': item.stop_seconds,
        }
        for item in services
    ]
    return environment.get_template('supervisord.conf').render(s=settings, services=programs)


def _environment(item: cloud_service.Service) -> str:
    # The fingerprint is there only to be compared: supervisor restarts what differs.
    values = {**item.env, 'ZUN_CLOUD_CONFIG': item.fingerprint()}
    return ','.join(f'{name}="{_escaped(value)}"' for name, value in values.items())


def _word(word: str) -> str:
    return _escaped(shlex.quote(word))


def _escaped(text: str) -> str:
    """supervisor expands %(...)s in what it reads."""
    return text.replace('%', '%%')
