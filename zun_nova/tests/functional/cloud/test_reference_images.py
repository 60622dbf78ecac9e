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
"""Images whose content is in a registry, and who may run them."""

from __future__ import annotations

import json
import pathlib
import random
from typing import Any
import uuid

from zun_nova.tests import images
from zun_nova.tests import key_manager
from zun_nova.tests.functional import registry
from zun_nova.tests.functional.cloud import base
from zun_nova.virt import image_source

MIB = 1024 * 1024
SCRIPT = 'echo from the registry; sleep 1000'


class _Case(base.CloudTest):

    def reference(self, connection: Any, remote: str, **properties: str) -> Any:
        """A Glance image without data, of the connection's project."""
        [empty] = self.create_tempfiles([('empty', b'')])
        made = connection.image.create_image(
            name=f'test-{uuid.uuid4().hex[:8]}', container_format='docker', disk_format='raw',
            filename=empty, container_image_ref=remote, **properties)
        self.addCleanup(connection.image.delete_image, made.id)
        return made

    def names(self, image: Any) -> list[str]:
        """What the engines call the image."""
        return [tag for each in self.hosts.values()
                for row in each.engine.images(image_source.REPOSITORY)
                for tag in row['RepoTags'] or () if image.id in tag]


class ReferenceImagesTest(_Case):
    """A registry that is closed to all but ALICE, in whose name the demo project asks."""

    def setUp(self) -> None:
        super().setUp()
        self.registry = self.useFixture(
            registry.Registry(closed=True, port=self.settings.port('registry')))
        layers = [images.busybox_layer(), images.tar({'id': uuid.uuid4().bytes})]
        self.remote = self.registry.push(
            'team/web', layers, Cmd=['sh', '-c', SCRIPT], Env=['PATH=/bin'])
        self.compute_log = self.settings.log_of('nova-compute-1')
        self.log_begin = self.compute_log.stat().st_size

    def secret(self) -> str:
        """The UUID of the demo project's secret with the registry's password."""
        secret_id = str(uuid.uuid4())
        payload = {'auths': {self.registry.name: {
            'username': registry.USERNAME, 'password': registry.PASSWORD}}}
        for each in base.hosts.all_hosts(self.settings):
            path = pathlib.Path(each.directory, 'nova', key_manager.FILE)
            path.write_text(json.dumps({secret_id: {
                'project_id': self.demo.current_project_id, 'payload': json.dumps(payload)}}))
            self.addCleanup(path.unlink)
        return secret_id

    def admins_fault(self, remote: str, **properties: str) -> str:
        """What the admin project is told, which has no right to the image."""
        flavor = self.admin.compute.find_flavor('container.tiny', ignore_missing=False)
        server = self.admin.compute.create_server(
            name=f'test-{uuid.uuid4().hex[:8]}', flavor_id=flavor.id, networks='none',
            image_id=self.reference(self.admin, remote, **properties).id)
        self.addCleanup(self.delete, server)
        self.wait_status(server, 'ERROR')
        return str(self.admin.compute.get_server(server.id).fault['message'])

    def test_who_may_run_it(self) -> None:
        secret_id = self.secret()
        image = self.reference(self.demo, self.remote, container_registry_secret=secret_id)
        server = self.boot(image)
        self.console_with(server, 'from the registry')
        digest = self.remote.rpartition(':')[2]
        self.assertEqual([f'{image_source.REPOSITORY}:{image.id}-sha256.{digest}'],
                         self.names(image))
        stored = self.host_of(server).engine.inspect_image(self.container(server)['Image'])
        self.assertEqual([], stored['RepoDigests'])
        # Another project, while the content is on the host.
        self.assertIn('refuses access', self.admins_fault(self.remote))
        self.assertIn('that you may read', self.admins_fault(
            self.remote, container_registry_secret=secret_id))
        with self.compute_log.open() as log:
            log.seek(self.log_begin)
            written = log.read()
        self.assertIn(image.id, written)
        self.assertNotIn(registry.PASSWORD, written)
        # The same project again: nothing is fetched, but the registry is asked.
        self.console_with(self.boot(image), 'from the registry')
        self.registry.stop()
        self.assertIn('refuses connections', self.fault_of(image=image))

    def test_what_is_refused(self) -> None:
        digest = self.remote.partition('@')[2]
        for remote, words in (
                (f'registry.example.com/team/web@{digest}',
                 'no images of registry.example.com/team/web are run here'),
                (f'{self.registry.name}/team/web:1', 'names no digest')):
            image = self.reference(self.demo, remote)
            self.assertIn(words, self.fault_of(image=image))
            self.assertEqual([], self.names(image))


class SlowPullTest(_Case):

    def test_deleted_while_it_comes(self) -> None:
        origin = self.useFixture(registry.Registry())
        line = self.useFixture(registry.SlowLine(origin, self.settings.port('registry')))
        layer = images.tar({'x': random.randbytes(2 * MIB)})
        remote = origin.push('team/slow', [layer], Cmd=['sh']).replace(origin.name, line.name)
        image = self.reference(self.demo, remote)
        server = self.request(image)
        self.assertTrue(line.begun.wait(base.TIMEOUT), 'the pull has not begun')
        self.demo.compute.delete_server(server.id)
        self.eventually(lambda: self.demo.compute.find_server(server.id) is None,
                        'the server is gone', base.TIMEOUT)
        self.assertEqual([], self.names(image))
        for each in self.hosts.values():
            self.assertNotIn(remote, [name for row in each.engine.images()
                                      for name in row['RepoDigests'] or ()])
