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

"""Two projects want one host, which a flavor gives to one of them alone."""

from __future__ import annotations

from concurrent import futures
from typing import Any
import uuid

from zun_nova.tests.functional.cloud import test_flavors


class SameTenantTest(test_flavors.FlavorCase):

    def create(self, connection: Any, flavor: Any) -> Any:
        """A server of the connection's project."""
        made = connection.compute.create_server(
            name=f'test-{uuid.uuid4().hex[:8]}', flavor_id=flavor.id,
            image_id=self.demo.image.find_image('busybox', ignore_missing=False).id,
            networks=[{'uuid': self.demo.network.find_network(
                'private', ignore_missing=False).id}])
        self.addCleanup(self.remove, connection, made)
        return made

    def remove(self, connection: Any, server: Any) -> None:
        connection.compute.delete_server(server.id, ignore_missing=True)
        self.eventually(lambda: connection.compute.find_server(server.id) is None,
                        'the server is gone', 180)

    def settled(self, server: Any) -> Any:
        def is_settled() -> bool:
            return self.admin.compute.get_server(server.id).status in ('ACTIVE', 'ERROR')
        self.eventually(is_settled, 'the server is built or not', 180)
        return self.admin.compute.get_server(server.id)

    def test_race(self) -> None:
        """They never share a host, whoever comes first; the other one is told."""
        alone, any_other = self.flavor(same_tenant='true'), self.flavor()
        with futures.ThreadPoolExecutor(2) as pool:
            wanted = [pool.submit(self.create, *each) for each in (
                (self.demo, alone), (self.admin, any_other))]
            servers = [self.settled(each.result()) for each in wanted]
        active = [server for server in servers if server.status == 'ACTIVE']
        self.assertNotEqual([], active)
        hosts = [server.compute_host for server in active]
        self.assertEqual(len(hosts), len(set(hosts)))
        for server in servers:
            if server.status == 'ERROR':
                self.assertRegex(server.fault['message'], 'No valid host|Exhausted all hosts')
        if len(self.hosts) == 1:
            self.assertEqual(1, len(active))
