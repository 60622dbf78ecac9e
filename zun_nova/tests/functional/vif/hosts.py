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

"""A compute host's network for tests: a namespace with Open vSwitch in it."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from typing import Any

import fixtures
import os_vif
from oslo_config import cfg
from oslo_utils import uuidutils
from vif_plug_ovs import privsep as ovs_privsep
from vif_plug_ovs.ovsdb import impl_idl

from zun_nova.vif import namespace
from zun_nova.vif import privileged
from zun_nova.vif import switch

BRIDGE = 'br-int'
_SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema'


def missing() -> str | None:
    """Why these tests cannot run here, None when they can."""
    if os.geteuid() != 0:
        return 'needs root'
    for program in ('ovs-vswitchd', 'ovsdb-server', 'nsenter', 'ping', 'setpriv'):
        if shutil.which(program) is None:
            return f'{program} is not installed'
    return None


class Namespace(fixtures.Fixture):
    """A network namespace with nothing in it, alive as long as the fixture."""

    def _setUp(self) -> None:
        # It ends with its stdin, that is with this process at the latest.
        self._holder = subprocess.Popen(
            ['unshare', '--net', 'sh', '-c', 'echo; exec cat'], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self.addCleanup(self.die)
        self._holder.stdout.read(1)
        self.path = f'/proc/{self._holder.pid}/ns/net'

    def die(self) -> None:
        """Let go of it, as the end of the last process in it does."""
        self._holder.stdin.close()
        self._holder.wait(10)
        self._holder.stdout.close()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside."""
        return subprocess.run(
            ['nsenter', f'--net={self.path}', *command], capture_output=True, text=True)

    def output(self, *command: str) -> str:
        result = self.run(*command)
        result.check_returncode()
        return result.stdout

    def ping(self, address: str, *options: str) -> bool:
        return self.run('ping', '-c1', '-W2', *options, address).returncode == 0


class Host(Namespace):
    """Moves the calling thread into a namespace where Open vSwitch runs.

    Own database, sockets and devices, so that it meets neither the machine's
    Open vSwitch nor another test's. Privileged code runs in this process,
    unless ``daemon`` is true.
    """

    def __init__(self, daemon: bool = False) -> None:
        super().__init__()
        self._daemon = daemon

    def _setUp(self) -> None:
        super()._setUp()
        home = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        self.addCleanup(os.close, home)
        self.addCleanup(namespace.enter, f'/proc/self/fd/{home}')
        namespace.enter(self.path)
        subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
        # Short, for a socket's path has 108 characters at most.
        self._dir = pathlib.Path(tempfile.mkdtemp(prefix='zvt-'))
        self.addCleanup(shutil.rmtree, self._dir)
        self._env = dict(os.environ, **{
            f'OVS_{kind}DIR': str(self._dir) for kind in ('RUN', 'LOG', 'DB')})
        self._start_switch()
        self._set_privsep()
        self._set_os_vif()

    def _start_switch(self) -> None:
        socket = f'unix:{self._dir}/db.sock'
        database = f'{self._dir}/conf.db'
        self._do('ovsdb-tool', 'create', database, _SCHEMA)
        self._serve('ovsdb-server', database, f'--remote=p{socket}',
                    '--remote=ptcp:6640:127.0.0.1')
        self._wait_for(self._dir / 'db.sock')
        self.vsctl('--no-wait', 'init')
        self.vsctl('--no-wait', 'set', 'Open_vSwitch', '.',
                   'other_config:userspace-tso-enable=true')
        self._serve('ovs-vswitchd', socket)
        self.vsctl('add-br', BRIDGE, '--', 'set', 'bridge', BRIDGE,
                   'datapath_type=netdev', 'fail_mode=standalone')

    @staticmethod
    def _wait_for(path: pathlib.Path) -> None:
        deadline = time.monotonic() + 20
        while not path.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f'{path} did not appear')
            time.sleep(0.02)

    def _serve(self, program: str, *arguments: str) -> None:
        # It dies with this process.
        process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', program, *arguments,
             f'--unixctl={self._dir}/{program}.ctl', f'--log-file={self._dir}/{program}.log'],
            env=self._env, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

    def _do(self, *command: str) -> str:
        return subprocess.run(
            command, env=self._env, check=True, capture_output=True, text=True, timeout=30).stdout

    def vsctl(self, *arguments: str) -> str:
        return self._do('ovs-vsctl', '--timeout=20', '--retry',
                        f'--db=unix:{self._dir}/db.sock', *arguments)

    def _set_privsep(self) -> None:
        for context in (privileged.context, ovs_privsep.vif_plug):
            context.stop()
            context.set_client_mode(self._daemon)
            self.addCleanup(context.set_client_mode, True)
            self.addCleanup(context.stop)

    def _set_os_vif(self) -> None:
        os_vif.initialize()
        cfg.CONF.set_override('ovsdb_connection', 'tcp:127.0.0.1:6640', group='os_vif_ovs')
        self.addCleanup(cfg.CONF.clear_override, 'ovsdb_connection', group='os_vif_ovs')
        # The plugin connects once, from within this namespace.
        os_vif.initialize(reset=True)
        self.addCleanup(self._disconnect)

    @staticmethod
    def _disconnect() -> None:
        # ovsdbapp keeps one connection for the life of the process.
        connection = impl_idl.NeutronOvsdbIdl._ovsdb_connection
        impl_idl.NeutronOvsdbIdl._ovsdb_connection = None
        switch._ovs.cache_clear()
        if connection is not None:
            connection.stop(5)

    def ports(self) -> list[str]:
        return self.vsctl('list-ports', BRIDGE).split()

    def links(self) -> list[str]:
        """Names of all links on this host."""
        lines = subprocess.run(
            ['ip', '-br', 'link'], check=True, capture_output=True, text=True).stdout
        return sorted(line.split()[0].partition('@')[0] for line in lines.splitlines())


class Instance:
    """The little of nova.objects.Instance that wiring reads."""

    def __init__(self) -> None:
        self.uuid = uuidutils.generate_uuid()
        self.name = 'instance-00000001'
        self.project_id = uuidutils.generate_uuid(dashed=False)

    def obj_attr_is_set(self, name: str) -> bool:
        return hasattr(self, name)


def new_id(*_args: Any) -> str:
    return str(uuidutils.generate_uuid())
