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

from typing import Any
from unittest import mock

from nova import context as nova_context
from nova import exception
from nova import objects
from nova import test
from nova.scheduler import host_manager
import nova.scheduler.filters

from zun_nova.scheduler import same_tenant
from zun_nova.virt import resources

MINE = 'aaaaaaaa-0000-4000-8000-000000000001'
OTHER = 'aaaaaaaa-0000-4000-8000-000000000002'
THIRD = 'aaaaaaaa-0000-4000-8000-000000000003'
STRICT = {'container:same_tenant': 'true'}


class SameTenantFilterTest(test.NoDBTestCase):

    def setUp(self) -> None:
        super().setUp()
        objects.register_all()
        self.filter = same_tenant.SameTenantFilter()

    def host(self, stats: Any, **projects: str) -> Any:
        state = host_manager.HostState('host', 'node', 'cell')
        state.stats = stats
        state.instances = {
            uuid: objects.Instance(uuid=uuid, project_id=project)
            for uuid, project in zip((OTHER, THIRD), projects.values(), strict=False)}
        return state

    def request(self, extra_specs: dict[str, str], uuid: str = MINE) -> objects.RequestSpec:
        return objects.RequestSpec(
            project_id='p', instance_uuid=uuid, flavor=objects.Flavor(extra_specs=extra_specs),
            scheduler_hints={})

    def passes(self, host: Any, spec: objects.RequestSpec) -> bool:
        # As the scheduler calls it.
        return bool(list(self.filter.filter_all([host], spec)))

    def test_table(self) -> None:
        empty, kept, lost = {resources.STAT_TENANT: ''}, {resources.STAT_TENANT: 'p'}, {
            resources.STAT_TENANT: 'q'}
        for stats, projects, extra_specs, wanted in (
                (empty, {}, {}, True),
                (empty, {}, STRICT, True),
                (empty, {'a': 'q'}, {}, True),
                (empty, {'a': 'q'}, STRICT, False),
                (empty, {'a': 'p', 'b': 'p'}, STRICT, True),
                (empty, {'a': 'p', 'b': 'q'}, STRICT, False),
                (kept, {'a': 'p'}, {}, True),
                (kept, {'a': 'p'}, STRICT, True),
                (lost, {'a': 'q'}, {}, False),
                (lost, {'a': 'q'}, STRICT, False),
                # other drivers' hosts
                ({}, {'a': 'q'}, STRICT, True),
                (None, {'a': 'q'}, STRICT, True)):
            with self.subTest(stats=stats, projects=projects, extra_specs=extra_specs):
                self.assertEqual(
                    wanted, self.passes(self.host(stats, **projects), self.request(extra_specs)))

    def test_the_server_itself(self) -> None:
        host = self.host({resources.STAT_TENANT: ''}, a='q')
        self.assertTrue(self.passes(host, self.request(STRICT, uuid=OTHER)))

    def bare(self) -> Any:
        """As Nova has them when it reads only uuids."""
        host = self.host({resources.STAT_TENANT: ''})
        host.instances = {OTHER: objects.Instance(nova_context.get_admin_context(), uuid=OTHER)}
        return host

    def test_bare_instances_are_looked_up(self) -> None:
        for project, wanted in (('p', True), ('q', False)):
            full = objects.Instance(uuid=OTHER, project_id=project)
            with self.subTest(project=project), mock.patch.object(
                    objects.Instance, 'get_by_uuid', return_value=full):
                self.assertEqual(wanted, self.passes(self.bare(), self.request(STRICT)))

    def test_deleted_meanwhile(self) -> None:
        with mock.patch.object(objects.Instance, 'get_by_uuid',
                               side_effect=exception.InstanceNotFound(instance_id=OTHER)):
            self.assertTrue(self.passes(self.bare(), self.request(STRICT)))

    def test_nova_loads_it_by_the_name_in_the_documentation(self) -> None:
        handler = nova.scheduler.filters.HostFilterHandler()
        classes = handler.get_matching_classes(
            ['nova.scheduler.filters.all_filters',
             'zun_nova.scheduler.same_tenant.SameTenantFilter'])
        self.assertIn(same_tenant.SameTenantFilter, classes)

    def test_rebuild_is_not_asked(self) -> None:
        spec = self.request(STRICT)
        spec.scheduler_hints = {'_nova_check_type': ['rebuild']}
        self.assertTrue(self.passes(self.host({resources.STAT_TENANT: 'q'}), spec))
