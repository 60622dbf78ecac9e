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
"""Tests against the standalone cloud, through its real API."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import os
import pathlib
import re
import subprocess
import sys
import time
from typing import Any
import uuid

from openstack import exceptions
from oslotest import base
import testtools

STANDALONE = pathlib.Path(__file__).parents[4] / 'devstack' / 'standalone'
sys.path.append(str(STANDALONE))

from zun_cloud import credentials  # noqa: E402  found on the path just added
from zun_cloud import hosts  # noqa: E402
from zun_cloud import identity as cloud_identity  # noqa: E402
from zun_cloud import image  # noqa: E402
from zun_cloud import settings as cloud_settings  # noqa: E402

from zun_nova.tests.functional.cloud import host  # noqa: E402

#: Seconds for what a cloud does in a few when its machine has nothing else to do.
TIMEOUT = 180


class CloudTest(testtools.testcase.WithAttributes, base.BaseTestCase):
    """A test with a user's and an administrator's connection.

    What it makes, it deletes; servers of others are left alone. ``testtools.testcase.attr`` adds
    to a test's name the other environments of tox.ini that it is run in too.
    """

    def setUp(self) -> None:
        super().setUp()
        if not os.environ.get('ZUN_CLOUD_STATE'):
            self.skipTest('no standalone cloud: run devstack/standalone/cloud test')
        self.settings = cloud_settings.load()
        passwords = credentials.load(self.settings)
        self.demo = cloud_identity.connect(self.settings, passwords, 'demo')
        self.admin = cloud_identity.connect(self.settings, passwords, 'admin')
        for connection in (self.demo, self.admin):
            self.addCleanup(connection.close)
        self.hosts = {
            each.name: host.ComputeHost(each) for each in hosts.all_hosts(self.settings)}
        for each in self.hosts.values():
            self.addCleanup(each.engine.close)

    # -- images

    def image(self, script: str = '', *, properties: Mapping[str, str] | None = None,
              config: Mapping[str, Any] | None = None) -> Any:
        """A busybox image whose process is this shell script."""
        path = pathlib.Path(self.create_tempfiles([('image', b'')])[0])
        image.write(path, image.busybox_entries(command='#!/bin/sh\n' + script),
                    {'Cmd': ['/bin/hello'], 'Env': ['PATH=/bin'], **(config or {})}, 'test:latest')
        return self.upload(path.read_bytes(), properties)

    def upload(self, data: bytes, properties: Mapping[str, str] | None = None) -> Any:
        made = self.demo.image.create_image(
            name=f'test-{uuid.uuid4().hex[:8]}', container_format='docker', disk_format='raw',
            data=data, **(properties or {}))
        self.addCleanup(self.demo.image.delete_image, made.id)
        return made

    # -- servers

    def boot(self, image: Any = None, *, flavor: str = 'container.tiny', status: str = 'ACTIVE',
             **attributes: Any) -> Any:
        """A server of the demo project that reached the status."""
        return self.wait_status(self.request(image, flavor=flavor, **attributes), status)

    def request(self, image: Any = None, *, flavor: str = 'container.tiny',
                **attributes: Any) -> Any:
        """A server of the demo project that Nova has just been asked for."""
        image = image or self.demo.image.find_image('busybox', ignore_missing=False)
        network = self.demo.network.find_network('private', ignore_missing=False)
        server = self.demo.compute.create_server(
            name=f'test-{uuid.uuid4().hex[:8]}', image_id=image.id,
            flavor_id=self.demo.compute.find_flavor(flavor, ignore_missing=False).id,
            **({'networks': [{'uuid': network.id}]} | attributes))
        self.addCleanup(self.delete, server)
        return server

    def delete(self, server: Any) -> None:
        self.demo.compute.delete_server(server.id, ignore_missing=True)
        self.eventually(lambda: self.demo.compute.find_server(server.id) is None,
                        'the server is gone')

    def wait_status(self, server: Any, status: str) -> Any:
        """The server when it has the status and no task; fails at once when it breaks."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            server = self.admin.compute.get_server(server.id)
            if server.status == status and server.task_state is None:
                return server
            # What must break is ERROR before its task has ended.
            broken = server.status == 'ERROR' != status
            if broken or time.monotonic() > deadline:
                fault = (server.fault or {}).get('message')
                self.fail(f'{server.name} is {server.status} ({server.task_state}), '
                          f'not {status}: {fault}')
            time.sleep(0.2)

    def fault_of(self, **arguments: Any) -> str:
        """Boot a server that must break; returns what its owner is told."""
        return self.fault(self.request(**arguments))

    def fault(self, server: Any) -> str:
        """What the owner of a server is told that must break."""
        self.wait_status(server, 'ERROR')
        return str(self.demo.compute.get_server(server.id).fault['message'])

    def console(self, server: Any) -> str:
        return str(self.demo.compute.get_server_console_output(server.id)['output'] or '')

    def console_with(self, server: Any, text: str) -> str:
        """The console log when it holds the text."""
        self.eventually(lambda: text in self.console(server), f'{text!r} in the console log')
        return self.console(server)

    # -- hosts

    def host_of(self, server: Any) -> host.ComputeHost:
        """The host a server runs on."""
        return self.hosts[self.admin.compute.get_server(server.id).compute_host]

    def container(self, server: Any) -> dict[str, Any]:
        """What the engine knows of the server's container."""
        return self.host_of(server).container(server.id)

    def in_server(self, server: Any, *command: str) -> str:
        """Run a program of the host in the network of the server."""
        return self.host_of(server).in_server(server.id, *command)

    def traces(self) -> set[str]:
        """What all servers consist of on all hosts."""
        found = set().union(*(each.traces() for each in self.hosts.values()))
        # Neutron's metadata agent has its own where a network has servers, the DHCP agent ports.
        agents = tuple(f'tap{network.id[:10]}' for network in self.admin.network.networks())
        dhcp = tuple(f'tap{port.id[:11]}' for port in self.admin.network.ports(
            device_owner='network:dhcp'))
        namespaces = ('ovnmeta-', 'qdhcp-', 'qrouter-')
        theirs = (*agents, *dhcp, *(f'/run/netns/{name}' for name in namespaces))
        return {trace for trace in found if not trace.split()[1].startswith(theirs)}

    def stored_images(self) -> set[tuple[str, ...]]:
        """The images in the engines of all hosts, with their names."""
        return {(host.name, row['Id'], *sorted(row['RepoTags'] or ()))
                for host in self.hosts.values() for row in host.engine.images(all=True)}

    # -- services

    def restart_compute(self, name: str) -> None:
        """Restart nova-compute on this host; returns when it takes calls."""
        service = 'nova-compute-' + name.removeprefix('compute')
        subprocess.run([STANDALONE / 'cloud', 'restart', service], check=True,
                       capture_output=True, timeout=TIMEOUT)

    # -- waiting

    def eventually(self, happened: Callable[[], bool], what: str, timeout: float = 90) -> None:
        deadline = time.monotonic() + timeout
        while not happened():
            if time.monotonic() > deadline:
                self.fail(f'not within {timeout} s: {what}')
            time.sleep(0.2)

    def nothing_left(self, before: set[str], ignore: str = '$^') -> None:
        """Wait until of all servers there is only what there was before.

        :param ignore: traces that are not the driver's to remove, as a regular expression.
        """
        deadline = time.monotonic() + TIMEOUT
        while left := {trace for trace in self.traces() - before if not re.match(ignore, trace)}:
            if time.monotonic() > deadline:
                self.fail(f'left for {TIMEOUT} s: {sorted(left)}')
            time.sleep(0.2)

    def refused(self, call: Callable[..., Any], *arguments: Any, **more: Any) -> str:
        """The message of the API's refusal."""
        return str(self.assertRaises(exceptions.HttpException, call, *arguments, **more))
