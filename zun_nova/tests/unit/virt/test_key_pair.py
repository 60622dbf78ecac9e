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

"""Where a key belongs, and that no image makes a server fail for it."""

from __future__ import annotations

from typing import Any

from nova import test

from zun_nova.tests.unit.virt import test_driver
from zun_nova.virt import identity
from zun_nova.virt import key_pair

KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx somebody@somewhere'
PASSWD = b"""\
root:x:0:0:root:/root:/bin/sh
# a line that is none
app:x:1000:1001:app,,,:/home/app:/bin/false
no-home:x:1:1:::
relative:x:1:1::home:/bin/sh
out:x:1:1::/home/../../etc:/bin/sh
names:x:a:b::/home:/bin/sh
"""


class PureTest(test.NoDBTestCase):

    def test_find(self) -> None:
        user = key_pair.find(b'\xff\xfe:x:1:1::/home:/bin/sh\n' + PASSWD, 'app')
        self.assertEqual(('/home/app', 1000, 1001), (str(user.home), user.uid, user.gid))
        self.assertEqual('/root', str(key_pair.find(PASSWD, 'root').home))
        for name in ('nobody', 'no-home', 'relative', 'out', 'names', '', '# a line that is none'):
            self.assertIsNone(key_pair.find(PASSWD, name), name)

    def test_with_key(self) -> None:
        line = f'{KEY}\n'.encode()
        self.assertEqual(line, key_pair.with_key(b'', KEY))
        self.assertEqual(b'other\n' + line, key_pair.with_key(b'other', f'{KEY}\n'))
        for known in (line, b'other\n' + line, line + b'other\n'):
            self.assertEqual(known, key_pair.with_key(known, KEY))


class KeyPairTest(test_driver.DriverCase):

    def put(self, passwd: bytes | None, properties: dict[str, str] | None = None,
            **files: bytes) -> dict[str, bytes]:
        """What is put into the container of a server with a key."""
        self.spawn(self.instance(), power_on=False)   # loads the image
        [image] = (image for image in self.engine.engine.images.by_id.values()
                   if any('glance' in tag for tag in image.tags))
        image.files = {f'/{name.replace("__", "/")}': content for name, content in files.items()}
        if passwd is not None:
            image.files['/etc/passwd'] = passwd
        instance = self.instance(key_data=KEY)
        instance.system_metadata = {
            f'image_{name}': value for name, value in (properties or {}).items()}
        instance.metadata = self.metadata
        self.spawn(instance)
        made: dict[str, bytes] = self.engine.containers[identity.container_name(instance)].put
        return made

    metadata: dict[str, Any] = {}

    def test_of_root(self) -> None:
        made = self.put(PASSWD, root__x=b'')
        self.assertEqual({'/root/.ssh/authorized_keys': f'{KEY}\n'.encode()}, made)

    def test_of_whom_the_image_names(self) -> None:
        made = self.put(PASSWD, {'os_admin_user': 'app'}, home__app__x=b'',
                        **{'home__app__.ssh__authorized_keys': b'the image\'s\n'})
        self.assertEqual({'/home/app/.ssh/authorized_keys': f'the image\'s\n{KEY}\n'.encode()},
                         made)

    def test_images_without_place_for_it(self) -> None:
        self.assertEqual({}, self.put(b''))                                # no user
        self.assertEqual({}, self.put(PASSWD))                             # no home
        self.assertEqual({}, self.put(PASSWD, root=b'a file'))
        self.assertEqual({}, self.put(PASSWD, **{'root__.ssh': b'a file'}))

    def test_read_only(self) -> None:
        self.metadata = {'container:read_only': 'true'}
        self.assertEqual({}, self.put(PASSWD, root__x=b''))
