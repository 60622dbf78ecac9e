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

"""The metadata service, from inside of servers."""

from __future__ import annotations

import base64

from testtools import testcase

from zun_nova.tests.functional.cloud import base

SERVICE = 'http://169.254.169.254'

#: Fetches each document until it comes: Neutron's agent may be behind.
FETCH = """
for path in {paths}; do
    until text=$(wget -q -O - {service}/$path); do sleep 1; done
    echo "== $path"
    echo "$text"
done
echo end
sleep 1000
"""


class MetadataTest(base.CloudTest):

    @testcase.attr('ovs')
    def test_every_tree_is_there(self) -> None:
        paths = ['openstack/latest/meta_data.json', 'openstack/latest/network_data.json',
                 'openstack/latest/vendor_data.json', 'openstack/latest/user_data',
                 'latest/meta-data/instance-id', 'latest/user-data']
        words = 'the words of its owner'
        server = self.boot(
            self.image(FETCH.format(paths=' '.join(paths), service=SERVICE)),
            user_data=base64.b64encode(words.encode()).decode())
        seen = self.console_with(server, '\nend')
        documents = dict(part.split('\n', 1) for part in seen.split('== ')[1:])
        self.assertEqual(paths, list(documents))
        self.assertIn(f'"uuid": "{server.id}"', documents[paths[0]])
        port = next(iter(self.demo.network.ports(device_id=server.id)))
        self.assertIn(port.mac_address, documents[paths[1]])
        self.assertTrue(documents[paths[2]].startswith('{'))
        self.assertTrue(documents[paths[3]].startswith(words))
        self.assertTrue(documents[paths[4]].startswith('i-'))
        self.assertTrue(documents[paths[5]].startswith(words))
