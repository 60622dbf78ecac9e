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
"""Nova's ``_VirtDriverTestCase``, as it is and in a strict form.

Nova's decorator lets a test pass whose method is not implemented. The strict
twin takes it off: such a test must be in the table of what is missing, and
what is in the table must really be missing.
"""

from __future__ import annotations

from typing import Any

import fixtures
from nova import objects
from nova import test
from nova.tests.unit import utils
from nova.tests.unit.virt import test_virt_drivers

from zun_nova.tests import fake_engine
from zun_nova.tests.conformance import missing
from zun_nova.tests.conformance import nova_fixtures
from zun_nova.tests.unit.vif import fixtures as vif_fixtures
from zun_nova.tests.unit.virt import fixtures as virt_fixtures
from zun_nova.tests.unit.volume import fixtures as volume_fixtures
from zun_nova.virt import driver


class DriverSuite(test_virt_drivers._VirtDriverTestCase):
    """What differs from a driver of virtual machines: the images."""

    driver_module = 'zun_nova.virt.driver.ContainerDriver'

    def setUp(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            'nova.tests.fixtures.GlanceFixture', nova_fixtures.GlanceFixture))
        self.set_up_engine()
        # The suite's volumes are of a kind that os-brick does not know.
        self.useFixture(volume_fixtures.RecordedVolumes())
        driver.CONF.set_override('console_port', 0, group='zun_nova')
        self.addCleanup(driver.CONF.clear_override, 'console_port', group='zun_nova')
        super().setUp()
        # The process of Nova's test server does not listen to its stop signal.
        self.flags(shutdown_timeout=1)
        self.addCleanup(self.connection.cleanup_host, 'myhostname')
        self.connection.init_host('myhostname')

    def set_up_engine(self) -> None:
        """Choose the engine, with use_engine(), and what ports are wired to."""
        raise NotImplementedError

    def use_engine(self, url: str) -> None:
        driver.CONF.set_override('docker_url', url, group='zun_nova')
        self.addCleanup(driver.CONF.clear_override, 'docker_url', group='zun_nova')

    def _get_running_instance(self, obj: bool = True) -> tuple[Any, Any]:
        # Four processors and 2 GiB of the suite's own flavor are too much for small machines.
        flavor = utils.get_test_flavor(
            self.ctxt, {'flavorid': 'container', 'name': 'container.test', 'vcpus': 1,
                        'memory_mb': 64, 'swap': 0, 'root_gb': 1, 'ephemeral_gb': 0})
        instance = utils.get_test_instance(flavor=flavor, obj=obj)
        network_info = utils.get_test_network_info(count=1)
        image_meta = utils.get_test_image_object(None, instance)
        self.connection.spawn(
            self.ctxt, instance, image_meta, [], 'herp', {}, network_info=network_info)
        return instance, network_info

    def test_migrate_disk_and_power_off(self) -> None:
        # Nova's goes to a host that does not exist.
        instance, network_info = self._get_running_instance()
        instance.migration_context = objects.MigrationContext(migration_id=1)
        self.connection.migrate_disk_and_power_off(
            self.ctxt, instance, driver.CONF.my_ip, instance.flavor, network_info)

    def test_swap_volume(self) -> None:
        # Nova's names no volume.
        instance, _ = self._get_running_instance()
        self.assertRaises(
            NotImplementedError, self.connection.swap_volume, self.ctxt, {}, {}, instance,
            '/dev/vdb', 2)

    def test_live_migration(self) -> None:
        # Nova does not excuse this one, though it is optional.
        instance, _ = self._get_running_instance()
        self.assertRaises(
            NotImplementedError, self.connection.live_migration, self.ctxt, instance,
            'otherhost', lambda *_: None, lambda *_: None)

    def test_live_migration_force_complete(self) -> None:
        # Nova's test reaches into what only its own drivers have.
        instance, _ = self._get_running_instance()
        self.assertRaises(
            NotImplementedError, self.connection.live_migration_force_complete, instance)


class FakeEngineSuite(DriverSuite):
    """The driver whole, but for the wiring of ports, on an engine that speaks the protocol."""

    def set_up_engine(self) -> None:
        self.use_engine(self.useFixture(fake_engine.FakeEngine()).url)
        self.useFixture(vif_fixtures.RecordedWiring())
        self.useFixture(virt_fixtures.RecordedMounts())


def strict(name: str) -> Any:
    """The test without the decorator that excuses NotImplementedError."""
    wrapped = getattr(test_virt_drivers._VirtDriverTestCase, name).__wrapped__

    def run(self: Any) -> None:
        if name in missing.tests():
            self.assertRaises(NotImplementedError, wrapped, self)
        else:
            wrapped(self)

    run.__name__ = name
    return run


#: The tests that Nova's decorator wraps.
STRICT = {
    name: strict(name) for name in dir(test_virt_drivers._VirtDriverTestCase)
    if name.startswith('test_')
    and getattr(test_virt_drivers._VirtDriverTestCase, name).__code__.co_name == 'wrapped_func'
    and name not in vars(DriverSuite)
}


class FakeEngineConformance(FakeEngineSuite, test.TestCase):
    """Nova's suite as Nova runs it for its own drivers."""


StrictFakeEngineConformance = type(
    'StrictFakeEngineConformance', (FakeEngineSuite, test.TestCase), STRICT)


class MissingTest(test.NoDBTestCase):

    def test_the_table_names_tests_that_exist(self) -> None:
        self.assertEqual(frozenset(), missing.tests() - STRICT.keys())
