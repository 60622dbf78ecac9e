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

"""What a server costs, against what its parts cost and what Nova costs without it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import pathlib
import sys
import tempfile
import time
from typing import Any

from zun_bench import boots
from zun_bench import cloud as bench_cloud
from zun_bench import compute
from zun_bench import fake_host
from zun_bench import figures
from zun_bench import floor
from zun_bench import phases
from zun_nova.vif import plug
from zun_nova.virt import devices
from zun_nova.virt import driver
from zun_nova.virt import images
from zun_nova.virt import network
from zun_nova.virt import servers
from zun_nova.virt.runtime import docker

#: Seconds in which Neutron and OVN end what the removal before has set off.
_SETTLE = 1.5

#: Of driver.spawn, in the order in which they begin; some contain others.
_STEPS: tuple[phases.Step, ...] = (
    (servers.Servers, 'exists', 'look whether it exists'),
    (images.Images, 'ensure', 'look for the image'),
    (network.Networks, 'open', 'open the network, of which'),
    (docker.DockerRuntime, 'open_network', '  start the namespace'),
    (plug, 'prepare_all', '  veth pair, port on the switch (meanwhile)'),
    (plug, 'plug_all', '  move in, addresses and routes'),
    (docker.DockerRuntime, 'create', 'create the container'),
    (devices, 'record', 'record device tags'),
    (network.Networks, 'announce', 'announce the addresses'),
    (docker.DockerRuntime, 'start', 'start the process'),
)


class Direct:
    """driver.spawn itself, called in this process."""

    def __init__(self, cloud: bench_cloud.Cloud, driver_: driver.ContainerDriver,
                 vif: Any) -> None:
        self._cloud = cloud
        self._driver = driver_
        self._vif = vif
        self._image = compute.image_meta(cloud.image)
        self.reference = compute.reference(cloud.image)

    def one(self) -> tuple[float, dict[str, float]]:
        """Make a server and remove it; seconds it took to make, and the phases of it."""
        context, instance = compute.context(self._cloud), compute.new_instance(self._cloud)
        try:
            with phases.watched(_STEPS) as watch:
                began = time.monotonic()
                self._driver.spawn(context, instance, self._image, [], None, {}, [self._vif])
                took = time.monotonic() - began
        finally:
            self._driver.destroy(context, instance, [self._vif])
        return took, watch.seconds


class Samples:
    """The runs of one way of making a server."""

    def __init__(self, title: str, run: Callable[[], tuple[float, dict[str, float]]]) -> None:
        self.title = title
        self._run = run
        self.seconds: list[float] = []
        self.phases: list[dict[str, float]] = []

    def take(self, keep: bool = True) -> None:
        time.sleep(_SETTLE)
        seconds, phases_ = self._run()
        if keep:
            self.seconds.append(seconds)
            self.phases.append(phases_)

    @property
    def median(self) -> float:
        return figures.median(self.seconds)

    def show(self) -> None:
        print(f'{self.title}: {figures.spread(self.seconds)}')
        figures.show_phases('medians of the phases:', self.phases)


def floor_run(cloud: bench_cloud.Cloud, vif: Any,
              image: str) -> Callable[[], tuple[float, dict[str, float]]]:
    made = floor.Floor(cloud, vif, image)

    def run() -> tuple[float, dict[str, float]]:
        made.watch.seconds.clear()
        began = time.monotonic()
        try:
            made.make()
            return time.monotonic() - began, dict(made.watch.seconds)
        finally:
            made.remove()
    return run


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog='bench/spawn', description='What a server costs on the standalone cloud, taken in '
        'turn: a the floor, b driver.spawn, c the API, d the API with FakeDriver.')
    parser.add_argument('-n', type=int, default=10, help='runs of each (%(default)s)')
    parser.add_argument('--at-once', type=int, default=20, metavar='N',
                        help='servers at once for c and d (%(default)s)')
    parser.add_argument('--rounds', type=int, default=3,
                        help='how often that many at once (%(default)s)')
    parser.add_argument('--without-fake', action='store_true', help='leave out d')
    options = parser.parse_args(argv)
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            _measure(options, stack, bench_cloud.connect(), directory)
        except boots.Broken as ex:
            sys.exit(f'bench/spawn: {ex}')


def _measure(options: argparse.Namespace, stack: contextlib.ExitStack,
             cloud: bench_cloud.Cloud, directory: pathlib.Path) -> None:
    driver_ = compute.become(cloud, directory)
    vif = stack.enter_context(compute.bound_port(cloud))
    direct = Direct(cloud, driver_, vif)
    # The first server has the image and the holder's brought in.
    b = Samples('b driver.spawn', direct.one)
    b.take(keep=False)
    a = Samples('a floor', floor_run(cloud, vif, direct.reference))
    real = boots.Boots(cloud, cloud.host.name, cloud.settings.log_of('nova-compute-1'))
    c = Samples('c API to ACTIVE', real.one)
    ways, fake = [a, b, c], None
    if not options.without_fake:
        log = stack.enter_context(fake_host.running(cloud, directory))
        fake = boots.Boots(cloud, fake_host.NAME, log)
        ways.append(Samples('d API to ACTIVE, FakeDriver', fake.one))
    if options.n > 1:
        for way in ways:
            way.take(keep=False)
    for _ in range(options.n):
        for way in ways:
            way.take()
    for way in ways:
        way.show()
    print(figures.aim('b / a', b.median / a.median, 1.25))
    if fake is not None:
        _compare(c, ways[-1])
        _compare_many(cloud, real, fake, options.at_once, options.rounds)


def _compare(c: Samples, d: Samples) -> None:
    print(figures.aim('c - d', c.median - d.median, 0.3, ' s'))


def _compare_many(cloud: bench_cloud.Cloud, real: boots.Boots, fake: boots.Boots, number: int,
                  rounds: int) -> None:
    if not number:
        return
    with _no_quota(cloud):
        runs = [(real.many(number), fake.many(number)) for _ in range(rounds)]
    c, d = figures.median([run[0] for run in runs]), figures.median([run[1] for run in runs])
    print(f'{number} at once: c {c:.1f} s, d {d:.1f} s until the last is ACTIVE, '
          f'medians of {rounds}')
    print(figures.aim(f'{number} at once, c / d', c / d, 1.2))


@contextlib.contextmanager
def _no_quota(cloud: bench_cloud.Cloud) -> Iterator[None]:
    """Let the administrator's project have any number of servers, beside what it has."""
    project = cloud.admin.current_project_id
    cloud.admin.compute.update_quota_set(project, instances=-1, cores=-1, ram=-1)
    try:
        yield
    finally:
        cloud.admin.compute.revert_quota_set(project)
