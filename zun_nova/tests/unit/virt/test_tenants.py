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

from __future__ import annotations

import concurrent.futures
import threading
import types
from typing import Any
import uuid

from nova.compute import task_states
from oslotest import base

from zun_nova import errors
from zun_nova.virt import identity
from zun_nova.virt import tenants

HOST = 'compute1'
STRICT = {'container:same_tenant': 'true'}

#: Who comes, who is there, whether it may.
NEIGHBOURS = (
    (('p', False), (), True),
    (('p', True), (), True),
    (('p', True), (('p', False), ('p', True)), True),
    (('p', False), (('q', False),), True),
    (('p', True), (('q', False),), False),
    (('p', False), (('q', True),), False),
    (('p', True), (('p', True), ('q', False)), False),
)


def instance(project: str, extra_specs: dict[str, str], **more: Any) -> Any:
    flavor = types.SimpleNamespace(extra_specs=extra_specs, name='f')
    return types.SimpleNamespace(**{
        'uuid': str(uuid.uuid4()), 'project_id': project, 'flavor': flavor, 'host': HOST,
        'name': 'i', 'user_id': 'u', 'image_ref': 'image', 'task_state': None, **more})


class Engine:
    """Lists what was given it, slowly: whoever does not hold a lock is overtaken."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def list(self, labels: Any) -> list[Any]:
        rows = list(self.rows)
        threading.Event().wait(0.01)
        return [row for row in rows if labels.items() <= row.labels.items()]

    def has(self, server: Any, role: str = identity.ROLE_SERVER) -> None:
        self.rows.append(types.SimpleNamespace(labels=identity.labels(server, HOST, role)))


class CheckTest(base.BaseTestCase):

    def test_all(self) -> None:
        for comer, there, may in NEIGHBOURS:
            with self.subTest(comer=comer, there=there):
                arguments = (tenants.Occupant(*comer), [tenants.Occupant(*each) for each in there])
                if may:
                    tenants.check(*arguments)
                else:
                    self.assertRaises(errors.OtherTenant, tenants.check, *arguments)


class TenantsTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.engine = Engine()
        self.tenants = tenants.Tenants(self.engine, HOST)   # type: ignore[arg-type]

    def refused(self, server: Any) -> str:
        return str(self.assertRaises(errors.OtherTenant, self.tenants.let_in, server))

    def test_race_for_an_empty_host(self) -> None:
        """Each round two projects come at once, and one of them gets the host."""
        for _ in range(20):
            racers = [instance(project, STRICT) for project in ('p', 'q')]
            start = threading.Barrier(len(racers))

            def come(server: Any, start: threading.Barrier = start) -> bool:
                start.wait()
                try:
                    self.tenants.let_in(server)
                except errors.OtherTenant:
                    return False
                return True

            with concurrent.futures.ThreadPoolExecutor(len(racers)) as pool:
                came = list(pool.map(come, racers))
            self.assertEqual(1, sum(came))
            self.tenants.let_go(racers[came.index(True)])
        self.assertIsNone(self.tenants.owner())

    def test_containers_speak_for_their_servers(self) -> None:
        """Whatever made them, and those of networks too."""
        for role in (identity.ROLE_SERVER, identity.ROLE_NETWORK):
            with self.subTest(role=role):
                self.engine.rows.clear()
                self.engine.has(instance('p', STRICT), role)
                self.assertEqual('p', self.tenants.owner())
                self.tenants.let_in(instance('p', {}))
                self.assertIn('another project', self.refused(instance('q', {})))

    def test_it_is_no_neighbour_of_itself(self) -> None:
        server = instance('p', {})
        self.engine.has(server)
        server.flavor.extra_specs = STRICT
        self.tenants.let_in(server)
        self.tenants.let_in(server)

    def test_failed_build_lets_go(self) -> None:
        def fail() -> None:
            with self.tenants.entering(instance('p', STRICT)):
                raise errors.VifError('port', 'no')
        self.assertRaises(errors.VifError, fail)
        self.tenants.let_in(instance('q', STRICT))

    def test_rebuild_keeps_its_place(self) -> None:
        server = instance('p', STRICT, task_state=task_states.REBUILDING)
        self.tenants.leaving(server)   # and its containers are gone
        self.refused(instance('q', {}))

        def fail() -> None:
            server.task_state = task_states.REBUILD_SPAWNING
            with self.tenants.entering(server):
                raise errors.ImageInvalid('image', 'no')
        self.assertRaises(errors.ImageInvalid, fail)
        self.refused(instance('q', {}))
        server.task_state = task_states.DELETING
        self.tenants.leaving(server)
        self.tenants.let_in(instance('q', {}))

    def test_evacuation_that_failed_keeps_no_place(self) -> None:
        server = instance('p', STRICT, host='dead', task_state=task_states.REBUILD_SPAWNING)

        def fail() -> None:
            with self.tenants.entering(server):
                raise errors.ImageInvalid('image', 'no')
        self.assertRaises(errors.ImageInvalid, fail)
        self.tenants.let_in(instance('q', {}))
