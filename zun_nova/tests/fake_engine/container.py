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

"""One container of the fake engine: the state machine."""

from __future__ import annotations

from collections.abc import Callable
import datetime
import functools
import io
import itertools
import pathlib
import secrets
import struct
import tarfile
import threading
from typing import Any

from zun_nova.tests.fake_engine import answers
from zun_nova.tests.fake_engine import images
from zun_nova.tests.fake_engine import program
from zun_nova.tests.fake_engine import terminal

NEVER = '0001-01-01T00:00:00Z'
# What every image has.
_FILES = ('/etc/passwd', '/bin/sh')
_PIECE = 16 * 1024   # Docker cuts longer lines
# Beyond what kernels give, so that nobody's process is meant by mistake.
_PIDS = itertools.count(2 ** 22 + 1)


class Container:
    """State and output of one container.

    :param condition: the engine's lock; held by the caller of every method.
    :param request: of the create call.
    :param happened: called with the name of every event and its own attributes.
    """

    def __init__(self, name: str, request: dict[str, Any], image: images.Image,
                 condition: threading.Condition, sandboxes: pathlib.Path,
                 happened: Callable[..., None]) -> None:
        self.id = secrets.token_hex(32)
        self.name = name
        self.config = request
        if labels := {**(image.config.get('Labels') or {}), **(request.get('Labels') or {})}:
            request['Labels'] = labels
        self.host_config: dict[str, Any] = request.get('HostConfig') or {}
        self.image = image
        self.status = 'created'
        self.pid = 0
        self.exit_code = 0
        self.error = ''
        self.oom_killed = False
        self.started_at = self.finished_at = NEVER
        self.sandbox_key = ''
        self.messages: list[tuple[int, bytes]] = []
        #: Content by path of what was put into it.
        self.put: dict[str, bytes] = {}
        self.mounts: list[dict[str, str]] = []
        self.play = program.Play()
        self.terminal = terminal.Terminal(self.messages)
        self._condition = condition
        self._sandboxes = sandboxes
        self._run = 0
        self._happened = functools.partial(happened, self)

    @property
    def running(self) -> bool:
        """A paused one runs, too."""
        return self.status in ('running', 'paused')

    def start(self, joined: Container | None) -> None:
        """Run its command.

        :param joined: the container whose network it joins.
        """
        if self.status == 'paused':
            raise answers.Refused(409, 'cannot start a paused container, try unpause instead')
        argv = self._argv()
        if argv[0].rpartition('/')[2] not in self.image.programs:
            self.exit_code = 127
            self.error = (
                'failed to create shim task: OCI runtime create failed: runc create failed: '
                f'unable to start container process: exec: "{argv[0]}": '
                'executable file not found in $PATH: unknown')
            raise answers.Refused(400, self.error)
        self._open_sandbox()
        owner = joined or self
        files = {path: content.decode() for path, content in
                 (self.image.files | self.put | self._mounted()).items()} | owner.files()
        self.play = program.play(argv, bool(self.config.get('Tty')), files)
        self.put |= {path: text.encode() for path, text in self.play.files.items()}
        self._write(self.play.output)
        self.status, self.pid, self.exit_code, self.error = 'running', next(_PIDS), 0, ''
        self.started_at = _now()
        self._run += 1
        self._happened('start')
        if self.play.seconds != program.FOREVER:
            self._end_later(self.play.seconds)

    def pause(self) -> None:
        self.status = 'paused'
        self._happened('pause')

    def unpause(self) -> None:
        self.status = 'running'
        self._happened('unpause')

    def signal(self, name: str) -> None:
        """Deliver a signal, named without SIG."""
        self._happened('kill', signal=name)
        if name == 'KILL':
            self._end(137)
        elif name in self.play.traps:
            self._end(self.play.traps[name])

    def run_out_of_memory(self, code: int = 137) -> None:
        """As when the kernel kills a process of it; it ends with this code."""
        with self._condition:
            self.oom_killed = True
            self._happened('oom')
            self._end(code)

    def end(self, code: int) -> None:
        """Its process ends by itself."""
        with self._condition:
            self._end(code)

    def stop(self, seconds: float) -> None:
        """Send the stop signal; kill it when it runs on."""
        self.signal(self.config.get('StopSignal', 'SIGTERM').removeprefix('SIG'))
        self._condition.wait_for(lambda: not self.running, seconds)
        if self.running:
            self.signal('KILL')

    def unpack(self, directory: str, archive: bytes) -> None:
        """Put files into it, as Docker does where directory is one."""
        if self.host_config.get('ReadonlyRootfs'):
            raise answers.Refused(403, 'container rootfs is marked read-only')
        base = pathlib.PurePosixPath(directory)
        known = self.image.files | self.put
        held = {parent for path in (*known, *_FILES) for parent in pathlib.PurePath(path).parents}
        if str(base) in (*known, *_FILES):
            raise answers.Refused(400, 'extraction point is not a directory')
        if base not in held:
            raise answers.Refused(404, f'Could not find the file {directory} in container')
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                if file := tar.extractfile(member):
                    self.put[str(base / member.name)] = file.read()

    def pack(self, path: str) -> tuple[dict[str, Any], bytes]:
        """What Docker tells of a path, and an archive of it; directories come empty."""
        known = dict.fromkeys(_FILES, b'') | self.image.files | self.put
        content = known.get(path)
        if content is None and not any(
                pathlib.PurePosixPath(each).is_relative_to(path) for each in known):
            raise answers.Refused(404, f'Could not find the file {path} in container {self.name}')
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode='w') as tar:
            member = tarfile.TarInfo(pathlib.PurePosixPath(path).name or '/')
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            member.size = len(content or b'')
            tar.addfile(member, io.BytesIO(content or b''))
        mode = 0o644 if content is not None else 0o755 | 1 << 31
        return {'name': member.name, 'mode': mode, 'linkTarget': ''}, archive.getvalue()

    def _mounted(self) -> dict[str, bytes]:
        """The files it sees of the host."""
        found = {}
        for mount in self.host_config.get('Mounts') or ():
            if mount['Type'] != 'bind':
                continue
            source = pathlib.Path(mount['Source'])
            for path in (source, *source.rglob('*')):
                if path.is_file():
                    target = pathlib.PurePosixPath(mount['Target'], path.relative_to(source))
                    found[str(target)] = path.read_bytes()
        return found

    def files(self) -> dict[str, str]:
        """The files the engine puts into it and into those that join its network."""
        resolv = [f'search {" ".join(self.host_config["DnsSearch"])}'
                  ] if self.host_config.get('DnsSearch') else []
        resolv += [f'nameserver {address}' for address in self.host_config.get('Dns') or ()]
        hostname = self.config.get('Hostname') or self.id[:12]
        return {'/etc/hostname': f'{hostname}\n',
                '/etc/resolv.conf': ''.join(f'{line}\n' for line in resolv)}

    def logs(self, tail: str) -> bytes:
        """The last messages; framed unless it has a terminal."""
        kept = self.messages if tail == 'all' else self.messages[-int(tail):]
        if self.config.get('Tty'):
            return b''.join(data for _, data in kept)
        return b''.join(struct.pack('>BxxxL', stream, len(data)) + data for stream, data in kept)

    def summary(self) -> dict[str, Any]:
        """Its row of /containers/json."""
        return {
            'Id': self.id, 'Names': [f'/{self.name}'], 'Image': self.config['Image'],
            'ImageID': self.image.id, 'Command': '', 'Created': 0, 'Ports': [], 'Mounts': [],
            'Labels': self.config.get('Labels') or {}, 'State': self.status, 'Status': '',
            'HostConfig': {'NetworkMode': self.host_config.get('NetworkMode', 'default')},
        }

    def describe(self) -> dict[str, Any]:
        """The answer to /containers/NAME/json."""
        return {
            'Id': self.id, 'Name': f'/{self.name}', 'Image': self.image.id,
            'RestartCount': 0, 'Driver': 'overlay2', 'Mounts': self.mounts,
            'GraphDriver': {'Name': 'overlay2', 'Data': {
                'LowerDir': f'/overlay2/{self.id}-init/diff:/overlay2/image/diff',
                'UpperDir': f'/overlay2/{self.id}/diff', 'WorkDir': f'/overlay2/{self.id}/work',
                'MergedDir': f'/overlay2/{self.id}/merged'}},
            'Config': {'Tty': False, 'Labels': {}} | {
                key: value for key, value in self.config.items() if key != 'HostConfig'},
            'HostConfig': self.host_config,
            'NetworkSettings': {'SandboxKey': self.sandbox_key, 'Networks': {}},
            'State': {
                'Status': self.status, 'Running': self.running,
                'Paused': self.status == 'paused', 'Restarting': False,
                'OOMKilled': self.oom_killed,
                'Dead': False, 'Pid': self.pid, 'ExitCode': self.exit_code,
                'Error': self.error, 'StartedAt': self.started_at,
                'FinishedAt': self.finished_at},
        }

    def whole_config(self) -> dict[str, Any]:
        """What it says over what its image says."""
        own = {key: value for key, value in self.config.items()
               if key != 'HostConfig' and value not in (None, '', [], {})}
        inherited = dict(self.image.config)
        if 'Entrypoint' in own:
            inherited.pop('Cmd', None)
        env = {line.partition('=')[0]: line
               for line in (*inherited.get('Env', ()), *own.get('Env', ()))}
        return inherited | own | {'Env': list(env.values()), 'Hostname': self.id[:12]}

    def _argv(self) -> list[str]:
        entrypoint = self.config.get('Entrypoint')
        arguments = self.config.get('Cmd')
        if entrypoint is None:
            entrypoint = self.image.config.get('Entrypoint')
            if arguments is None:
                arguments = self.image.config.get('Cmd')
        return [*(entrypoint or ()), *(arguments or ())]

    def _open_sandbox(self) -> None:
        if self.host_config.get('NetworkMode') == 'none':
            path = self._sandboxes / secrets.token_hex(6)
            path.touch()
            self.sandbox_key = str(path)

    def close_sandbox(self) -> None:
        """Remove the file; its path stays to be read, as with Docker."""
        if self.sandbox_key:
            pathlib.Path(self.sandbox_key).unlink(missing_ok=True)

    def _write(self, output: list[tuple[int, bytes]]) -> None:
        for stream, data in output:
            for line in data.splitlines(keepends=True):
                self.messages += [(stream, line[begin:begin + _PIECE])
                                  for begin in range(0, len(line), _PIECE)]

    def _end_later(self, seconds: float) -> None:
        run = self._run

        def end() -> None:
            with self._condition:
                if self.running and self._run == run:
                    self._end(self.play.exit_code)

        if seconds:
            timer = threading.Timer(seconds, end)
            timer.daemon = True
            timer.start()
        else:
            end()

    def _end(self, exit_code: int) -> None:
        self.status, self.pid, self.exit_code = 'exited', 0, exit_code
        self.finished_at = _now()
        self.close_sandbox()
        self.terminal.hang_up()
        self._happened('die', exitCode=str(exit_code))
        self._condition.notify_all()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat().replace('+00:00', 'Z')
