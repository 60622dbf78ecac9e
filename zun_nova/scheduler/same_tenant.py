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

"""A scheduler filter: hosts whose servers may have this one for a neighbour.

Off unless nova.conf of the scheduler has it::

    [filter_scheduler]
    available_filters = nova.scheduler.filters.all_filters
    available_filters = zun_nova.scheduler.same_tenant.SameTenantFilter
    enabled_filters = ...,SameTenantFilter

Nothing changes then for flavors without ``container:same_tenant=true`` and
hosts without servers of such flavors; only container hosts are looked at. The
host has the last word (:mod:`zun_nova.virt.tenants`), with the filter or
without: the filter keeps servers from being sent to hosts that refuse them.
"""

from __future__ import annotations

from typing import Any

from nova import exception
from nova.scheduler import filters
from oslo_log import log as logging

from zun_nova.virt import flavor_config
from zun_nova.virt import resources

LOG = logging.getLogger(__name__)


class SameTenantFilter(filters.BaseHostFilter):  # type: ignore[misc]  # Nova has no types
    """Passes hosts that this project's server may share with those that are there."""

    RUN_ON_REBUILD = False

    def host_passes(self, host_state: Any, spec_obj: Any) -> bool:
        owner = (host_state.stats or {}).get(resources.STAT_TENANT)
        if owner is None:
            return True   # no container host
        if owner not in ('', spec_obj.project_id):
            LOG.debug('%s is another project\'s alone', host_state)
            return False
        if not flavor_config.keeps_tenants_apart(spec_obj.flavor.extra_specs):
            return True
        others = any(_is_other(instance, spec_obj)
                     for instance in list(host_state.instances.values()))
        if others:
            LOG.debug('%s has servers of other projects', host_state)
        return not others


def _is_other(instance: Any, spec_obj: Any) -> bool:
    """Whether it is another project's server.

    :param instance: perhaps nothing but a uuid, which costs a look into the database.
    """
    if instance.uuid == spec_obj.instance_uuid:
        return False
    try:
        return bool(instance.project_id != spec_obj.project_id)
    except exception.InstanceNotFound:
        return False   # it was deleted meanwhile
