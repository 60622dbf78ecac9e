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

"""What documents and flavors say, seen from inside of a real container."""

from __future__ import annotations

import base64
import dataclasses
import os
import pathlib
import stat
import time
import uuid

from zun_nova import errors
from zun_nova.tests import images
from zun_nova.tests import runtime_contract
from zun_nova.tests.functional.runtime import docker_case
from zun_nova.tests.unit.virt import fakes
from zun_nova.virt import config_document
from zun_nova.virt import spec as container_spec

DEADLINE = 120

#: Major and minor; 120 is kept for local use, see devices.txt of Linux.
LOCAL_DEVICE = (120, 77)

DEFAULTS = container_spec.Defaults(
    host='host', runtime=None, pids_limit=64, cap_drop=('NET_RAW', 'MKNOD'),
    log_max_bytes=runtime_contract.MIB)


class _ServerCase(docker_case.DockerTest):
    """Containers made of what servers say."""

    def built(self, document='', extra_specs=None, image=runtime_contract.IMAGE, **changes):
        """The container of a server with this document and these extra specs.

        :param changes: of the container that was made of them.
        """
        text = f'{config_document.FIRST_LINE}\n{document}'
        instance = fakes.instance(
            user_data=base64.b64encode(text.encode()).decode(),
            flavor=fakes.flavor(extra_specs=extra_specs or {}))
        return dataclasses.replace(container_spec.build(instance, image, None, DEFAULTS),
                                   **({'name': self.new_name(), 'network': None} | changes))

    def image(self, **config):
        """An image with this configuration; returns its name."""
        name = f'{self.engine.REPOSITORY}{self.id().rsplit(".", 1)[1].lower()}:1'
        self.runtime.load_image([images.busybox(name, **config)], name)
        return name

    def run_one(self, document='', **more):
        """Start one; returns its name."""
        spec = self.built(document, **more)
        self.runtime.create(spec)
        self.runtime.start(spec.name)
        return spec.name

    def lines(self, document='', **more):
        """The lines that its process writes until it ends."""
        name = self.run_one(document, **more)
        self.ended(name)
        return self.runtime.logs(name, runtime_contract.MIB).decode().splitlines()

    def said(self, script, document='', **more):
        """The lines that a shell script writes in it."""
        return self.lines(document, command=('sh', '-c', script), **more)

    def eventually(self, happened, what):
        deadline = time.monotonic() + DEADLINE
        while not happened():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.1)


