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

"""This process as nova-compute of the first host is, without being the service."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import pathlib
from typing import Any
import uuid

from nova import config
from nova import context as nova_context
from nova import objects
from nova.compute import power_state
from nova.compute import vm_states
from nova.conductor import rpcapi as conductor_rpcapi
from nova.conf import CONF
from nova.conf import neutron as neutron_conf
from nova.network import neutron
from nova.objects import base as objects_base
import os_vif
from oslo_log import log as logging

from zun_bench import cloud as bench_cloud
from zun_nova.virt import driver
from zun_nova.virt import image_source

#: Name of the compute service whose containers those of the bench are; nova-compute's own
#: periodic tasks leave them alone.
HOST = 'bench'


class VirtAPI:
    """What Nova gives a driver, for ports whose events nobody waits for."""

    @contextlib.contextmanager
    def wait_for_instance_event(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        yield


def become(cloud: bench_cloud.Cloud, directory: pathlib.Path) -> driver.ContainerDriver:
    """Read nova-compute's configuration and bring up its driver; once in a process.

    :param directory: for ``bench.log`` and what the driver keeps.
    """
    config.parse_args(['bench', f'--config-file={cloud.host.etc}/nova.conf',
                       f'--log-file={directory}/bench.log'])
    neutron_conf.register_dynamic_opts(CONF)   # nova-compute's manager does
    CONF.set_override('instances_path', str(directory))
    # The port is the real nova-compute's.
    CONF.set_override('enabled', False, group='serial_console')
    logging.setup(CONF, 'bench')
    objects.register_all()
    os_vif.initialize()
    objects_base.NovaObject.indirection_api = conductor_rpcapi.ConductorAPI()
    made = driver.ContainerDriver(VirtAPI())
    made.init_host(HOST)
    return made


def context(cloud: bench_cloud.Cloud) -> Any:
    """A request of the demo user, as the API hands it on."""
    url = cloud.settings.url('glance', internal=True)
    return nova_context.RequestContext(
        user_id=cloud.demo.current_user_id, project_id=cloud.demo.current_project_id,
        auth_token=cloud.demo.session.get_token(), is_admin=False, service_catalog=[{
            'type': 'image', 'name': 'glance', 'endpoints': [
                {'region': cloud.settings.region, 'publicURL': url, 'internalURL': url}]}])


def new_instance(cloud: bench_cloud.Cloud) -> Any:
    """A server that Nova's database does not know."""
    made = objects.Instance(
        context(cloud), uuid=str(uuid.uuid4()), id=1, hostname='bench', host=cloud.host.name,
        project_id=cloud.demo.current_project_id, user_id=cloud.demo.current_user_id,
        image_ref=cloud.image.id, config_drive='', user_data=None, metadata={},
        system_metadata={}, numa_topology=None, migration_context=None, key_data=None,
        trusted_certs=None,
        power_state=power_state.SHUTDOWN, vm_state=vm_states.BUILDING, task_state=None,
        flavor=objects.Flavor(
            name=cloud.flavor.name, vcpus=cloud.flavor.vcpus, memory_mb=cloud.flavor.ram,
            root_gb=cloud.flavor.disk, ephemeral_gb=0, swap=0, extra_specs={}))
    made.obj_reset_changes()
    return made


def image_meta(image: Any) -> Any:
    return objects.ImageMeta.from_dict({
        'id': image.id, 'name': image.name, 'checksum': image.checksum, 'size': image.size,
        'container_format': image.container_format, 'disk_format': image.disk_format,
        'properties': {}})


def reference(image: Any) -> str:
    """The image's name in the engine."""
    return image_source.of_image(image_meta(image), {}).reference


@contextlib.contextmanager
def bound_port(cloud: bench_cloud.Cloud) -> Iterator[Any]:
    """A port of the demo project, bound to the host, as Nova's VIF; deleted in the end."""
    port = cloud.admin.network.create_port(
        network_id=cloud.network.id, project_id=cloud.demo.current_project_id, name='bench',
        binding_host_id=cloud.host.name)
    try:
        admin = nova_context.get_admin_context()
        client = neutron.get_client(admin, admin=True)
        vif = neutron.API()._build_vif_model(
            admin, client, client.show_port(port.id)['port'],
            [client.show_network(cloud.network.id)['network']], [])
        vif['active'] = True   # no event is waited for
        yield vif
    finally:
        cloud.admin.network.delete_port(port.id)
