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

"""Sends again what was lost between two steps of a migration.

Each step ends with a message to the host of the next one. A nova-compute that
is killed has not sent it yet, or has taken it off the bus and done nothing:
the server keeps a task that nobody works at. Nova does not send it again.

A server that has the same task, unchanged, for as long as a transfer may be
without progress is such a one. Should its message come after all, the first of
the two does the work.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import enum
import time
from typing import Any

from nova import exception
from nova import objects
from nova import servicegroup
from nova import utils
from nova.compute import rpcapi
from nova.compute import task_states
from oslo_log import log as logging
import oslo_messaging

from zun_nova import errors
from zun_nova.virt import interrupted
from zun_nova.virt import migration as migrations

LOG = logging.getLogger(__name__)

#: Of a server, for who gets the message.
_ATTRIBUTES = ['flavor', 'info_cache', 'metadata', 'migration_context', 'numa_topology',
               'system_metadata']
#: What nobody goes on with, if nova-compute was killed just then.
TASKS = (task_states.RESIZE_MIGRATED, task_states.RESIZE_REVERTING)


class Step(enum.Enum):
    """What a host is to do next."""

    FINISH = 'finish_resize'
    REVERT = 'revert_resize'
    CONFIRM = 'confirm_resize'


def next_step(task_state: str | None, migration: Any, host: str) -> Step | None:
    """What this host is to do next; pure.

    :param task_state: of a server that is counted to this host.
    """
    if task_state == task_states.RESIZE_MIGRATED:
        return Step.FINISH
    if task_state == task_states.RESIZE_REVERTING and migration.source_compute != host:
        return Step.REVERT
    return None   # on the source it is at work, or interrupted.settle() has ended it


class Unfinished:
    """Those of one host.

    :param patience: seconds.
    """

    def __init__(self, moves: migrations.Migrations, host: str, patience: float,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._moves = moves
        self._host = host
        self._patience = patience
        self._clock = clock
        #: When each was first seen.
        self._seen: dict[tuple[Any, ...], float] = {}

    def look(self, context: Any, instances: Iterable[Any]) -> None:
        """Look once; two calls of the database at least, the first for what is passed.

        :param instances: all that are counted to this host.
        :raises Exception: the database did not answer, whatever RPC raises then.
        """
        seen, now = {}, self._clock()
        for step, migration, changed in self._waiting(context, instances):
            key = (step, migration.id, changed)
            since = self._seen.get(key, now)
            if now - since < self._patience:
                seen[key] = since
                continue
            try:
                self._do(context, step, migration)
            except (errors.ZunNovaError, exception.NovaException):
                # The others must be looked at as well.
                LOG.exception('Cannot go on with a migration',
                              instance_uuid=migration.instance_uuid)
        self._seen = seen

    def _waiting(self, context: Any, instances: Iterable[Any]) -> Iterator[
            tuple[Step, Any, Any]]:
        """The next step of each migration, and when it or its server last changed."""
        for instance in instances:
            if instance.task_state in TASKS and instance.migration_context is not None:
                migration = objects.Migration.get_by_id_and_instance(
                    context, instance.migration_context.migration_id, instance.uuid)
                step = next_step(instance.task_state, migration, self._host)
                if step and (step is not Step.REVERT or _is_up(context, migration)):
                    yield step, migration, instance.updated_at
        for migration in objects.MigrationList.get_by_filters(
                context, {'source_compute': self._host, 'status': ['confirming']}):
            if not migration.cross_cell_move:
                yield Step.CONFIRM, migration, migration.updated_at

    def _do(self, context: Any, step: Step, migration: Any) -> None:
        instance = objects.Instance.get_by_uuid(
            context, migration.instance_uuid, expected_attrs=_ATTRIBUTES)
        LOG.warning('Nobody goes on with a migration of the server; asking again for %s',
                    step.value, instance=instance)
        compute = rpcapi.ComputeAPI()
        match step:
            case Step.CONFIRM:
                compute.confirm_resize(context, instance, migration, self._host)
            case Step.REVERT:
                compute.revert_resize(context, instance, migration, self._host,
                                      _request_spec(context, instance))
            case Step.FINISH:
                left = self._moves.left_for(instance)
                if left is None:
                    interrupted.break_off(
                        context, instance, 'nothing has come here of what the server has written; '
                        f'it is on {migration.source_compute} still')
                    return
                compute.finish_resize(
                    context, instance, migration,
                    utils.get_image_from_system_metadata(instance.system_metadata),
                    left.to_json(), self._host, _request_spec(context, instance))


def _is_up(context: Any, migration: Any) -> bool:
    """Whether no message can wait for the source, which a return is to end at."""
    service = objects.Service.get_by_compute_host(context, migration.source_compute)
    return bool(servicegroup.API().service_is_up(service))


def _request_spec(context: Any, instance: Any) -> Any:
    try:
        return objects.RequestSpec.get_by_instance_uuid(context, instance.uuid)
    except (exception.RequestSpecNotFound, oslo_messaging.RemoteError) as ex:
        # A cell may know nothing of the API's database. Only some kinds of ports need it.
        LOG.info('Going on without what the server was asked for with: %s', ex, instance=instance)
        return None