class DocumentTest(_ServerCase):
    """Each key of #container-config."""

    def test_command_and_args(self):
        image = self.image(Entrypoint=['echo', 'entry'], Cmd=['command'])
        for document, wanted in (
            ('', 'entry command'),
            ('args: [a b, c]', 'entry a b c'),
            ("args: 'a \"b c\"'", 'entry a b c'),
            ('command: [echo, mine]', 'mine'),
            ('{command: [echo, mine], args: [x]}', 'mine x'),
        ):
            self.assertEqual([wanted], self.lines(document, image=image), document)

    def test_env_user_and_working_dir(self):
        image = self.image(Env=['PATH=/bin', 'A=image', 'B=image'], User='user', WorkingDir='/etc')
        script = 'echo $A $B; echo $(id -u):$(id -g); pwd'
        self.assertEqual(['image image', '1000:1000', '/etc'], self.said(script, image=image))
        self.assertEqual(['image 7', '65534:5', '/made/here'], self.said(
            script, '{env: {B: 7}, user: "65534:5", working_dir: /made/here}', image=image))

    def test_tty_and_stdin(self):
        script = 'readlink /proc/self/fd/0; test -t 1 && echo terminal'
        self.assertEqual(['/dev/null'], self.said(script))
        self.assertEqual(['/dev/null'], self.said(script, 'stdin: false'))
        self.assertIn('pipe:', self.said(script, 'stdin: true')[0])
        there, *terminal = self.said(script, 'tty: true')
        self.assertRegex(there, '^/dev/(pts/[0-9]+|console)$')
        self.assertEqual(['terminal'], terminal)

    def test_files(self):
        document = """
            files:
            - {path: /etc/a/text, content: "line ä\\n"}
            - {path: /bytes, content: AAEC, encoding: base64, mode: "4750", owner: "3:4"}
            - {path: /etc/passwd, content: "", owner: 5}
            """
        script = 'stat -c "%n %a %u:%g %s" /etc/a /etc/a/text /bytes /etc/passwd; cat /etc/a/text'
        for read_only in (False, True):
            lines = self.said(script, document, read_only=read_only)
            self.assertRegex(lines[0], '^/etc/a 755 0:0 ')
            self.assertEqual(['/etc/a/text 644 0:0 8', '/bytes 4750 3:4 3',
                              '/etc/passwd 644 5:0 0', 'line ä'], lines[1:])

    def test_tmpfs_and_read_only(self):
        document = """
            read_only: true
            tmpfs:
            - {path: /small, size_mb: 1, mode: "0700"}
            - {path: /programs, exec: true}
            """
        lines = self.said("""
            touch /tmp/x 2>&1 || echo root is read-only
            stat -c '%n %a %F' /small /programs
            grep /small /proc/mounts
            dd if=/dev/zero of=/small/x bs=64k count=17 2>/dev/null || echo full
            for there in small programs; do
                cp /bin/busybox /$there/true && /$there/true && echo runs in $there
            done 2>/dev/null; exit 0
            """, document)
        self.assertIn('root is read-only', lines)
        self.assertIn('/small 700 directory', lines)
        self.assertIn('/programs 1777 directory', lines)
        options = next(line for line in lines if line.startswith('tmpfs')).split()[3].split(',')
        self.assertLessEqual({'rw', 'nosuid', 'nodev', 'noexec', 'size=1024k'}, set(options))
        self.assertIn('full', lines)
        self.assertIn('runs in programs', lines)
        self.assertNotIn('runs in small', lines)

    def test_sysctls_and_ulimits(self):
        document = """
            sysctls: {net.core.somaxconn: 77, kernel.sem: "250 32000 100 128"}
            ulimits: {nofile: "64:128", core: 0, fsize: -1}
            """
        lines = self.said("""
            cat /proc/sys/net/core/somaxconn /proc/sys/kernel/sem
            grep -E 'open files|core|file size' /proc/self/limits
            """, document)
        sysctls = [' '.join(line.split()) for line in lines[:2]]
        self.assertEqual(['77', '250 32000 100 128'], sysctls)
        limits = {line[:26].strip(): line[26:].split()[:2] for line in lines[2:]}
        self.assertEqual({'Max open files': ['64', '128'], 'Max core file size': ['0', '0'],
                          'Max file size': ['unlimited', 'unlimited']}, limits)

    def test_stop_signal(self):
        script = 'trap "echo got it; exit 5" HUP; echo ready; while :; do sleep 0.1; done'
        for written in ('SIGHUP', 'HUP', 1, '"1"'):
            name = self.run_one(f'stop_signal: {written}', command=('sh', '-c', script))
            self.settled(name, b'ready')
            self.runtime.stop(name, DEADLINE)
            self.assertEqual(5, self.runtime.inspect(name).exit_code)

    def test_stop_timeout(self):
        name = self.run_one('stop_timeout: 9', args=runtime_contract.SLEEP)
        self.assertEqual(9, self.runtime.inspect(name).stop_timeout)


