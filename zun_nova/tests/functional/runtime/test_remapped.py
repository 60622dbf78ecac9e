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

"""Servers on a Docker that maps users (userns-remap)."""

from __future__ import annotations

import io
import os
import pathlib
import subprocess
import tarfile

import fixtures

from zun_nova import errors
from zun_nova.tests import files_contract
from zun_nova.tests import moves_contract
from zun_nova.tests import runtime_contract
from zun_nova.tests import snapshots_contract
from zun_nova.tests import streams_contract
from zun_nova.tests.functional import engine
from zun_nova.tests.functional import remapping_engine
from zun_nova.tests.functional.runtime import docker_case
from zun_nova.tests.functional.vif import hosts
from zun_nova.tests.unit.vif import fakes
from zun_nova.vif import plug
from zun_nova.virt import overlay
from zun_nova.virt import process
from zun_nova.virt import spec as container_spec

FILE = process.File('/etc/app/x', b'hello\n', 0o640, 7, 8)


class RemappedCase(docker_case.DockerTest):

    @classmethod
    def new_engine(cls):
        return engine.for_class(cls, kind=remapping_engine.RemappingEngine)

    def private_directory(self):
        """A directory of the host, below one that only root can enter.

        What is mounted there the engine sees, too.
        """
        temporary = self.useFixture(fixtures.TempDir(rootdir=self.engine.data.parent))
        directory = pathlib.Path(temporary.path, 'it')
        directory.mkdir()
        return directory

    def run_in(self, name, *argv):
        """What a program writes that runs in the container beside its own process."""
        ran = self.runtime.exec_run(name, argv, timeout=60, max_output=1000)
        self.assertEqual(0, ran.exit_code, ran)
        return ran.stdout


class RemappedTest(RemappedCase):
    """Root in a server is nobody on the host, and the server sees nothing of it."""

    def test_the_engine_says_it(self):
        self.assertIs(True, self.runtime.info().remaps_users)

    def test_a_server(self):
        drive = self.private_directory()
        (drive / 'a').write_text('drive\n')
        network = self.network(hostname='web')
        self.runtime.open_network(network)
        name = self.started(
            'sh', '-c', 'id -u; hostname; stat -c "%a %u %g" /etc/app/x /etc/app; '
            'cat /config-2/a; touch /config-2/b || echo refused; echo 1 > /own && chown 7 /own; '
            'stat -c %u /own /tmp/new; echo ready; sleep infinity',
            name=network.name, network=network.name, files=(FILE,),
            tmpfs=(process.Tmpfs('/tmp/new'),),
            mounts=(container_spec.Mount(str(drive), '/config-2', read_only=True),))
        self.settled(name, b'ready')
        said = self.runtime.logs(name, 1000).decode().splitlines()
        self.assertEqual(
            ['0', 'web', '640 7 8', '755 0 0', 'drive', 'refused', '7', '0', 'ready'],
            [line for line in said if 'touch' not in line])
        pid = self.runtime.inspect(name).pid
        self.assertEqual(remapping_engine.ROOT, os.stat(f'/proc/{pid}').st_uid)
        self.assertEqual(b'hello\n', self.runtime.read_file(name, FILE.path, 100))
        self.assertEqual(b'hello\n', self.run_in(name, 'cat', FILE.path))
        # What was open stays when it stops and starts.
        path = self.runtime.network_path(name)
        self.runtime.stop(name, 0)
        self.runtime.start(name)
        self.assertEqual(path, self.runtime.network_path(name))

    def test_a_read_only_server_with_a_file(self):
        self.assertEqual(b'640 7 8\nhello\n', self.output(
            'sh', '-c', 'stat -c "%a %u %g" /etc/app/x; cat /etc/app/x', files=(FILE,),
            read_only=True))

    def test_a_snapshot_has_the_users_of_the_server(self):
        name = self.started('sh', '-c', 'echo 42 > /written; chown 7:8 /written')
        self.ended(name)
        reference = 'zun-test/remapped:1'
        self.addCleanup(self.runtime.remove_image, reference)
        self.runtime.commit(name, reference, True, snapshots_contract.TIMEOUT)
        self.assertEqual(b'7 8\n', self.output(
            'stat', '-c', '%u %g', '/written', image=reference))
        with self.runtime.save_image(reference, snapshots_contract.TIMEOUT) as pieces:
            saved = io.BytesIO(b''.join(pieces))
        owners = set()
        with tarfile.open(fileobj=saved) as archive:
            for member in archive:
                if member.name.endswith('layer.tar') and member.isreg():
                    with tarfile.open(fileobj=archive.extractfile(member)) as layer:
                        owners |= {(each.uid, each.gid) for each in layer}
        self.assertEqual({(0, 0), (7, 8)}, owners)

    def test_the_root_of_a_rescued_server(self):
        name = self.started('sh', '-c', 'echo precious > /kept; cat /repaired')
        self.ended(name)
        layers = self.runtime.root_layers(name)
        directory = self.private_directory()
        overlay.mount(layers.lower, layers.upper, layers.work, str(directory))
        self.addCleanup(overlay.unmount, str(directory))
        self.assertEqual(b'precious\n0\n', self.output(
            'sh', '-ec', 'cd /mnt/rescue; cat kept; echo by hand > repaired; chown 9 repaired; '
            # What only the image has is copied up.
            'chown 7:7 bin/busybox; stat -c %u kept',
            mounts=(container_spec.Mount(str(directory), '/mnt/rescue'),)))
        overlay.unmount(str(directory))
        self.runtime.start(name)
        self.ended(name)
        self.assertIn(b'by hand', self.runtime.logs(name, 1000))

    def test_wired(self):
        reason = hosts.missing()
        if reason:
            self.skipTest(reason)
        self.useFixture(hosts.Host())
        names = []
        for number in (11, 12):
            network = self.network()
            port = fakes.vif(
                fakes.subnet('10.7.0.0/24', f'10.7.0.{number}'),
                fakes.subnet('fd07::/64', f'fd07::{number}'),
                port_id=hosts.new_id(), mac=f'fa:16:3e:00:00:{number:02x}')
            instance = hosts.Instance()
            path = self.runtime.open_network(network)
            self.addCleanup(plug.unplug_all, instance, [port])
            plug.plug_all(instance, [port], path)
            names.append(self.started(*runtime_contract.SLEEP, name=network.name,
                                      network=network.name))
        path = self.runtime.network_path(names[0])
        for address in ('10.7.0.12', 'fd07::12'):
            subprocess.run(['nsenter', f'--net={path}', 'ping', '-c', '1', '-W', '30', address],
                           check=True, capture_output=True, timeout=60)
        # Of the host's groups, whose all of the server are: Docker opens it to none here.
        opened = subprocess.run(
            ['nsenter', f'--net={path}', 'cat', '/proc/sys/net/ipv4/ping_group_range'],
            check=True, capture_output=True, timeout=60).stdout.split()
        self.assertLess(remapping_engine.ROOT + 65535, int(opened[1]))

    def test_privileged_is_refused(self):
        self.assertIn('user namespaces', str(self.assertRaises(
            errors.InvalidRequest, self.created, *runtime_contract.SLEEP,
            security=container_spec.Security(privileged=True))))


class AllRemappedTest(
        runtime_contract.Contract, snapshots_contract.Snapshots, files_contract.RealContract,
        moves_contract.Moves, streams_contract.Contract, RemappedCase):
    """All that every engine must do; in an environment of its own, for it takes minutes."""
