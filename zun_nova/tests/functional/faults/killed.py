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

"""A program whose children are killed with SIGKILL in the middle of what they do.

It reads one command a line from its standard input and answers each with a
line: JSON both. Each command is done by a new driver in a process of its own,
forked from this one, which has imported everything, started no thread and
connected to nothing: a quick way to a new nova-compute.

Commands: the methods of :class:`Child`. With
``kill_at`` the child kills itself before its n-th step. A step is whatever
changes something outside of the process: a request to the engine, before it
is sent and again before it is answered, a piece of the image, a privileged
call, a change of the switch. The answer names the steps that were reached, and
what the command told.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from collections.abc import Iterator
import functools
import hashlib
import json
import os
import pathlib
import re
import signal
import sys
import threading
import traceback
import types
from typing import Any
from typing import TextIO

from nova import context as nova_context
from nova import objects
from nova.compute import task_states
from nova.compute import vm_states
from nova.tests.unit import fake_instance
from nova.virt import fake
import os_vif
import requests
import urllib3.connection
from vif_plug_ovs import privsep as ovs_privsep
from vif_plug_ovs.ovsdb import ovsdb_lib

from zun_nova.tests.unit.vif import fakes
from zun_nova.vif import privileged
from zun_nova.vif import switch
from zun_nova.virt import driver
from zun_nova.virt import exits
from zun_nova.virt import privileged as virt_privileged
from zun_nova.virt import reconcile
from zun_nova.virt import rescue_root

HOST = 'killed'
IMAGE_ID = 'cedef40a-ed67-4d10-800e-17455edce175'
RESCUE_IMAGE_ID = 'cedef40a-ed67-4d10-800e-17455edce176'
CONF = driver.CONF

#: Read-only with a file: the longest way to a container.
DOCUMENT = b"""#container-config
read_only: true
command: [sleep, infinity]
files:
- {path: /etc/motd, content: hello}
"""
_PIECES = 2
_UPLOAD_PIECE = 64 * 1024
_UPLOAD_STEP = 1024 * 1024
#: Seconds after which a child that hangs is ended.
_DEADLINE = 300
#: Begins what a command has told, after its steps.
_TOLD = 'told: '
_UUID = re.compile('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


class Steps:
    """Counts, and kills before the n-th."""

    def __init__(self, kill_at: int | None, out: TextIO) -> None:
        self._kill_at = kill_at
        self._out = out
        self._lock = threading.Lock()
        self._count = 0

    def step(self, name: str) -> None:
        with self._lock:
            self._count += 1
            print(name, file=self._out, flush=True)
            if self._count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, owner: Any, name: str, label: Callable[..., str | None] | None = None) -> None:
        """Make each call of this function a step.

        :param label: the step's name by the call's arguments; None: it changes nothing.
        """
        func = getattr(owner, name)

        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            said = label(*args) if label else name
            if said is not None:
                self.step(said)
            return func(*args, **kwargs)

        setattr(owner, name, call)

    def watch_all(self) -> None:
        self.watch(requests.Session, 'send', lambda _session, request: _request(request))
        self.watch(urllib3.connection.HTTPConnection, 'getresponse',
                   lambda connection: None if connection._method == 'GET' else 'its answer')
        for name in ('create', 'bring_in', 'configure', 'delete', 'send_announcements'):
            self.watch(privileged, name)
        for name in ('plug', 'unplug'):
            self.watch(os_vif, name)
        for name in ('create_ovs_vif_port', 'delete_ovs_vif_port', 'update_ovs_vif_port'):
            self.watch(ovsdb_lib.BaseOVS, name)
        self.watch(switch, 'remove')
        for name in ('mount_overlay', 'unmount'):
            self.watch(virt_privileged, name)
        for name in ('note', 'release'):
            self.watch(rescue_root.RescueRoots, name)


def _request(request: Any) -> str | None:
    path = _UUID.sub('UUID', request.path_url.partition('?')[0])
    return None if request.method == 'GET' else f'{request.method} {path}'


class Child:
    """One nova-compute's worth of work on one server.

    :param server: its uuid, the id and mac of its port, and the host if that is another.
    :param record: what Nova's database says of the server: 'here', 'elsewhere', 'deleted'.
    """

    #: What the owner of the server asks for.
    DOCUMENT = DOCUMENT

    def __init__(self, steps: Steps, image: str, server: dict[str, Any],
                 record: str = 'here') -> None:
        self._steps = steps
        self._image = pathlib.Path(image)
        self._host = server.get('host', HOST)
        self._context = nova_context.get_admin_context()
        self._instance = fake_instance.fake_instance_obj(
            self._context, uuid=server['uuid'], image_ref=IMAGE_ID, project_id='project',
            user_id='user', hostname='web', config_drive='', metadata={}, system_metadata={},
            user_data=None, expected_attrs=['metadata', 'system_metadata'])
        self._instance.user_data = base64.b64encode(self.DOCUMENT).decode()
        self._instance.flavor.memory_mb, self._instance.flavor.vcpus = 64, 1
        self._instance.flavor.ephemeral_gb, self._instance.numa_topology = 0, None
        self._instance.trusted_certs = None
        self._network_info = [fakes.vif(
            fakes.subnet('10.7.0.0/24', '10.7.0.11', gateway='10.7.0.1'),
            port_id=server['port'], mac=server['mac'])]
        self._set_record(record)
        driver.images.glance.API = lambda: types.SimpleNamespace(
            download=self._download, update=self._update, get=image_of)
        self._driver = driver.ContainerDriver(fake.FakeVirtAPI())
        self._driver.init_host(self._host)
        self._steps.watch_all()

    def spawn(self) -> None:
        meta = objects.ImageMeta.from_dict(image_of(None, IMAGE_ID))
        self._driver.spawn(self._context, self._instance, meta, [], None, {},
                           network_info=self._network_info)

    def snapshot(self) -> None:
        self._driver.snapshot(self._context, self._instance, IMAGE_ID, self._update_task_state)

    def clean(self) -> None:
        """What the driver does at its start of what snapshots have left."""
        self._driver._snapshots.clean()

    def destroy(self) -> None:
        """As Nova does for a server that its owner deletes."""
        self._driver.destroy(self._context, self._instance, self._network_info)

    def rebuild(self) -> None:
        """As Nova does where drivers leave it to it."""
        self._instance.host = HOST
        self._instance.task_state = task_states.REBUILDING
        self._driver.power_off(self._instance)
        self.destroy()
        self._instance.task_state = task_states.REBUILD_SPAWNING
        self.spawn()

    def rescue(self) -> None:
        """As Nova does, which stops the server before."""
        self._instance.vm_state = vm_states.ACTIVE
        self._driver.power_off(self._instance)
        self._driver.rescue(self._context, self._instance, self._network_info,
                            objects.ImageMeta(id=RESCUE_IMAGE_ID), None, None, None)

    def unrescue(self) -> None:
        self._set_network_info()
        self._driver.unrescue(self._context, self._instance)

    def finish_rescue(self) -> None:
        """As the next nova-compute does, with one that was cut short."""
        self._finish(vm_states.ACTIVE, task_states.RESCUING)

    def finish_unrescue(self) -> None:
        self._finish(vm_states.RESCUED, task_states.UNRESCUING)

    def _finish(self, vm_state: str, task_state: str) -> None:
        self._set_network_info()
        stub(objects.Instance, 'save', None)
        stub(exits, 'record', None)
        self._instance.vm_state, self._instance.task_state = vm_state, task_state
        self._driver._rescues.recover(self._instance)
        if (self._instance.vm_state, self._instance.task_state) != (vm_states.ACTIVE, None):
            raise AssertionError(self._instance)

    def _set_network_info(self) -> None:
        stub(objects.Instance, 'get_network_info', self._network_info)

    def recover(self) -> None:
        """As Nova does next, with what was left by one that was killed.

        When the server is still here, its owner deletes it.
        """
        self.clean()
        self._look()
        if self._record == 'here':
            self.destroy()
            self._set_record('deleted')
            self._look()
        if self._record == 'deleted':
            for _uuid in self._driver.list_instance_uuids():
                # Its periodic task, which no longer knows the server's ports.
                self._driver.destroy(self._context, self._instance, [])

    def _look(self) -> None:
        reconciler = reconcile.Reconciler(
            self._driver._runtime, self._driver._networks, self._driver._drives,
            self._driver._volumes, self._driver._migrations, self._host, interval=0)
        for _ in range(2):   # what belongs to a server elsewhere goes at the second look
            reconciler.reconcile(self._context)

    def _set_record(self, record: str) -> None:
        """Stand in for Nova's database."""
        self._record = record
        row = types.SimpleNamespace(
            uuid=self._instance.uuid, host='other' if record == 'elsewhere' else self._host,
            deleted=record == 'deleted', task_state=None)
        # Asked when the image takes long to come.
        stub(objects.Instance, 'get_by_uuid', self._instance)
        stub(objects.InstanceList, 'get_by_host', [row] if record == 'here' else [])
        stub(objects.InstanceList, 'get_by_filters', [row])
        stub(objects.MigrationList, 'get_by_filters', [])
        stub(objects.VirtualInterfaceList, 'get_by_instance_uuid', [])

    def _update_task_state(self, task_state: str, expected_state: str = '') -> None:
        self._steps.step(task_state)

    def _update(self, _context: Any, _image_id: str, _record: Any, data: Any,
                purge_props: bool) -> dict[str, Any]:
        """Stand in for Glance, which takes the data of an image."""
        digest, size = hashlib.sha512(), 0
        while piece := data.read(_UPLOAD_PIECE):
            if size // _UPLOAD_STEP != (size + len(piece)) // _UPLOAD_STEP:
                self._steps.step('upload')
            size += len(piece)
            digest.update(piece)
        return {'size': size, 'os_hash_algo': 'sha512', 'os_hash_value': digest.hexdigest()}

    def _download(self, *_args: Any, **_kwargs: Any) -> Iterator[bytes]:
        data = self._image.read_bytes()
        size = len(data) // _PIECES + 1
        for start in range(0, len(data), size):
            self._steps.step('image')
            yield data[start:start + size]


