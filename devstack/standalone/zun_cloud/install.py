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

"""Debian packages and the virtual environment, both only when something is missing.

Standard library only: this is what makes the virtual environment.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import typing

from zun_cloud import errors
from zun_cloud import settings as cloud_settings

PACKAGES = (
    'busybox-static', 'containerd', 'crun', 'docker-registry', 'docker.io', 'e2fsprogs', 'ethtool',
    'haproxy', 'iproute2', 'iputils-ping', 'mariadb-server', 'memcached', 'openssh-client',
    'openssh-server', 'openvswitch-switch', 'ovn-central', 'ovn-host', 'podman', 'python3-venv',
    'rabbitmq-server', 'runc', 'runsc', 'skopeo', 'xfsprogs',
)
# What Neutron's agents run.
FOR_AGENTS = (
    'conntrack', 'dnsmasq-base', 'dnsmasq-utils', 'ipset', 'iptables', 'iputils-arping', 'radvd',
)
# What `cloud up --with NAME` runs.
FOR_EXTRAS = {
    'cinder': ('qemu-system-common', 'qemu-utils'),
}
NEEDED_DISK = 6 * 2**30
# The services' and this project's own.
REQUIREMENTS = (
    cloud_settings.STANDALONE / 'requirements.txt',
    cloud_settings.CHECKOUT / 'requirements.txt',
)
CONSTRAINTS = cloud_settings.STANDALONE / 'constraints.txt'

Report = typing.Callable[[str, float], None]


def everything(settings: cloud_settings.Settings, report: Report) -> None:
    """Install what is missing; packages and virtual environment at the same time."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(packages, settings, report), pool.submit(venv, settings, report)]
    for job in jobs:
        job.result()


