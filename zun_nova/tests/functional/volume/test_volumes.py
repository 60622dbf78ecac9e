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

"""Volumes on real loop devices in containers of a real Docker.

Cinder and NFS are not there: what they would have mounted is a directory of
this machine, at the place where os-brick looks for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import types
import unittest
import uuid

from os_brick import privileged as brick_privileged

from zun_nova import errors
from zun_nova.tests.functional.runtime import docker_case
from zun_nova.tests.unit.virt import fakes
from zun_nova.virt import identity
from zun_nova.virt.runtime import base
from zun_nova.volume import filesystem
from zun_nova.volume import loop
from zun_nova.volume import places
from zun_nova.volume import privileged
from zun_nova.volume import volumes

MIB = 1024 ** 2
SHARE = '192.0.2.1:/volumes'
SLEEP = ('sh', '-c', 'trap "exit 0" TERM; sleep infinity & wait')


class VolumesTest(docker_case.DockerTest):

    @classmethod
    def setUpClass(cls):
        for program in ('losetup', 'blkid', 'mkfs.xfs', 'mkfs.ext4'):
            if shutil.which(program) is None:
                raise unittest.SkipTest(f'{program} is missing')
        super().setUpClass()
        if not cls.engine.owned:
            raise unittest.SkipTest('it must see the mounts of the test')

    def setUp(self):
        super().setUp()
        for context in (privileged.context, brick_privileged.default):
            context.set_client_mode(False)
            self.addCleanup(context.set_client_mode, True)
        # Where the engine sees what is mounted after it was started.
        self.base = pathlib.Path(tempfile.mkdtemp(dir=self.engine.data.parent))
        self.addCleanup(shutil.rmtree, self.base)
        self.conf = types.SimpleNamespace(
            instances_path=str(self.base), my_block_storage_ip='192.0.2.9',
            zun_nova=types.SimpleNamespace(
                volumes=True, format_volumes=True, volume_filesystem=filesystem.XFS,
                default_runtime=None))
        self.volumes = volumes.Volumes(self.runtime, self.conf, 'host')
        self.instance = fakes.instance(uuid=str(uuid.uuid4()))
        self.name = identity.container_name(self.instance)
        self.addCleanup(self.runtime.remove, self.name)
        self.export = self.base / 'export'
        self.export.mkdir()
        self.share = self.volumes._places.shares / hashlib.md5(SHARE.encode()).hexdigest()
        self.mount_share()

    def mount_share(self):
        self.share.mkdir(parents=True, exist_ok=True)
        subprocess.run(['mount', '--bind', str(self.export), str(self.share)], check=True)
        self.addCleanup(subprocess.run, ['umount', '--quiet', str(self.share)], check=False)

    def volume(self, size=400 * MIB, **data):
        """What Nova is told of a new volume."""
        volume_id = str(uuid.uuid4())
        file = self.export / f'volume-{volume_id}'
        with file.open('wb') as made:
            made.truncate(size)
        self.addCleanup(self.assert_no_device, file)
        return {'driver_volume_type': 'nfs', 'serial': volume_id, 'data': {
            'export': SHARE, 'name': file.name, 'format': 'raw', 'access_mode': 'rw', **data}}

    def assert_no_device(self, file):
        self.assertEqual([], loop.devices(str(file)))

    @staticmethod
    def info(*connections):
        """As Nova gives it to the driver."""
        return {'block_device_mapping': [{'connection_info': each} for each in connections]}

    def make(self):
        self.runtime.create(self.spec(
            *SLEEP, name=self.name, mounts=self.volumes.mounts(self.instance)))

    def make_and_start(self):
        self.make()
        self.runtime.start(self.name)

    def say(self, *command):
        """What a command prints in the server."""
        client = self.engine.client()
        return client.exec_start(client.exec_create(self.name, list(command))['Id']).decode()

    @staticmethod
    def path(connection, name=''):
        return f'{places.INSIDE}/{connection["serial"]}/{name}'.rstrip('/')

    def mounted(self, connection):
        """The type of the file system the server sees of it, and its options."""
        for line in self.say('cat', '/proc/mounts').splitlines():
            _, path, kind, options, *_ = line.split()
            if path == self.path(connection):
                return kind, set(options.split(','))
        return None

    def restart(self):
        self.runtime.stop(self.name, 10)
        self.runtime.start(self.name)

    def assert_nothing_left(self):
        self.runtime.remove(self.name)
        self.volumes.release(self.instance, self.info(), keep=False)
        self.assertEqual(set(), self.volumes.uuids())
        self.assertFalse(os.path.ismount(self.share))

    def test_attach_and_detach_while_it_runs(self):
        volume, other = self.volume(), self.volume(64 * MIB)
        self.make_and_start()
        self.volumes.attach(self.instance, volume)
        self.volumes.attach(self.instance, other)
        kind, options = self.mounted(volume)
        self.assertEqual((filesystem.XFS, set()), (kind, {'nosuid', 'nodev', 'rw'} - options))
        self.assertEqual(filesystem.EXT4, self.mounted(other)[0])
        self.assertEqual('', self.say('sh', '-c', f'echo kept > {self.path(volume, "file")}'))
        # The host's own disk is out of reach.
        self.assertIn('Read-only file system', self.say('touch', f'{places.INSIDE}/file'))
        self.restart()
        self.assertEqual('kept\n', self.say('cat', self.path(volume, 'file')))
        self.volumes.detach(self.instance, other)
        self.assertIsNone(self.mounted(other))
        self.assertIsNotNone(self.mounted(volume))
        self.volumes.detach(self.instance, volume)
        self.volumes.detach(self.instance, volume)
        self.assertEqual('', self.say('ls', places.INSIDE))
        # Nobody else's mount keeps it: another server can have it at once.
        self.assert_no_device(self.export / volume['data']['name'])
        self.mount_share()
        self.runtime.pause(self.name)
        self.volumes.attach(self.instance, volume)
        self.runtime.unpause(self.name)
        self.assertEqual('kept\n', self.say('cat', self.path(volume, 'file')))
        self.runtime.stop(self.name, 0)
        self.volumes.detach(self.instance, volume)
        self.assert_nothing_left()

    def test_in_use(self):
        volume = self.volume()
        self.make_and_start()
        self.volumes.attach(self.instance, volume)
        client = self.engine.client()
        client.exec_start(client.exec_create(self.name, [
            'sh', '-c', f'cd {self.path(volume)} && touch ready && exec sleep infinity'])['Id'],
            detach=True)
        deadline = time.monotonic() + 180
        while not self.say('ls', self.path(volume)):
            self.assertLess(time.monotonic(), deadline)
        self.assertRaises(errors.VolumeInUse, self.volumes.detach, self.instance, volume)
        self.assertEqual('ready\n', self.say('ls', self.path(volume)))
        self.runtime.stop(self.name, 0)
        self.volumes.detach(self.instance, volume)
        self.assert_nothing_left()

    def test_server_that_is_made_with_volumes(self):
        volume, clone = self.volume(), self.volume()
        with self.volumes.connected(self.instance, self.info(volume)):
            self.make_and_start()
        self.say('touch', self.path(volume, 'file'))
        self.say('sync')
        self.runtime.stop(self.name, 10)
        # Nova's hard reboot, after the host has lost all mounts.
        self.volumes._let_go(self.instance.uuid, self.volumes._places.records(
            self.instance.uuid)[0])
        with self.volumes.connected(self.instance, self.info(volume)):
            self.runtime.start(self.name)
        self.assertEqual('file\n', self.say('ls', self.path(volume)))
        # A clone has the same UUID.
        shutil.copy(self.export / volume['data']['name'], self.export / clone['data']['name'])
        self.volumes.attach(self.instance, clone)
        self.assertEqual('file\n', self.say('ls', self.path(clone)))
        self.runtime.remove(self.name)
        self.volumes.release(self.instance, self.info(volume, clone), keep=False)
        self.assertEqual(set(), self.volumes.uuids())
        self.assertFalse(os.path.ismount(self.share))

    def test_volume_that_grows(self):
        volume = self.volume(size=320 * MIB)
        self.make_and_start()
        self.volumes.attach(self.instance, volume)
        self.say('sh', '-c', f'echo kept > {self.path(volume, "file")}')
        os.truncate(self.export / volume['data']['name'], 640 * MIB)
        self.assertRaises(
            errors.VolumeError, self.volumes.extend, self.instance, volume, 1024 * MIB)
        self.volumes.extend(self.instance, volume, 640 * MIB)
        blocks = int(self.say('df', '-k', self.path(volume)).split()[-5])
        self.assertGreater(blocks, 500 * 1024)
        self.assertEqual('kept\n', self.say('cat', self.path(volume, 'file')))
        self.volumes.detach(self.instance, volume)
        self.assert_nothing_left()

    def test_read_only(self):
        volume = self.volume()
        self.make_and_start()
        self.volumes.attach(self.instance, volume)
        self.volumes.detach(self.instance, volume)
        self.mount_share()
        volume['data']['access_mode'] = 'ro'
        self.volumes.attach(self.instance, volume)
        self.assertIn('ro', self.mounted(volume)[1])
        self.assertIn('Read-only file system', self.say('touch', self.path(volume, 'file')))
        self.volumes.detach(self.instance, volume)
        self.assert_nothing_left()

    def test_server_that_sends_the_mount_elsewhere(self):
        for trap in ('mv /mnt /elsewhere && ln -s /etc /mnt',
                     'mv /mnt /elsewhere && ln -s /../../../.. /mnt'):
            volume = self.volume()
            self.make_and_start()
            self.assertEqual('', self.say('sh', '-c', trap))
            error = self.assertRaises(
                errors.VolumeError, self.volumes.attach, self.instance, volume)
            self.assertIn('cannot be mounted in the running server', str(error))
            for mounts in ('/proc/self/mounts', '/proc/1/mounts'):
                self.assertNotIn(volume['serial'], pathlib.Path(mounts).read_text())
            self.assertEqual([], self.volumes._places.records(self.instance.uuid))
            self.mount_share()
            self.runtime.remove(self.name)
        self.volumes.release(self.instance, self.info(), keep=False)
        subprocess.run(['umount', str(self.share)], check=True)

    def test_server_that_moves_the_mount(self):
        volume = self.volume()
        self.make_and_start()
        self.volumes.attach(self.instance, volume)
        self.assertEqual('', self.say('mv', '/mnt', '/elsewhere'))
        self.volumes.detach(self.instance, volume)
        self.assertNotIn(volume['serial'], self.say('cat', '/proc/mounts'))
        self.assert_nothing_left()

    def test_what_is_on_it_is_never_overwritten(self):
        self.make()
        for content, told in ((b'something else', 'unknown'),):
            volume = self.volume()
            with (self.export / volume['data']['name']).open('r+b') as file:
                file.write(content)
            error = self.assertRaises(
                errors.VolumeError, self.volumes.attach, self.instance, volume)
            self.assertIn(told, str(error))
            self.assertEqual(
                content, (self.export / volume['data']['name']).read_bytes()[:len(content)])
            self.mount_share()
        self.conf.zun_nova.format_volumes = False
        error = self.assertRaises(
            errors.VolumeError, self.volumes.attach, self.instance, self.volume())
        self.assertIn('it is empty', str(error))
        self.assert_nothing_left()

    def test_damaged_file_system(self):
        self.make()
        volume = self.volume(64 * MIB)
        self.volumes.attach(self.instance, volume)
        self.volumes.detach(self.instance, volume)
        self.mount_share()
        with (self.export / volume['data']['name']).open('r+b') as file:
            file.seek(2048)   # the descriptors of ext4's groups
            file.write(b'\xff' * 2048)
        error = self.assertRaises(
            errors.VolumeError, self.volumes.attach, self.instance, volume)
        self.assertIn('may be damaged', str(error))
        self.assert_nothing_left()

    def test_server_that_is_not_there(self):
        volume = self.volume()
        self.assertRaises(errors.NotFound, self.volumes.attach, self.instance, volume)
        self.volumes.detach(self.instance, volume)
        self.runtime.create(self.spec(*SLEEP, name=self.name))
        error = self.assertRaises(
            errors.VolumeError, self.volumes.attach, self.instance, volume)
        self.assertIn('rebuild it', str(error))
        subprocess.run(['umount', str(self.share)], check=True)
        self.assert_nothing_left()

    def test_process_of_somebody_else(self):
        volume = self.volume()
        self.make_and_start()
        self.volumes.attach(self.instance, volume)
        target = self.volumes._places.target(self.instance.uuid, volume['serial'])
        container = self.runtime.inspect(self.name)
        for pid, container_id in ((os.getpid(), container.id), (container.pid, 'f' * 64)):
            self.assertRaises(
                ProcessLookupError, privileged.take_out, pid, container_id, target)
        with contextlib.suppress(errors.NotFound):
            self.assertIs(base.State.RUNNING, self.runtime.inspect(self.name).state)
        self.volumes.detach(self.instance, volume)
        self.assert_nothing_left()
