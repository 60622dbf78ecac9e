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

import unittest

from zun_nova.tests.unit.vif import fakes
from zun_nova.vif import announce
from zun_nova.vif import model

#: RFC 826, field by field.
ARP = ('ffffffffffff' 'fa163e123456' '0806'
       '0001' '0800' '06' '04' '0001' 'fa163e123456' '0a000005' '000000000000' '0a000005')


class TestFrames(unittest.TestCase):

    def frames(self, *subnets: object) -> list[bytes]:
        return announce.frames(model.nic(fakes.vif(*subnets)))

    def test_ipv4(self) -> None:
        frames = self.frames(fakes.subnet('10.0.0.0/24', '10.0.0.5'))
        self.assertEqual([ARP], [frame.hex() for frame in frames])

    def test_ipv6(self) -> None:
        [frame] = self.frames(fakes.subnet('fd00::/64', 'fd00::5'))
        self.assertEqual('333300000001fa163e12345686dd', frame[:14].hex())
        self.assertEqual('6000000000203aff', frame[14:22].hex())
        source, target = frame[22:38], frame[38:54]
        self.assertEqual(bytes.fromhex('fd00000000000000' '0000000000000005'), source)
        self.assertEqual(bytes.fromhex('ff02000000000000' '0000000000000001'), target)
        icmp = frame[54:]
        self.assertEqual((32, '8800'), (len(icmp), icmp[:2].hex()))
        self.assertEqual('20000000' + source.hex() + '0201fa163e123456', icmp[4:].hex())
        # A receiver's sum over everything, checksum included, is all ones.
        pseudo = source + target + (32).to_bytes(4, 'big') + (58).to_bytes(4, 'big')
        words = (pseudo + icmp)
        total = sum(int.from_bytes(words[i:i + 2], 'big') for i in range(0, len(words), 2))
        self.assertEqual(0xFFFF, (total & 0xFFFF) + (total >> 16))

    def test_every_address(self) -> None:
        self.assertEqual(3, len(self.frames(
            fakes.subnet('10.0.0.0/24', '10.0.0.5', '10.0.0.6'),
            fakes.subnet('fd00::/64', 'fd00::5'))))
        self.assertEqual([], self.frames())
