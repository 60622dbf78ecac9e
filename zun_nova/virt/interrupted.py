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
nobody goes on with and that keeps its owner from doing anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova import exception
from nova.compute import utils as compute_utils
from nova.compute import vm_states
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
            if moves.broken_off(instance):
                _break_off(context, instance)
        except (errors.EngineError, exception.NovaException):
            # The others must be looked at as well, and nova-compute must start.
            LOG.exception('Cannot say what became of a migration', instance=instance)


def _break_off(context: Any, instance: Any) -> None:
    LOG.warning('nova-compute ended in the middle of a migration (%s)', instance.task_state,
                instance=instance)
    instance.vm_state = vm_states.ERROR
    instance.task_state = None
    instance.save()
    compute_utils.add_instance_fault_from_exc(context, instance, exception.MigrationError(
        reason='nova-compute ended in the middle of it; what the server has written is here: '
               'reboot it hard'))
