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

"""The mix-in that turns a test of Nova into one of this driver."""

from __future__ import annotations

import dataclasses
import types
from typing import Any
from unittest import mock
import uuid
import zlib

import fixtures
from nova import conf
from nova import test
from nova.virt import fake

from zun_nova.tests.functional import engine
from zun_nova.tests.nova_functional import excluded
from zun_nova.tests.nova_functional import glance
from zun_nova.tests.unit.vif import fixtures as vif_fixtures
from zun_nova.virt import driver
from zun_nova.virt import processors
from zun_nova.virt import resources

#: Nova waits some seconds for what takes its fake driver no time. How often we wait as long.
_PATIENCE = 12
_SECONDS = ('rpc_response_timeout', 'long_rpc_timeout')


_DRIVER = 'zun_nova.virt.driver.ContainerDriver'
_NOTIFIER = 'nova.tests.fixtures.notifications.FakeVersionedNotifier'
_get_available_resource = driver.ContainerDriver.get_available_resource


def _wait_for_notifications(self: Any, event_type: str, n_events: int = 1,
                            timeout: float = 10.0) -> Any:
    return self.subscriptions[event_type].wait_n(n_events, event_type, timeout * _PATIENCE)


def _node_uuid(node: str) -> str:
    """Of this node. Nova has one for all in a process, which has one host in real life."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, node))


def _address(host: str) -> str:
    """Of this host's own; Nova has one option for all in a process."""
    return f'192.0.2.{zlib.crc32(host.encode()) % 254 + 1}'


class _HostConf:
    """Nova's configuration as one host has it."""

    def __init__(self, host: str) -> None:
        self.my_ip = _address(host)

    def __getattr__(self, name: str) -> Any:
        return getattr(conf.CONF, name)


def _nodenames_by_uuid(self: Any, refresh: bool = False) -> dict[str, str]:
    return {_node_uuid(node): node for node in self.get_available_nodes()}


def _available_resource(self: Any, nodename: str) -> dict[str, Any]:
    return _get_available_resource(self, nodename) | {'uuid': _node_uuid(nodename)}


