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

from __future__ import annotations

import pathlib

from nova.api.validation.extra_specs import hw
from nova.api.validation.extra_specs import os as os_specs
from nova.api.validation.extra_specs import quota
from oslotest import base

from zun_nova import errors
from zun_nova.virt import flavor_quota

DOCUMENT = pathlib.Path(__file__).parents[4] / 'doc/source/admin/resources.rst'


class FlavorQuotaTest(base.BaseTestCase):

    def test_none(self) -> None:
        for extra_specs in ({}, {'hw:cpu_policy': 'dedicated', 'other:x': 'y'}):
            self.assertEqual(flavor_quota.Quota(), flavor_quota.from_extra_specs(extra_specs))

    def test_values(self) -> None:
        for extra_specs, wanted in (
            ({'quota:cpu_shares': '2'}, flavor_quota.Quota(cpu_shares=2)),
            ({'quota:cpu_shares': '0', 'quota:cpu_period': '0'}, flavor_quota.Quota()),
            ({'quota:cpu_period': '50000'}, flavor_quota.Quota(cpu_period_us=50_000)),
            ({'quota:cpu_quota': '1000'}, flavor_quota.Quota(cpu_quota_us=1000)),
            ({'quota:cpu_quota': '-1'}, flavor_quota.Quota(cpu_quota_us=0)),
            ({'quota:cpu_quota': '0'}, flavor_quota.Quota(cpu_quota_us=0)),
            ({'quota:disk_read_bytes_sec': '1', 'quota:disk_write_bytes_sec': '2',
              'quota:disk_read_iops_sec': '3', 'quota:disk_write_iops_sec': '0'},
             flavor_quota.Quota(disk=flavor_quota.DiskLimits(1, 2, 3, 0))),
        ):
            self.assertEqual(wanted, flavor_quota.from_extra_specs(extra_specs), extra_specs)

    def test_what_does_not_fit(self) -> None:
        for name, text in (
            ('quota:cpu_shares', '1'), ('quota:cpu_shares', '262145'), ('quota:cpu_shares', '-1'),
            ('quota:cpu_period', '999'), ('quota:cpu_period', '1000001'),
            ('quota:cpu_quota', '999'), ('quota:cpu_quota', 'much'),
            ('quota:disk_read_iops_sec', '-1'), ('quota:disk_read_iops_sec', '1k'),
        ):
            ex = self.assertRaises(
                errors.InvalidSpec, flavor_quota.from_extra_specs, {name: text})
            self.assertEqual(f'flavor extra spec {name}', ex.where)

    def test_what_no_container_keeps_is_refused_unless_it_asks_for_nothing(self) -> None:
        for name, text, refused in (
            ('hw:mem_encryption', 'true', True), ('hw:mem_encryption', 'false', False),
            ('hw:tpm_version', '2.0', True), ('hw:cpu_realtime', 'yes', True),
            ('hw:cpu_realtime', 'no', False), ('os:secure_boot', 'required', True),
            ('os:secure_boot', 'optional', False), ('quota:disk_total_iops_sec', '1', True),
            ('quota:disk_total_iops_sec', '0', False), ('quota:memory_reservation', '64', True),
            ('quota:vif_inbound_average', '100', True), ('quota:vif_limit', '0', False),
            ('quota:cpu_shares_level', 'high', True), ('quota:disk_io_limit', '3', True),
        ):
            with self.subTest(name=name, text=text):
                if refused:
                    ex = self.assertRaises(
                        errors.InvalidSpec, flavor_quota.from_extra_specs, {name: text})
                    self.assertEqual(f'flavor extra spec {name}', ex.where)
                else:
                    flavor_quota.from_extra_specs({name: text})

    def test_every_limit_that_nova_knows_is_honoured_or_refused(self) -> None:
        honoured = {flavor_quota.CPU_SHARES, flavor_quota.CPU_PERIOD, flavor_quota.CPU_QUOTA,
                    *flavor_quota.DISK_KEYS}
        for key in quota.register():
            self.assertNotEqual(
                key.name in honoured, flavor_quota.why_refused(key.name) is not None, key.name)

    def test_every_key_is_documented(self) -> None:
        text = DOCUMENT.read_text()
        for name in (flavor_quota.CPU_SHARES, flavor_quota.CPU_PERIOD, flavor_quota.CPU_QUOTA,
                     *flavor_quota.DISK_KEYS, *flavor_quota.REFUSED,
                     *(key.name.partition('{')[0] for key in
                       (*hw.register(), *os_specs.register()))):
            self.assertIn(name, text)
