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

"""The program of :mod:`killed`, for servers that get another flavor or another host."""

from __future__ import annotations

import sys
import types
from typing import Any

from nova import objects
from nova.compute import task_states
from nova.compute import utils as compute_utils
from nova.compute import vm_states

from zun_nova.tests.functional.faults import killed
from zun_nova.virt import interrupted
from zun_nova.virt import received

#: Where servers go.
DEST = 'killed-too'
MEMORY_MB, NEW_MEMORY_MB = 64, 96


class Child(killed.Child):
    """The same, with more to do.

    :param server: also whether it goes to another host ('moves'), the number of its migration, and
        what its source has told ('told').
    """

    DOCUMENT = b'#container-config\ncommand: [sleep, infinity]\n'

    def __init__(self, steps: killed.Steps, image: str, server: dict[str, Any],
                 record: str = 'here') -> None:
        killed.CONF.set_override('migration_transport', 'shared', group='zun_nova')
        super().__init__(steps, image, server, record)
        for name in ('put', 'note', 'drop'):
            steps.watch(received.Store, name)
        self._told = server.get('told')
        self._dest = '192.0.2.2' if server.get('moves') else killed.CONF.my_ip
        self._instance.host = self._host
        self._instance.vm_state = vm_states.ACTIVE
        self._instance.migration_context = objects.MigrationContext(
            migration_id=server.get('number', 1))
        self._migration = types.SimpleNamespace(
            id=server.get('number', 1), source_compute=killed.HOST,
            dest_compute=DEST if server.get('moves') else killed.HOST)
        killed.stub(objects.Migration, 'get_by_id_and_instance', self._migration)
        killed.stub(objects.Instance, 'save', None)
        killed.stub(compute_utils, 'add_instance_fault_from_exc', None)
        killed.stub(interrupted, '_release_source', None)

    def leave(self) -> str:
        self._instance.task_state = task_states.RESIZE_MIGRATING
        flavor = self._instance.flavor.obj_clone()
        flavor.memory_mb = NEW_MEMORY_MB
        return self._driver.migrate_disk_and_power_off(
            self._context, self._instance, self._dest, flavor, self._network_info)

    def put_back(self) -> None:
        """What Nova does at its start with a server that was leaving."""
        self._instance.task_state = task_states.RESIZE_MIGRATING
        self._driver.plug_vifs(self._instance, self._network_info)
        self._return()

    def arrive(self) -> None:
        self._instance.task_state = task_states.RESIZE_FINISH
        self._instance.flavor.memory_mb = NEW_MEMORY_MB
        self._driver.finish_migration(
            self._context, self._migration, self._instance, self._told, self._network_info,
            objects.ImageMeta.from_dict(killed.image_of(None, killed.IMAGE_ID)), False, {})

    def reboot_arriving(self) -> None:
        """A new nova-compute starts, and the owner does what he is told."""
        self._instance.flavor.memory_mb = NEW_MEMORY_MB
        self._start_and_reboot(task_states.RESIZE_FINISH)

    def confirm(self) -> None:
        self._driver.confirm_migration(
            self._context, self._migration, self._instance, self._network_info)

    def revert(self) -> None:
        """What is done where the server is."""
        self._instance.task_state = task_states.RESIZE_REVERTING
        self.destroy()

    def finish_revert(self) -> None:
        """What is done where it comes from."""
        self._instance.task_state = task_states.RESIZE_REVERTING
        self._return()

    def revert_here(self) -> None:
        self.revert()
        self._return()

    def reboot_returning(self) -> None:
        self._start_and_reboot(task_states.RESIZE_REVERTING)

    def _return(self) -> None:
        self._driver.finish_revert_migration(
            self._context, self._instance, self._network_info, self._migration)

    def _start_and_reboot(self, task_state: str) -> None:
        self._instance.task_state = task_state
        interrupted.settle(self._context, [self._instance], self._driver._migrations)
        if (self._instance.vm_state, self._instance.task_state) != (vm_states.ERROR, None):
            raise AssertionError(self._instance)
        self._driver.reboot(self._context, self._instance, self._network_info, 'HARD')


if __name__ == '__main__':
    killed.main(*sys.argv[1:], kind=Child)