class OnContainers:
    """Goes before a test class of Nova: its compute services get this driver.

    Each host has an engine of its own, which all tests of the class share. It is as large as the
    host of the driver that the tests were written for, whatever this machine has. Ports are
    recorded instead of wired: there is no Neutron to have a switch.
    """

    def setUp(self) -> None:
        self._theirs = getattr(fake, self._driver_of_nova())
        self._engines_used: set[str] = set()
        self.compute_driver = 'zun.ContainerDriver'
        for target, replacement in (
                ('nova.tests.fixtures.GlanceFixture', glance.GlanceFixture),
                # What tests let go wrong in Nova's own driver goes wrong in ours.
                ('nova.virt.fake.FakeDriver', driver.ContainerDriver),
                ('zun_nova.virt.resources.read', self._host_facts(resources.read)),
                (f'{_NOTIFIER}.wait_for_versioned_notifications', _wait_for_notifications),
                (f'{_DRIVER}.capabilities', self._capabilities()),
                (f'{_DRIVER}.get_host_ip_addr', lambda self: _address(self._host)),
                (f'{_DRIVER}.get_nodenames_by_uuid', _nodenames_by_uuid),
                (f'{_DRIVER}.get_available_resource', _available_resource)):
            self.useFixture(fixtures.MonkeyPatch(target, replacement))
        self.useFixture(vif_fixtures.RecordedWiring())
        super().setUp()
        self.addCleanup(self._clean_engines)

    def _driver_of_nova(self) -> str:
        """The class of nova.virt.fake that the test was written for."""
        name = getattr(type(self), 'compute_driver', 'fake.SmallFakeDriver')
        return name.removeprefix('fake.')

    def _capabilities(self) -> dict[str, bool]:
        """Whether a server may migrate to the host it is on: tests count on one or the other."""
        name = 'supports_migrate_to_same_host'
        return {**driver.ContainerDriver.capabilities, name: self._theirs.capabilities[name]}

    def _host_facts(self, read: Any) -> Any:
        def facts(runtime_info: Any, uptime: str) -> Any:
            host = dataclasses.replace(
                runtime_info, cpus=self._theirs.vcpus,
                memory_bytes=self._theirs.memory_mb * resources.MIB)
            return dataclasses.replace(
                read(runtime_info, uptime), engine=host, processors=processors.ANY,
                memory_used_bytes=0, disk_total_bytes=self._theirs.local_gb * resources.GIB,
                disk_used_bytes=0)

        return facts

    def _create_flavor(self, *values: Any, **named: Any) -> Any:
        """Nova's have a disk besides the root where a test does not say; containers have none."""
        return super()._create_flavor(*values, **{'ephemeral': 0, **named})

    def start_service(self, name: str, host: str | None = None, cell_name: str | None = None,
                      **more: Any) -> Any:
        """A compute service finds its own host's engine."""
        if name == 'compute':
            self.flags(compute_driver='zun.ContainerDriver', shutdown_timeout=0)
            self.flags(docker_url=self._engine(host or name).url, migration_transport='shared',
                       group='zun_nova')
        with mock.patch.object(driver, 'CONF', _HostConf(host or name)):
            return super().start_service(name, host=host, cell_name=cell_name, **more)

    def _engine(self, host: str) -> engine.DockerEngine:
        self._engines_used.add(host)
        if host not in self._engines:
            self._engines[host] = engine.for_class(type(self))
        return self._engines[host]

    def _clean_engines(self) -> None:
        for host in self._engines_used:
            self._engines[host].clean()

    # Nova's patience, where seconds or a number of tries are its measure.

    def flags(self, **options: Any) -> None:
        super().flags(**{name: value * _PATIENCE if name in _SECONDS else value
                         for name, value in options.items()})

    def _wait_for_server_parameter(self, server: Any, expected_params: Any,
                                   max_retries: int = 10, *more: Any, **named: Any) -> Any:
        for _ in range(_PATIENCE - 1):
            try:
                return super()._wait_for_server_parameter(
                    server, expected_params, max_retries, *more, **named)
            except self.failureException:
                status = self.admin_api.get_server(server['id'])['status']
                if status == 'ERROR' != expected_params.get('status'):
                    raise   # it will not become what is waited for
        return super()._wait_for_server_parameter(
            server, expected_params, max_retries, *more, **named)

    def _wait_for_assert(self, assert_func: Any, max_retries: int = 10,
                         sleep: float = 0.5) -> Any:
        return super()._wait_for_assert(assert_func, max_retries * _PATIENCE, sleep)

    def _assert_instance_not_in_cell(self, *arguments: Any) -> None:
        # The conductor rolls back a moment after the server has become ERROR.
        gone = super()._assert_instance_not_in_cell
        self._wait_for_assert(lambda: gone(*arguments))

    def _wait_for_migration_status(self, *arguments: Any) -> Any:
        return self._repeated(super()._wait_for_migration_status, *arguments)

    def _wait_for_instance_action_event(self, *arguments: Any, **named: Any) -> Any:
        return self._repeated(super()._wait_for_instance_action_event, *arguments, **named)

    def _wait_until_deleted(self, server: Any) -> Any:
        return self._repeated(super()._wait_until_deleted, server)

    def _repeated(self, wait: Any, *arguments: Any, **named: Any) -> Any:
        for _ in range(_PATIENCE - 1):
            try:
                return wait(*arguments, **named)
            except self.failureException:
                pass
        return wait(*arguments, **named)


def on_containers(
    module: types.ModuleType, *names: str, into: str
) -> dict[str, type[test.TestCase]]:
    """Nova's test classes of these names, each with the mix-in, by name.

    :param module: of Nova, with the classes.
    :param into: __name__ of the module that takes them.
    """
    return {name: _on_containers(getattr(module, name), into) for name in names}


def _on_containers(theirs: type[test.TestCase], into: str) -> type[test.TestCase]:
    left_out = dict.fromkeys(excluded.tests(theirs.__name__))
    return type(theirs.__name__, (OnContainers, theirs), {
        '__module__': into, '__doc__': theirs.__doc__, '_engines': {}, **left_out})