def image_of(_context: Any, image_id: str) -> dict[str, Any]:
    properties = {} if image_id == IMAGE_ID else {'os_command_line': 'sleep infinity'}
    return {'id': image_id, 'checksum': 'c0ffee', 'container_format': 'docker',
            'disk_format': 'raw', 'properties': properties}


def stub(owner: Any, name: str, result: Any) -> None:
    setattr(owner, name, lambda *args, **kwargs: result)


def _in_child(command: dict[str, Any], kind: type[Child]) -> dict[str, Any]:
    """Do it in a process of its own; says how that ended and which steps it reached."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        signal.alarm(_DEADLINE)
        code = 1
        with os.fdopen(writer, 'w') as out:
            try:
                _do(command, kind, out)
                code = 0
            except BaseException:  # noqa: BLE001  the parent is told
                traceback.print_exc(file=sys.stderr)
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as said:
        steps = said.read().splitlines()
    _, status = os.waitpid(pid, 0)
    told = steps.pop().removeprefix(_TOLD) if steps and steps[-1].startswith(_TOLD) else None
    return {'end': os.waitstatus_to_exitcode(status), 'steps': steps, 'told': told}


def _do(command: dict[str, Any], kind: type[Child], out: TextIO) -> None:
    steps = Steps(command.get('kill_at'), out)
    child = kind(steps, command['image'], command['server'], command.get('record', 'here'))
    told = getattr(child, command['do'])()
    if told is not None:
        print(_TOLD + told, file=out, flush=True)


def main(docker_url: str, ovsdb: str, directory: str, kind: type[Child] = Child) -> None:
    CONF([], project='nova', default_config_files=[])
    os_vif.initialize()
    objects.register_all()
    CONF.set_override('docker_url', docker_url, group='zun_nova')
    CONF.set_override('ovsdb_connection', ovsdb, group='os_vif_ovs')
    CONF.set_override('instances_path', directory)
    for context in (privileged.context, virt_privileged.context, ovs_privsep.vif_plug):
        context.set_client_mode(False)
    for line in sys.stdin:
        print(json.dumps(_in_child(json.loads(line), kind)), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
