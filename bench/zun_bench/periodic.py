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

"""What the driver's periodic tasks cost, and whether that grows with the servers on a host."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import contextlib
import pathlib
import tempfile
import time
from typing import Any

import docker
from nova.compute import provider_tree
import nova.virt.node

from zun_bench import cloud as bench_cloud
from zun_bench import compute
from zun_bench import figures
from zun_bench import phases
from zun_nova.virt import driver
from zun_nova.virt import identity
from zun_nova.virt import spec
from zun_nova.virt.runtime import docker_request

_REPEAT = 5
#: What every request of docker.APIClient goes through.
_REQUEST = (docker.APIClient, 'send', 'engine')


class Containers:
    """As many servers' containers as are wanted, created and not started."""

    def __init__(self, cloud: bench_cloud.Cloud, image: str) -> None:
        self._cloud = cloud
        self._image = image
        self._engine = docker.APIClient(cloud.host.engine_url, version='auto', timeout=120)
        self.instances: list[Any] = []

    def have(self, number: int) -> None:
        default = spec.defaults(driver.CONF, compute.HOST)
        while len(self.instances) < number:
            instance = compute.new_instance(self._cloud)
            request = docker_request.container(
                spec.build(instance, self._image, None, default), disk_quota=False)
            # Its own network would cost a holder each, which no list shows.
            request['HostConfig']['NetworkMode'] = 'none'
            self._engine.create_container_from_config(
                request, identity.container_name(instance))
            self.instances.append(instance)

    def remove(self) -> None:
        for instance in self.instances:
            self._engine.remove_container(identity.container_name(instance), force=True)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog='bench/periodic', description='Engine calls and seconds of one pass of each of '
        "the driver's parts in Nova's periodic tasks.")
    parser.add_argument('-n', type=int, nargs='+', default=[1, 50, 200], metavar='N',
                        help='numbers of containers (1 50 200)')
    options = parser.parse_args(argv)
    cloud = bench_cloud.connect()
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        driver_ = compute.become(cloud, directory)
        driver_.cache_image(compute.context(cloud), cloud.image.id)
        reference = compute.reference(cloud.image)
        containers = Containers(cloud, reference)
        stack.callback(containers.remove)
        print('containers  task                                            engine calls  median')
        for number in sorted(options.n):
            containers.have(number)
            for title, task in _tasks(cloud, driver_, containers.instances).items():
                calls, seconds = _measure(task)
                print(f'{number:10}  {title:46}  {calls:12}  {1000 * seconds:4.0f} ms')


def _tasks(cloud: bench_cloud.Cloud, driver_: driver.ContainerDriver,
           instances: list[Any]) -> dict[str, Callable[[], Any]]:
    """What nova.compute.manager calls, by its own periodic tasks."""
    node = driver_.get_available_nodes()[0]
    context = compute.context(cloud)
    tree = provider_tree.ProviderTree()
    tree.new_root(node, nova.virt.node.get_local_node_uuid())

    def update_available_resource() -> None:
        driver_.get_available_resource(node)
        driver_.update_provider_tree(tree, node)

    def sync_power_states() -> None:
        driver_.get_num_instances()
        for instance in instances:
            driver_.get_info(instance)

    return {
        'update_available_resource': update_available_resource,
        '_sync_power_states': sync_power_states,
        '_cleanup_running_deleted_instances': driver_.list_instance_uuids,
        '_run_image_cache_manager_pass': lambda: driver_.manage_image_cache(
            context, instances),
    }


def _measure(task: Callable[[], Any]) -> tuple[int, float]:
    """Engine calls of one run, and the median of the seconds of some."""
    task()
    seconds = []
    with phases.watched([_REQUEST]) as watch:
        for _ in range(_REPEAT):
            began = time.monotonic()
            task()
            seconds.append(time.monotonic() - began)
    return watch.calls.get('engine', 0) // _REPEAT, figures.median(seconds)