class HealthcheckTest(_ServerCase):
    """What tells whether a server is well."""

    def setUp(self):
        super().setUp()
        self.client = self.engine.client()

    def test_it_is_run_and_believed(self):
        document = """
            command: [sh, -c, 'while :; do sleep 0.1; done']
            healthcheck: {command: 'test -e /well', interval: 1, timeout: 60, retries: 1}
            """
        name = self.run_one(document)
        self.eventually(lambda: self._health(name) == 'unhealthy', 'it is unhealthy')
        well = self.client.exec_create(name, ['touch', '/well'])
        self.client.exec_start(well)
        self.eventually(lambda: self._health(name) == 'healthy', 'it is healthy')

    def test_the_images_own_is_kept_changed_and_turned_off(self):
        second = 10 ** 9
        image = self.image(Healthcheck={
            'Test': ['CMD', 'true'], 'Interval': 5 * second, 'Timeout': 6 * second, 'Retries': 2})
        for document, wanted in (
            ('', (['CMD', 'true'], 5, 6, 0, 2)),
            ('healthcheck: {interval: 7, start_period: 8}', (['CMD', 'true'], 7, 6, 8, 2)),
            ('healthcheck: {command: [a, b c], retries: 4}', (['CMD', 'a', 'b c'], 5, 6, 0, 4)),
            ('healthcheck: {disabled: true}', (['NONE'], 5, 6, 0, 2)),
        ):
            name = self.run_one(document, image=image, args=runtime_contract.SLEEP)
            said = self.client.inspect_container(name)['Config']['Healthcheck']
            times = [said.get(key, 0) // second for key in ('Interval', 'Timeout', 'StartPeriod')]
            self.assertEqual(wanted, (said['Test'], *times, said['Retries']), document)
        self.assertNotIn('Health', self.client.inspect_container(name)['State'])

    def _health(self, name):
        return self.client.inspect_container(name)['State']['Health']['Status']


class FlavorTest(_ServerCase):
    """What extra specs give, and that nothing is given without them."""

    def status(self, **extra_specs):
        """The lines of /proc/self/status by name."""
        lines = self.said('cat /proc/self/status', extra_specs={
            f'container:{key}': value for key, value in extra_specs.items()})
        return dict(line.split(':\t', 1) for line in lines if ':\t' in line)

    def capabilities(self, status):
        return {number for number in range(64) if int(status['CapEff'], 16) >> number & 1}

    def test_capabilities(self):
        chown, net_raw, sys_ptrace, mknod = 0, 13, 19, 27
        least = self.capabilities(self.status())
        self.assertIn(chown, least)
        self.assertEqual(set(), least & {net_raw, sys_ptrace, mknod})
        self.assertEqual(least - {chown} | {net_raw, sys_ptrace}, self.capabilities(
            self.status(cap_add='NET_RAW,SYS_PTRACE', cap_drop='CHOWN')))
        self.assertEqual({net_raw}, self.capabilities(
            self.status(cap_add='NET_RAW', cap_drop='ALL')))

    def test_all_of_the_host(self):
        for extra_specs in ({'cap_add': 'ALL'}, {'privileged': 'true'}):
            try:
                status = self.status(**extra_specs)
            except errors.StartFailed as ex:
                # This machine itself lacks one, as those that are containers do.
                self.assertNotEqual(self.known(), self.own('CapBnd'))
                self.assertIn('the host itself does not have', str(ex))
            else:
                self.assertEqual(self.known(), int(status['CapEff'], 16))

    def known(self):
        """All capabilities of the kernel."""
        last = int(pathlib.Path('/proc/sys/kernel/cap_last_cap').read_text())
        return (1 << last + 1) - 1

    def own(self, name):
        """A set of capabilities of this process."""
        mine = pathlib.Path('/proc/self/status').read_text()
        return next(int(line.split()[1], 16) for line in mine.splitlines() if name in line)

    def test_seccomp_and_new_privileges(self):
        for extra_specs, wanted in (
            ({}, ('2', '1')),
            ({'seccomp': 'default', 'no_new_privileges': 'true', 'privileged': 'no'}, ('2', '1')),
            ({'seccomp': 'unconfined'}, ('0', '1')),
            ({'no_new_privileges': 'false'}, ('2', '0')),
        ):
            status = self.status(**extra_specs)
            self.assertEqual(wanted, (status['Seccomp'], status['NoNewPrivs']), extra_specs)

    def test_devices(self):
        path = f'/dev/{self.engine.PREFIX}{uuid.uuid4().hex[:8]}'
        # Of a number that no driver has: opened, it is not there, if opening it is allowed.
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(*LOCAL_DEVICE))
        self.addCleanup(os.unlink, path)
        lines = self.said("""
            stat -c '%n %F %t:%T' /dev/given /dev/full
            (: < /dev/given) 2>&1
            (: > /dev/given) 2>&1
            (: < "$0") 2>&1
            """, args=(path,), extra_specs={'container:devices': f'{path}:/dev/given:r,/dev/full'})
        self.assertEqual(['/dev/given character special file 78:4d',
                          '/dev/full character special file 1:7'], lines[:2])
        for line, words in zip(lines[2:], (
                'no such device', 'operation not permitted', 'no such file'), strict=True):
            self.assertIn(words, line.lower())

    def test_processes(self):
        self.assertEqual(['17'], self.said(
            'cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max',
            extra_specs={'container:pids_limit': '17'}))
