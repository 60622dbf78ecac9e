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

"""What operators give servers with extra specs of flavors, and to whom."""

from __future__ import annotations

from typing import Any
import uuid

from zun_nova.tests.functional.cloud import base
from zun_nova.virt import flavor_config

#: With it nova-api checks extra specs.
MICROVERSION = '2.86'

FITTING = {
    'runtime': 'runc',
    'pids_limit': '17',
    'privileged': 'false',
    'no_new_privileges': 'True',
    'cap_add': 'NET_RAW,SYS_PTRACE',
    'cap_drop': 'CHOWN',
    'devices': '/dev/fuse,/dev/null:/dev/n:rw,/dev/full:r',
    'seccomp': 'unconfined',
    'same_tenant': 'true',
    'cdi': 'vendor.com/gpu=0,vendor.com/gpu=all',
}

UNFIT = {
    'runtime': 'run c',
    'pids_limit': '0',
    'privileged': 'perhaps',
    'no_new_privileges': '',
    'cap_add': 'CAP_NET_RAW',
    'cap_drop': 'CHOWN;SETUID',
    'devices': '/etc/shadow',
    'seccomp': '/etc/profile.json',
    'same_tenant': 'some',
    'cdi': 'gpu=0',
    'priviledged': 'true',
    'env:A': 'of servers, not of flavors',
}

#: Major and minor; 120 is kept for local use, see devices.txt of Linux.
LOCAL_DEVICE = '120 77'


class FlavorCase(base.CloudTest):

    def flavor(self, *, public: bool = True, **extra_specs: str) -> Any:
        """A flavor with these keys after ``container:``."""
        made = self.admin.compute.create_flavor(
            name=f'test-{uuid.uuid4().hex[:8]}', vcpus=1, ram=64, disk=1, is_public=public)
        self.addCleanup(self.admin.compute.delete_flavor, made.id)
        if extra_specs:
            answer = self.set(self.admin, made, extra_specs)
            self.assertEqual(200, answer.status_code, answer.text)
        return made

    def set(self, connection: Any, flavor: Any, extra_specs: dict[str, str]) -> Any:
        """The answer to ``openstack flavor set --property``."""
        return connection.compute.post(
            f'/flavors/{flavor.id}/os-extra_specs', microversion=MICROVERSION,
            json={'extra_specs': {f'container:{key}': value
                                  for key, value in extra_specs.items()}})


class ExtraSpecsTest(FlavorCase):
    """nova-api knows them."""

    def test_what_fits_and_what_does_not(self) -> None:
        self.assertEqual(
            set(flavor_config.KEYS), {f'container:{key}' for key in FITTING})
        flavor = self.flavor(**FITTING)
        for key, value in UNFIT.items():
            answer = self.set(self.admin, flavor, {key: value})
            self.assertEqual(400, answer.status_code, key)
            self.assertIn('Validation failed', answer.json()['badRequest']['message'], key)
        kept = self.admin.compute.get_flavor(flavor.id).extra_specs
        self.assertEqual({f'container:{key}': value for key, value in FITTING.items()}, kept)

    def test_only_operators_give(self) -> None:
        answer = self.set(self.demo, self.flavor(), {'privileged': 'true'})
        self.assertEqual(403, answer.status_code)


class PowerTest(FlavorCase):
    """What servers get."""

    def test_what_a_flavor_gives(self) -> None:
        path = f'/dev/zun-test-{uuid.uuid4().hex[:8]}'
        for each in self.hosts.values():
            # Hosts that are namespaces of one machine share its /dev.
            each.run('sh', '-c', f'test -e {path} || mknod {path} c {LOCAL_DEVICE}')
            self.addCleanup(each.run, 'rm', '-f', path)
        flavor = self.flavor(
            public=False, cap_add='NET_RAW', cap_drop='CHOWN', seccomp='unconfined',
            no_new_privileges='false', pids_limit='17', devices=f'{path}:/dev/given:r')
        image = self.image("""
            cat /proc/self/status
            (: < /dev/given) 2>&1
            (: > /dev/given) 2>&1
            echo end
            sleep 1000
            """)
        # Whom the operator does not let have the flavor does not know it.
        self.assertIsNone(self.demo.compute.find_flavor(flavor.name))
        self.admin.compute.flavor_add_tenant_access(flavor.id, self.demo.current_project_id)
        server = self.boot(image, flavor=flavor.name)
        said = self.console_with(server, '\nend')
        status = dict(line.split(':\t', 1) for line in said.splitlines() if ':\t' in line)
        self.assertEqual(('0', '0'), (status['Seccomp'], status['NoNewPrivs']))
        effective = int(status['CapEff'], 16)
        self.assertEqual([False, True, False], [
            bool(effective >> bit & 1) for bit in (0, 13, 27)], 'CHOWN, NET_RAW, MKNOD')
        self.assertIn("can't open /dev/given: no such device", said.lower())
        self.assertIn("can't create /dev/given: operation not permitted", said.lower())
        self.assertEqual(17, self.container(server)['HostConfig']['PidsLimit'])

    def test_all_of_the_host(self) -> None:
        image = self.image('cat /proc/self/status; echo end; sleep 1000')
        server = self.request(image, flavor=self.flavor(privileged='true').name)
        own = self.host_capabilities()
        if own == self.kernel_capabilities():
            self.wait_status(server, 'ACTIVE')
            self.assertIn(f'CapEff:\t{own:016x}', self.console_with(server, '\nend'))
        else:   # it is a container itself, or confined otherwise
            self.assertIn('the host itself does not have', self.fault(server))

    def host_capabilities(self) -> int:
        """Those that the engine's host may have at all."""
        status = self.hosts['compute1'].run('cat', '/proc/self/status')
        return next(int(line.split()[1], 16) for line in status.splitlines() if 'CapBnd' in line)

    def kernel_capabilities(self) -> int:
        """All there are."""
        last = self.hosts['compute1'].run('cat', '/proc/sys/kernel/cap_last_cap')
        return int((1 << int(last) + 1) - 1)

    def test_a_device_that_the_host_has_not(self) -> None:
        fault = self.fault_of(flavor=self.flavor(devices='/dev/no-such').name)
        self.assertIn('flavor extra spec container:devices: the host has no /dev/no-such', fault)
