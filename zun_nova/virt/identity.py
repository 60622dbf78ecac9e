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

"""How a server's containers are named and labelled, and found again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zun_nova.virt import flavor_config

#: nova-docker's scheme as well, so that its containers can be adopted.
NAME_PREFIX = 'nova-'

#: Of all labels of ours.
LABEL_PREFIX = 'org.openstack.nova.'
LABEL_UUID = 'org.openstack.nova.instance_uuid'
LABEL_NAME = 'org.openstack.nova.instance_name'
LABEL_HOST = 'org.openstack.nova.host'
LABEL_PROJECT = 'org.openstack.nova.project_id'
LABEL_USER = 'org.openstack.nova.user_id'
LABEL_IMAGE = 'org.openstack.nova.image_id'
LABEL_FLAVOR = 'org.openstack.nova.flavor'
LABEL_HOSTNAME = 'org.openstack.nova.hostname'
LABEL_ROLE = 'org.openstack.nova.role'
#: There, and TRUE, when the flavor keeps other projects' servers from the host.
LABEL_SAME_TENANT = 'org.openstack.nova.same_tenant'
TRUE = 'true'

#: The container the user sees.
ROLE_SERVER = 'server'
#: What the engine needs to hold a server's network namespace open.
ROLE_NETWORK = 'network'


def container_name(instance: Any) -> str:
    """The exact name of the server's container, and of its network namespace."""
    return name_of(str(instance.uuid))


def name_of(uuid: str) -> str:
    """The same by the server's uuid."""
    return NAME_PREFIX + uuid


def aside_name(uuid: str) -> str:
    """The exact name of the container that made room for another of the same server.

    A rescued or resized server has one: its labels are the server's, and only
    the name tells the two apart.
    """
    return name_of(uuid) + '-aside'


def is_server(name: str, labels: Mapping[str, str]) -> bool:
    """Whether the container of this name and these labels is the one the user is in."""
    return name == name_of(labels[LABEL_UUID])


def labels(instance: Any, host: str, role: str) -> dict[str, str]:
    """What marks a container as ours.

    :param host: the compute service's host name: two services may share one
        engine, and each sees only its own.
    :param role: ROLE_SERVER or ROLE_NETWORK.
    """
    apart = flavor_config.keeps_tenants_apart(instance.flavor.extra_specs)
    return {
        LABEL_UUID: str(instance.uuid),
        LABEL_NAME: instance.name,
        LABEL_HOST: host,
        LABEL_PROJECT: instance.project_id or '',
        LABEL_USER: instance.user_id or '',
        LABEL_IMAGE: instance.image_ref or '',
        LABEL_FLAVOR: instance.flavor.name,
        LABEL_ROLE: role,
    } | ({LABEL_SAME_TENANT: TRUE} if apart else {})


def all_of(host: str) -> dict[str, str]:
    """The labels that select all containers of one compute service."""
    return {LABEL_HOST: host}


def servers_of(host: str) -> dict[str, str]:
    """The labels that select the servers of one compute service, and what is aside."""
    return {LABEL_HOST: host, LABEL_ROLE: ROLE_SERVER}
