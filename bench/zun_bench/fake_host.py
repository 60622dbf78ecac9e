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

"""A compute host whose servers are nothing: Nova's FakeDriver, for the time of a run.

To Nova and Neutron it is a host like others, ports are bound to it. Nothing
of them is ever wired, and FakeDriver waits for no event.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import pathlib
import subprocess
import time
from typing import Any

from zun_bench import cloud as bench_cloud

NAME = 'bench-fake'
_DEADLINE = 180
# Greater than any that OVN counts to: Neutron holds its agent to be alive.
_ALWAYS_ALIVE = 2 ** 31

_CONFIG = """\
[DEFAULT]
host = {name}
compute_driver = fake.FakeDriver
state_path = {directory}
instances_path = {directory}/instances
"""


@contextlib.contextmanager
def running(cloud: bench_cloud.Cloud, directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """Have the host; yields its log. Removes also what an earlier run left."""
    if cloud.settings.network != 'ovn':
        raise SystemExit('bench/spawn: compares on a cloud with ML2/OVN only; see --without-fake')
    with contextlib.ExitStack() as undo:
        _remove(cloud)
        undo.callback(_remove, cloud)
        _make_chassis(cloud)
        log = directory / 'nova-compute.log'
        process = _start(cloud, directory, log)
        undo.callback(_stop, process)
        _eventually(lambda: _is_up(cloud), f'nova-compute of {NAME} is up; see {log}')
        _eventually(lambda: _is_mapped(cloud), f'Nova maps {NAME} to a cell')
        yield log


def _start(cloud: bench_cloud.Cloud, directory: pathlib.Path,
           log: pathlib.Path) -> subprocess.Popen[bytes]:
    config = directory / 'nova.conf'
    config.write_text(_CONFIG.format(name=NAME, directory=directory))
    (directory / 'instances').mkdir()
    return subprocess.Popen(
        [cloud.settings.program('nova-compute'), f'--config-file={cloud.host.etc}/nova.conf',
         f'--config-file={config}', f'--log-file={log}'],
        env={**os.environ, 'PYTHONPATH': ''}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _services(cloud: bench_cloud.Cloud) -> list[Any]:
    return list(cloud.admin.compute.services(host=NAME, binary='nova-compute'))


def _is_up(cloud: bench_cloud.Cloud) -> bool:
    return any(service.state == 'up' for service in _services(cloud))


def _is_mapped(cloud: bench_cloud.Cloud) -> bool:
    """Whether the scheduler can know it; the API shows no others."""
    return any(node.name == NAME for node in cloud.admin.compute.hypervisors())


def _remove(cloud: bench_cloud.Cloud) -> None:
    for service in _services(cloud):
        cloud.admin.compute.delete_service(service)
    _sbctl(cloud, '--if-exists', 'destroy', 'Chassis_Private', NAME)
    _sbctl(cloud, '--if-exists', 'chassis-del', NAME)


def _make_chassis(cloud: bench_cloud.Cloud) -> None:
    """What Neutron binds ports to: an OVN chassis with the bridges of the real one."""
    real = _sbctl(cloud, '--bare', '--columns=name', 'find', 'Chassis',
                  f'hostname={cloud.host.name}')
    like = _sbctl(cloud, 'get', 'Chassis', real, 'other_config')
    _sbctl(cloud, 'chassis-add', NAME, 'geneve', '127.0.0.2')
    _sbctl(cloud, 'set', 'Chassis', NAME, f'hostname={NAME}', f'other_config={like}')
    chassis = _sbctl(cloud, 'get', 'Chassis', NAME, '_uuid')
    _sbctl(cloud, 'create', 'Chassis_Private', f'name={NAME}', f'chassis={chassis}',
           f'nb_cfg={_ALWAYS_ALIVE}')


def _sbctl(cloud: bench_cloud.Cloud, *arguments: str) -> str:
    database = f'--db=tcp:127.0.0.1:{cloud.settings.port("ovn-sb")}'
    done = subprocess.run(['ovn-sbctl', '--timeout=20', database, *arguments], check=True,
                          stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def _eventually(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not happened():
        if time.monotonic() > deadline:
            raise SystemExit(f'bench/spawn: not within {_DEADLINE} s: {what}')
        time.sleep(0.5)
