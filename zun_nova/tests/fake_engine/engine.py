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

"""The fake engine's state and what its calls do, without HTTP."""

from __future__ import annotations

import base64
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import json
import pathlib
import platform
import re
import threading
from typing import Any

from zun_nova.tests.fake_engine import answers
from zun_nova.tests.fake_engine import container
from zun_nova.tests.fake_engine import events
from zun_nova.tests.fake_engine import execs
from zun_nova.tests.fake_engine import images
from zun_nova.tests.fake_engine import registries

_NAME = re.compile('[a-zA-Z0-9][a-zA-Z0-9_.-]+')
_RUNTIMES = ('runc', 'io.containerd.runc.v2')
_PIECE = 64 * 1024
_LEAST_MEMORY = 6 * 1024 * 1024
_BELONGS_TO_OWNER = {
    'Dns': 'dns', 'ExtraHosts': 'custom host-to-IP mapping'}

Query = dict[str, str]


class Engine:
    """All containers and images.

    :param sandboxes: directory for the files that stand for network namespaces.
    """

    def __init__(self, sandboxes: pathlib.Path) -> None:
        self._condition = threading.Condition()
        self._sandboxes = sandboxes
        self._events = events.Log(self._condition)
        self.containers: dict[str, container.Container] = {}
        self.execs = execs.Execs()
        self.images = images.Images()
        self.registries = registries.Registries()
        self.version = {'Version': '20.10.24', 'ApiVersion': '1.41', 'MinAPIVersion': '1.12'}
        self.info: dict[str, Any] = {
            'ServerVersion': self.version['Version'], 'Architecture': platform.machine(),
            'OSType': 'linux', 'NCPU': 4, 'MemTotal': 8 * 1024 ** 3, 'Driver': 'overlay2',
            'DriverStatus': [['Backing Filesystem', 'extfs']], 'DockerRootDir': str(sandboxes),
            'Runtimes': {name: {'path': 'runc'} for name in _RUNTIMES},
            'DefaultRuntime': 'runc', 'LiveRestoreEnabled': True, 'Warnings': None,
        }
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., answers.Answer]]] = [
            (method, re.compile(path), call) for method, path, call in (
                ('GET', '/_ping', self._ping),
                ('GET', '/version', self._version),
                ('GET', '/info', self._info),
                ('GET', '/events', self._watch),
                ('GET', '/containers/json', self._list),
                ('POST', '/containers/create', self._create),
                ('GET', '/containers/(.+)/json', self._inspect),
                ('GET', '/containers/(.+)/changes', self._changes),
                ('GET', '/containers/(.+)/logs', self._logs),
                ('PUT', '/containers/(.+)/archive', self._unpack),
                ('GET', '/containers/(.+)/archive', self._pack),
                ('HEAD', '/containers/(.+)/archive', self._pack),
                ('POST', '/commit', self._commit),
                ('POST', '/containers/(.+)/(start|stop|kill|pause|unpause|restart)', self._act),
                ('POST', '/containers/(.+)/rename', self._rename),
                ('POST', '/containers/(.+)/update', self._update),
                ('POST', '/containers/(.+)/exec', self._create_exec),
                ('POST', '/containers/(.+)/attach', self._attach),
                ('POST', '/(containers|exec)/(.+)/resize', self._resize),
                ('POST', '/exec/(.+)/start', self._start_exec),
                ('GET', '/exec/(.+)/json', self._inspect_exec),
                ('DELETE', '/containers/(.+)', self._remove),
                ('GET', '/images/json', self._list_images),
                ('POST', '/images/load', self._load),
                ('POST', '/images/create', self._pull),
                ('GET', '/distribution/(.+)/json', self._inspect_remote),
                ('GET', '/images/(.+)/json', self._inspect_image),
                ('GET', '/images/(.+)/get', self._save),
                ('POST', '/images/(.+)/tag', self._tag),
                ('DELETE', '/images/(.+)', self._remove_image),
            )]

    def call(self, method: str, path: str, query: Query, body: bytes) -> answers.Answer:
        """Do what one request asks.

        :param path: decoded and without the API version.
        :param query: with the header X-Registry-Auth, where it was sent.
        """
        for route, pattern, call in self._routes:
            found = pattern.fullmatch(path)
            if route == method and found:
                with self._condition:
                    try:
                        return call(*found.groups(), query=query, body=body)
                    except answers.Refused as ex:
                        return ex.answer()
        return answers.of_json({'message': 'page not found'}, 404)

    def find(self, name: str) -> container.Container:
        """By id, by name, by the beginning of an id, in this order; 404 when there is none."""
        name = name.removeprefix('/')
        for known in self.containers.values():
            if known.id == name:
                return known
        if name in self.containers:
            return self.containers[name]
        begun = [known for known in self.containers.values() if known.id.startswith(name)]
        if len(begun) == 1:
            return begun[0]
        raise answers.Refused(404, f'No such container: {name}')

    def _ping(self, query: Query, body: bytes) -> answers.Answer:
        return answers.Answer(200, b'OK', 'text/plain')

    def _version(self, query: Query, body: bytes) -> answers.Answer:
        return answers.of_json(self.version)

    def _info(self, query: Query, body: bytes) -> answers.Answer:
        return answers.of_json(self.info)

    def _watch(self, query: Query, body: bytes) -> answers.Answer:
        return answers.Answer(200, pieces=self._events.watch(query))

    def _list(self, query: Query, body: bytes) -> answers.Answer:
        wanted = json.loads(query.get('filters') or '{}').get('label') or []
        return answers.of_json([
            known.summary() for known in self.containers.values()
            if (query.get('all') in ('1', 'true', 'True') or known.running)
            and all(events.has_label(known.config.get('Labels') or {}, label)
                    for label in wanted)])

    def _create(self, query: Query, body: bytes) -> answers.Answer:
        request = json.loads(body)
        name = query['name']
        self._check_name(name)
        image = self._image_of(request)
        self._check(request, image)
        host_config = request.setdefault('HostConfig', {})
        mode, _, owner = host_config.get('NetworkMode', '').partition(':')
        if mode == 'container':
            with contextlib.suppress(answers.Refused):   # then it looks again at the start
                # Docker keeps the id, not the name.
                host_config['NetworkMode'] = f'container:{self.find(owner).id}'
        made = container.Container(
            name, request, image, self._condition, self._sandboxes, self._events.happened)
        self.containers[name] = made
        return answers.of_json({'Id': made.id, 'Warnings': []}, 201)

    def _inspect(self, name: str, query: Query, body: bytes) -> answers.Answer:
        return answers.of_json(self.find(name).describe())

    def _changes(self, name: str, query: Query, body: bytes) -> answers.Answer:
        changes = [{'Path': path, 'Kind': 1} for path in self.find(name).put]
        return answers.of_json(changes or None)

    def _logs(self, name: str, query: Query, body: bytes) -> answers.Answer:
        known = self.find(name)
        if not {'stdout', 'stderr'} & query.keys():
            raise answers.Refused(400, 'Bad parameters: you must choose at least one stream')
        return answers.Answer(
            200, known.logs(query.get('tail', 'all')), 'application/vnd.docker.raw-stream')

    def _unpack(self, name: str, query: Query, body: bytes) -> answers.Answer:
        self.find(name).unpack(query['path'], body)
        return answers.Answer(200)

    def _pack(self, name: str, query: Query, body: bytes) -> answers.Answer:
        stat, archive = self.find(name).pack(query['path'])
        return answers.Answer(200, archive, 'application/x-tar', headers={
            'X-Docker-Container-Path-Stat': base64.b64encode(json.dumps(stat).encode()).decode()})

    def _commit(self, query: Query, body: bytes) -> answers.Answer:
        known = self.find(query['container'])
        freeze = query.get('pause') in ('1', 'true', 'True') and known.status == 'running'
        if freeze:
            known.pause()
        changes = {'Labels': labels} if (labels := json.loads(body).get('Labels')) else {}
        image = self.images.commit(known.image, known.whole_config(), changes, known.put,
                                   f'{query["repo"]}:{query["tag"]}')
        if freeze:
            known.unpause()
        return answers.of_json({'Id': image.id}, 201)

    def _act(self, name: str, action: str, query: Query, body: bytes) -> answers.Answer:
        known = self.find(name)
        change: Callable[[container.Container, Query], int] = getattr(self, f'_{action}')
        return answers.Answer(change(known, query))

    def _create_exec(self, name: str, query: Query, body: bytes) -> answers.Answer:
        made = self.execs.create(self.find(name), json.loads(body))
        return answers.of_json({'Id': made.id}, 201)

    def _start_exec(self, exec_id: str, query: Query, body: bytes) -> answers.Answer:
        known = self.execs.find(exec_id)
        known.start()
        return answers.Answer(101, talk=known.talk)

    def _attach(self, name: str, query: Query, body: bytes) -> answers.Answer:
        known = self.find(name)
        if known.status == 'paused':
            raise answers.Refused(409, (
                f'container {known.id} is paused, unpause the container before attach'))
        return answers.Answer(101, talk=known.terminal.talk)

    def _resize(self, kind: str, name: str, query: Query, body: bytes) -> answers.Answer:
        size = int(query['h']), int(query['w'])
        if kind == 'exec':
            self.execs.find(name).size = size
        else:
            self.find(name).terminal.size = size
        return answers.Answer(200)

    def _inspect_exec(self, exec_id: str, query: Query, body: bytes) -> answers.Answer:
        return answers.of_json(self.execs.find(exec_id).describe())

    def _start(self, known: container.Container, query: Query) -> int:
        if known.status == 'running':
            return 304
        mode, _, owner_id = known.host_config.get('NetworkMode', '').partition(':')
        owner = self.find(owner_id) if mode == 'container' else None
        if owner is not None and not owner.running:
            raise answers.Refused(
                409, f'cannot join network of a non running container: {owner.id}')
        known.start(owner)
        return 204

    def _stop(self, known: container.Container, query: Query) -> int:
        if not known.running:
            return 304
        known.stop(float(query.get('t', 10)))
        return 204

    def _restart(self, known: container.Container, query: Query) -> int:
        self._stop(known, query)
        return self._start(known, query)

    def _kill(self, known: container.Container, query: Query) -> int:
        if not known.running:
            raise answers.Refused(409, (
                f'Cannot kill container: {known.name}: Container {known.id} is not running'))
        known.signal(query.get('signal', 'KILL').removeprefix('SIG'))
        return 204

    def _pause(self, known: container.Container, query: Query) -> int:
        if not known.running:
            raise answers.Refused(409, f'Container {known.id} is not running')
        if known.status == 'paused':
            raise answers.Refused(409, f'Container {known.id} is already paused')
        known.pause()
        return 204

    def _unpause(self, known: container.Container, query: Query) -> int:
        if known.status != 'paused':
            raise answers.Refused(500, f'Container {known.id} is not paused')
        known.unpause()
        return 204

    def _rename(self, name: str, query: Query, body: bytes) -> answers.Answer:
        known = self.find(name)
        self._check_name(query['name'])
        del self.containers[known.name]
        known.name = query['name']
        self.containers[known.name] = known
        self._events.happened(known, 'rename')
        return answers.Answer(204)

    def _update(self, name: str, query: Query, body: bytes) -> answers.Answer:
        known = self.find(name)
        asked = json.loads(body)
        if 0 < asked.get('Memory', 0) < _LEAST_MEMORY:
            raise answers.Refused(400, 'Minimum memory limit allowed is 6MB')
        known.host_config |= asked
        return answers.of_json({'Warnings': None})

    def _remove(self, name: str, query: Query, body: bytes) -> answers.Answer:
        known = self.find(name)
        if known.running and query.get('force') not in ('1', 'true', 'True'):
            raise answers.Refused(409, (
                f'You cannot remove a running container {known.id}. Stop the container before '
                f'attempting removal or force remove'))
        if known.running:
            known.signal('KILL')
        del self.containers[known.name]
        self._events.happened(known, 'destroy')
        return answers.Answer(204)

    def _list_images(self, query: Query, body: bytes) -> answers.Answer:
        wanted = json.loads(query.get('filters') or '{}').get('reference')
        return answers.of_json(self.images.rows(wanted))

    def _load(self, query: Query, body: bytes) -> answers.Answer:
        """Like Docker, it says 200 first and then what is wrong."""
        try:
            lines: list[dict[str, Any]] = [
                {'stream': f'Loaded image: {tag}\n'} for tag in self.images.load(body)]
        except ValueError as ex:
            lines = [{'errorDetail': {'message': str(ex)}, 'error': str(ex)}]
        return answers.Answer(200, b''.join(json.dumps(line).encode() + b'\r\n' for line in lines))

    def _inspect_remote(self, remote: str, query: Query, body: bytes) -> answers.Answer:
        return answers.of_json(self.registries.describe(remote, query.get('X-Registry-Auth')))

    def _pull(self, query: Query, body: bytes) -> answers.Answer:
        """Like Docker, it asks no registry for what it has."""
        remote = f'{query["fromImage"]}@{query["tag"]}'
        if any(remote in image.digests for image in self.images.by_id.values()):
            return answers.of_json({'status': 'Status: Image is up to date'})
        found = self.registries.pull(remote, query.get('X-Registry-Auth'))

        def pieces() -> Iterator[bytes]:
            line: dict[str, Any] = {}
            for line in self.registries.lines(found):
                yield json.dumps(line).encode() + b'\r\n' if line else b''
            if 'error' not in line:
                with self._condition:
                    self.images.pulled(found.archive, remote)

        return answers.Answer(200, pieces=pieces())

    def _inspect_image(self, name: str, query: Query, body: bytes) -> answers.Answer:
        return answers.of_json(self.images.find(name).describe())

    def _save(self, name: str, query: Query, body: bytes) -> answers.Answer:
        archive = self.images.save(name)
        pieces = (archive[at:at + _PIECE] for at in range(0, len(archive), _PIECE))
        return answers.Answer(200, content_type='application/x-tar', pieces=pieces)

    def _tag(self, name: str, query: Query, body: bytes) -> answers.Answer:
        self.images.tag(name, f'{query["repo"]}:{query.get("tag", "latest")}')
        return answers.Answer(201)

    def _remove_image(self, name: str, query: Query, body: bytes) -> answers.Answer:
        image = self.images.find(name)
        users = [known.id for known in self.containers.values() if known.image is image]
        return answers.of_json(self.images.remove(name, users))

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise answers.Refused(400, (
                f'Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed'))
        if name in self.containers:
            raise answers.Refused(409, (
                f'Conflict. The container name "/{name}" is already in use by container '
                f'"{self.containers[name].id}". You have to remove (or rename) that container '
                f'to be able to reuse that name.'))

    def _image_of(self, request: dict[str, Any]) -> images.Image:
        try:
            return self.images.find(request['Image'])
        except answers.Refused:
            raise answers.Refused(404, f'No such image: {request["Image"]}') from None

    def _check(self, request: dict[str, Any], image: images.Image) -> None:
        """What Docker refuses."""
        host_config = request.get('HostConfig') or {}
        if 0 < host_config.get('Memory', 0) < _LEAST_MEMORY:
            raise answers.Refused(400, 'Minimum memory limit allowed is 6MB')
        if host_config.get('StorageOpt'):
            raise answers.Refused(500, (
                "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"))
        if host_config.get('Runtime', 'runc') not in self.info['Runtimes']:
            raise answers.Refused(400, f'Unknown runtime specified {host_config["Runtime"]}')
        if not any((request.get('Entrypoint'), request.get('Cmd'),
                    image.config.get('Entrypoint'), image.config.get('Cmd'))):
            raise answers.Refused(400, 'No command specified')
        for mount in host_config.get('Mounts') or ():
            if mount['Type'] == 'bind' and not pathlib.Path(mount['Source']).exists():
                raise answers.Refused(400, (
                    'invalid mount config for type "bind": bind source path does not exist: '
                    f'{mount["Source"]}'))
        if host_config.get('NetworkMode', '').startswith('container:'):
            if request.get('Hostname'):
                raise answers.Refused(400, 'conflicting options: hostname and the network mode')
            for option, words in _BELONGS_TO_OWNER.items():
                if host_config.get(option):
                    raise answers.Refused(
                        400, f'conflicting options: {words} and the network mode')
