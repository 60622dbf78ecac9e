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

from oslotest import base

from zun_nova.virt import process


class FromConfigTest(base.BaseTestCase):

    def test_nothing_said(self) -> None:
        self.assertEqual(process.Process(), process.from_config({}))

    def test_each_key(self) -> None:
        for config, wanted in (
            ({'command': ['/bin/sh', '-c', 'a b']}, {'command': ('/bin/sh', '-c', 'a b')}),
            ({'command': "/bin/sh -c 'a b'"}, {'command': ('/bin/sh', '-c', 'a b')}),
            ({'args': ['x']}, {'args': ('x',)}),
            ({'env': {'A': 'b', 'PORT': 80}}, {'env': {'A': 'b', 'PORT': '80'}}),
            ({'user': 1000}, {'user': '1000'}),
            ({'user': 'www-data:33'}, {'user': 'www-data:33'}),
            ({'working_dir': '/srv'}, {'working_dir': '/srv'}),
            ({'timezone': 'Europe/Vienna'}, {'timezone': 'Europe/Vienna'}),
            ({'tty': True, 'stdin': True}, {'tty': True, 'stdin': True}),
            ({'stop_signal': 'INT'}, {'stop_signal': 'SIGINT'}),
            ({'stop_signal': 'SIGINT'}, {'stop_signal': 'SIGINT'}),
            ({'stop_signal': 15}, {'stop_signal': '15'}),
            ({'stop_timeout': 30}, {'stop_timeout': 30}),
            ({'read_only': True}, {'read_only': True}),
            ({'sysctls': {'net.core.somaxconn': 7}}, {'sysctls': {'net.core.somaxconn': '7'}}),
            ({'ulimits': {'nofile': '5:6', 'core': 0, 'cpu': '-1'}},
             {'ulimits': (process.Ulimit('nofile', 5, 6), process.Ulimit('core', 0, 0),
                          process.Ulimit('cpu', -1, -1))}),
            ({'healthcheck': {'command': 'nc -z x', 'interval': 5, 'timeout': 4,
                              'start_period': 3, 'retries': 2}},
             {'healthcheck': process.Healthcheck(('nc', '-z', 'x'), 5, 4, 3, 2)}),
            ({'healthcheck': {'disabled': True}},
             {'healthcheck': process.Healthcheck(disabled=True)}),
            ({'tmpfs': [{'path': '/a'},
                        {'path': '/b', 'size_mb': 2, 'mode': '0755', 'exec': True}]},
             {'tmpfs': (process.Tmpfs('/a', None, 0o1777, False),
                        process.Tmpfs('/b', 2 * 1024 ** 2, 0o755, True))}),
            ({'files': [{'path': '/a', 'content': 'ü'},
                        {'path': '/b', 'content': 'aGkK\naGkK', 'encoding': 'base64',
                         'mode': '0600', 'owner': '5:6'},
                        {'path': '/c', 'content': '', 'owner': 7}]},
             {'files': (process.File('/a', 'ü'.encode(), 0o644, 0, 0),
                        process.File('/b', b'hi\nhi\n', 0o600, 5, 6),
                        process.File('/c', b'', 0o644, 7, 0))}),
        ):
            with self.subTest(config):
                self.assertEqual(process.Process(**wanted), process.from_config(config))

    def test_what_may_be_secret_is_not_shown(self) -> None:
        made = process.from_config({
            'env': {'A': 'secret'}, 'files': [{'path': '/a', 'content': 'secret'}]})
        self.assertNotIn('secret', repr(made))
