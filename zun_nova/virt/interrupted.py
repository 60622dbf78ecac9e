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

"""Servers in whose migration nova-compute was killed.

What Nova does itself when it starts: a server that was leaving is put back.
One that was arriving, or coming back, it leaves as it is, with a task that
nobody goes on with and that keeps its owner from doing anything. What a message
can still go on with is the matter of :mod:`zun_nova.virt.unfinished`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova import exception
from nova import objects
from nova.compute import task_states
from nova.compute import utils as compute_utils
from nova.compute import vm_states
from nova.scheduler.client import report
from oslo_log import log as logging

from zun_nova import errors
from zun_nova.virt import migration

LOG = logging.getLogger(__name__)


def settle(context: Any, instances: Iterable[Any], moves: migration.Migrations) -> None:
    """Let owners and administrators act on such servers again.

    :param instances: those of this host; may be called again.
    """
    for instance in instances:
        try:
            arriving = instance.task_state == task_states.RESIZE_FINISH
            if moves.broken_off(instance):
                break_off(context, instance, 'nova-compute ended in the middle of it; what the '
                          'server has written is here: reboot it hard')
                if arriving:
                    _release_source(context, instance)
        except (errors.EngineError, exception.NovaException):
            # The others must be looked at as well, and nova-compute must start.
            LOG.exception('Cannot say what became of a migration', instance=instance)


def _release_source(context: Any, instance: Any) -> None:
    """Let Placement count the server here only, as Nova does when it cannot be made here."""
    migration = objects.Migration.get_by_id_and_instance(
        context, instance.migration_context.migration_id, instance.uuid)
    report.report_client_singleton().delete_allocation_for_instance(
        context, migration.uuid, consumer_type='migration', force=False)


def break_off(context: Any, instance: Any, reason: str) -> None:
    """Have the server ERROR, for its owner to act on.

    :param reason: what the owner is told.
    :raises nova.exception.UnexpectedTaskStateError: somebody goes on with it.
    """
    LOG.warning('A migration is given up in %s: %s', instance.task_state, reason,
                instance=instance)
    task_state = instance.task_state
    instance.vm_state = vm_states.ERROR
    instance.task_state = None
    instance.save(expected_task_state=task_state)
    compute_utils.add_instance_fault_from_exc(
        context, instance, exception.MigrationError(reason=reason))
