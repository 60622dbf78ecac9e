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

"""Connections to the cloud, and what Keystone must know before other services ask it."""

from __future__ import annotations

import hashlib
import json
import typing

import openstack
import openstack.config

from zun_cloud import cinder
from zun_cloud import settings as cloud_settings


def environment(
    settings: cloud_settings.Settings, passwords: typing.Mapping[str, str], user: str
) -> dict[str, str]:
    """The OS_* variables of ``admin`` or ``demo``, each in the project of the same name."""
    return {
        'OS_AUTH_URL': settings.url('keystone', '/v3'),
        'OS_IDENTITY_API_VERSION': '3',
        'OS_USERNAME': user,
        'OS_PASSWORD': passwords[user],
        'OS_PROJECT_NAME': user,
        'OS_USER_DOMAIN_NAME': 'Default',
        'OS_PROJECT_DOMAIN_NAME': 'Default',
        'OS_REGION_NAME': settings.region,
        'OS_COMPUTE_API_VERSION': '2.100',
    }


def connect(
    settings: cloud_settings.Settings, passwords: typing.Mapping[str, str], user: str
) -> typing.Any:
    """An openstacksdk connection; does not touch the caller's OS_* variables."""
    loader = openstack.config.OpenStackConfig(load_envvars=False, load_yaml_config=False)
    region = loader.get_one(
        auth={
            'auth_url': settings.url('keystone', '/v3'),
            'username': user,
            'password': passwords[user],
            'project_name': user,
            'user_domain_name': 'Default',
            'project_domain_name': 'Default',
        },
        region_name=settings.region,
    )
    return openstack.connection.Connection(config=region, app_name='zun-cloud')


def service_users(settings: cloud_settings.Settings) -> tuple[str, ...]:
    """Users by which services are known to each other."""
    return ('placement', 'glance', 'neutron', 'nova', *settings.extras)


def endpoints(settings: cloud_settings.Settings) -> dict[tuple[str, str], tuple[str, str]]:
    """(service, type) to port name and path."""
    found = {
        # Made by keystone-manage bootstrap, which does not correct it later.
        ('keystone', 'identity'): ('keystone', '/v3'),
        ('nova', 'compute'): ('nova-api', '/v2.1'),
        ('placement', 'placement'): ('placement', ''),
        ('glance', 'image'): ('glance', ''),
        ('neutron', 'network'): ('neutron', ''),
    }
    if cinder.wanted(settings):
        found['cinder', 'block-storage'] = ('cinder', '/v3')
    return found


def seed(settings: cloud_settings.Settings, passwords: typing.Mapping[str, str]) -> None:
    """Service users, projects, roles and the catalogue. May be repeated."""
    stamp = settings.directory('data', 'schema') / 'identity.setup'
    wanted = _fingerprint(settings, passwords)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    identity = connect(settings, passwords, 'admin').identity
    domain = identity.find_domain('Default', ignore_missing=False)
    roles = {role.name: role for role in identity.roles()}
    service = _project(identity, 'service', domain)
    for name in service_users(settings):
        user = _user(identity, name, passwords[name], domain, service)
        for role in ('admin', 'service'):
            identity.assign_project_role_to_user(service, user, roles[role])
    demo = _project(identity, 'demo', domain)
    user = _user(identity, 'demo', passwords['demo'], domain, demo)
    identity.assign_project_role_to_user(demo, user, roles['member'])
    _catalogue(identity, settings)
    stamp.write_text(wanted)


def _project(identity: typing.Any, name: str, domain: typing.Any) -> typing.Any:
    return identity.find_project(name) or identity.create_project(name=name, domain_id=domain.id)


def _user(
    identity: typing.Any, name: str, password: str, domain: typing.Any, project: typing.Any
) -> typing.Any:
    # Never set a password again, even to the same: that revokes the user's tokens, and those
    # of the same second too. Passwords live and die with the data.
    return identity.find_user(name) or identity.create_user(
        name=name, password=password, domain_id=domain.id, default_project_id=project.id
    )


def _catalogue(identity: typing.Any, settings: cloud_settings.Settings) -> None:
    services = {service.name: service for service in identity.services()}
    existing = {(e.service_id, e.interface): e for e in identity.endpoints()}
    for (name, kind), (port, path) in endpoints(settings).items():
        service = services.get(name) or identity.create_service(name=name, type=kind)
        for interface in ('public', 'internal'):
            url = settings.url(port, path, internal=interface == 'internal')
            endpoint = existing.get((service.id, interface))
            if endpoint is None:
                identity.create_endpoint(
                    service_id=service.id, interface=interface, url=url, region_id=settings.region
                )
            elif endpoint.url != url:
                identity.update_endpoint(endpoint, url=url)


def _fingerprint(
    settings: cloud_settings.Settings, passwords: typing.Mapping[str, str]
) -> str:
    urls = [
        settings.url(port, path, internal=internal)
        for port, path in endpoints(settings).values()
        for internal in (False, True)
    ]
    text = json.dumps([urls, dict(passwords), service_users(settings)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