def packages(settings: cloud_settings.Settings, report: Report) -> None:
    """Debian packages; asks no package server when all are there."""
    missing = _missing_packages(settings)
    if not missing:
        return
    began = time.monotonic()
    log = settings.directory('log') / 'apt.log'
    apt = ['apt-get', '-q', '-y', '-o', 'DPkg::Lock::Timeout=120']
    environment = {**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'}
    with _services_kept_off():
        _logged([*apt, 'update'], log, environment)
        _logged([*apt, 'install', '--no-install-recommends', *missing], log, environment)
    report(f'{len(missing)} Debian packages', time.monotonic() - began)


def venv(settings: cloud_settings.Settings, report: Report) -> None:
    """The virtual environment of the services, byte-compiled, and this project in it."""
    log = settings.directory('log') / 'venv.log'
    uv = tools(settings, log)
    _dependencies(settings, uv, log, report)
    _project(settings, uv, log, report)


def tools(settings: cloud_settings.Settings, log: pathlib.Path) -> pathlib.Path:
    """The path of uv, in a small virtual environment of its own."""
    uv = settings.tools / 'bin/uv'
    if not uv.exists():
        _logged([sys.executable, '-m', 'venv', '--clear', str(settings.tools)], log)
        _logged([str(settings.tools / 'bin/pip'), 'install', '-q', 'uv'], log)
    return uv


def test_tools(settings: cloud_settings.Settings) -> None:
    """tox and stestr, beside uv."""
    log = settings.directory('log') / 'venv.log'
    uv = tools(settings, log)
    names = ('tox', 'tox-uv', 'stestr')
    if not all((settings.tools / 'bin' / name).exists() for name in ('tox', 'stestr')):
        _logged([str(uv), 'pip', 'install', '-q', '--python', str(settings.tools / 'bin/python'),
                 *names], log)


def _dependencies(
    settings: cloud_settings.Settings, uv: pathlib.Path, log: pathlib.Path, report: Report
) -> None:
    stamp = settings.venv / 'dependencies.stamp'
    wanted = _digest(*REQUIREMENTS, CONSTRAINTS)
    if _read(stamp) == wanted:
        return
    began = time.monotonic()
    python = settings.venv / 'bin/python'
    if not python.exists():
        _logged([str(uv), 'venv', '-q', '--python', sys.executable, str(settings.venv)], log)
    wanted_files = [f'--requirements={path}' for path in REQUIREMENTS if path.exists()]
    _logged([str(uv), 'pip', 'install', '-q', '--python', str(python), *wanted_files,
             f'--constraints={CONSTRAINTS}'], log)
    report('Python packages', time.monotonic() - began)
    began = time.monotonic()
    _compile(python, settings.venv / 'lib', log)
    report('byte code', time.monotonic() - began)
    stamp.write_text(wanted)


def _compile(python: pathlib.Path, where: pathlib.Path, log: pathlib.Path) -> None:
    """Compile now: a service that finds no byte code takes three times as long to start."""
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONDONTWRITEBYTECODE'}
    # Exit code 1 only says that some file (a template, a test for Python 2) did not compile.
    command = [str(python), '-m', 'compileall', '-q', '-j', '0', '-x', r'/tests?/', str(where)]
    _logged(command, log, environment, check=False)


def _project(
    settings: cloud_settings.Settings, uv: pathlib.Path, log: pathlib.Path, report: Report
) -> None:
    """This checkout, editable; again when it moved or what setuptools reads of it changes."""
    if not (cloud_settings.CHECKOUT / 'setup.cfg').exists():
        return
    stamp = settings.venv / 'project.stamp'
    names = ('setup.cfg', 'setup.py', 'pyproject.toml')
    content = _digest(*(cloud_settings.CHECKOUT / name for name in names))
    wanted = f'{cloud_settings.CHECKOUT} {content}'
    if _read(stamp) == wanted:
        return
    began = time.monotonic()
    # What it needs, and what builds it, came with the dependencies.
    _logged([str(uv), 'pip', 'install', '-q', '--python', str(settings.venv / 'bin/python'),
             '--no-deps', '--no-build-isolation', '-e', str(cloud_settings.CHECKOUT)], log)
    stamp.write_text(wanted)
    report('zun-nova', time.monotonic() - began)


def check_disk(settings: cloud_settings.Settings) -> None:
    """:raises CloudError: too little room for a first installation."""
    if settings.venv.exists():
        return
    free = shutil.disk_usage(settings.directory()).free
    if free < NEEDED_DISK:
        raise errors.CloudError(
            f'{settings.state}: {free / 2**30:.1f} GiB free, {NEEDED_DISK / 2**30:.0f} GiB needed'
        )


def _missing_packages(settings: cloud_settings.Settings) -> list[str]:
    wanted = [
        *PACKAGES, *(FOR_AGENTS if settings.network == 'ovs' else ()),
        *(package for name in settings.extras for package in FOR_EXTRAS[name]),
    ]
    done = subprocess.run(
        ['dpkg-query', '-W', '-f', '${Package} ${db:Status-Status}\n', *wanted],
        capture_output=True, text=True, check=False,
    )
    states = dict(line.split() for line in done.stdout.splitlines())
    return [name for name in wanted if states.get(name) != 'installed']


class _services_kept_off:  # noqa: N801  (used as a function)
    """While packages are installed, no service of theirs may start: the cloud runs its own."""

    path = pathlib.Path('/usr/sbin/policy-rc.d')

    def __enter__(self) -> None:
        self.ours = not self.path.exists()
        if self.ours:
            self.path.write_text('#!/bin/sh\nexit 101\n')
            self.path.chmod(0o755)

    def __exit__(self, *exc: object) -> None:
        if self.ours:
            self.path.unlink(missing_ok=True)


def _logged(
    command: list[str],
    log: pathlib.Path,
    environment: dict[str, str] | None = None,
    *,
    check: bool = True,
) -> None:
    with log.open('a') as stream:
        stream.write(f"$ {' '.join(command)}\n")
        stream.flush()
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=stream,
            stderr=subprocess.STDOUT, check=False,
        )
    if check and done.returncode:
        raise errors.CloudError(f'{command[0]}: exit code {done.returncode}', log)


def _digest(*paths: pathlib.Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path.exists():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: pathlib.Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
