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

"""What owners of servers say with #container-config, and what comes of it."""

from __future__ import annotations

import base64
from email.mime import multipart
from email.mime import text as mime_text
import pathlib
import sys
from typing import Any

from zun_nova.tests.functional.cloud import base

EXAMPLES = pathlib.Path(__file__).parents[4] / 'doc/source/user/examples'

#: Said in documents.
SECRET = 'hunter2  in-no-log'

#: Every key of the schema. The process says what it finds and lives until its
#: stop signal, after which it needs a while to end.
EVERY_KEY = """#container-config
command: [/etc/app/report, first one]
args: [second one]
env: {GREETING: 'hunter2  in-no-log', PORT: 8080}
user: nobody:nogroup
working_dir: /made/here
timezone: Asia/Kathmandu
stdin: true
stop_signal: USR1
stop_timeout: 500
read_only: true
tmpfs:
  - {path: /scratch, size_mb: 1, mode: '0777'}
  - {path: /programs, exec: true}
files:
  - {path: /etc/app/bytes, content: YWI9Yw==, encoding: base64, mode: '0400', owner: '65534:1'}
  - path: /etc/app/report
    mode: '0755'
    content: |
      #!/bin/sh
      trap 'sleep 3; echo "stopped: by USR1"; exit 0' USR1
      echo "arguments: $1|$2"
      echo "environment: $GREETING|$PORT|$FROM_IMAGE"
      echo "ids: $(id -u) $(id -g)"
      echo "directory: $(pwd)"
      echo "time: $(date +%z)"
      echo "file: $(stat -c '%a %u %g' /etc/app/bytes) $(cat /etc/app/bytes)"
      echo "root: $(touch /tmp/x 2>&1)"
      echo "tmpfs: $(grep ' /scratch ' /proc/mounts)"
      cp /bin/busybox /programs/true && /programs/true && echo "programs: run"
      echo "open files: $(ulimit -Sn) $(ulimit -Hn)"
      echo "core: $(ulimit -c)"
      echo "somaxconn: $(cat /proc/sys/net/core/somaxconn)"
      echo "shmmni: $(cat /proc/sys/kernel/shmmni)"
      echo "stdin: $(readlink /proc/self/fd/0)"
      while ! [ -e /scratch/healthy ]; do sleep 0.1; done
      echo "health: checked"
      while :; do sleep 0.2; done
healthcheck: {command: [touch, /scratch/healthy], interval: 1, timeout: 100, retries: 9}
sysctls: {net.core.somaxconn: 77, kernel.shmmni: 99}
ulimits: {nofile: '64:128', core: 0}
"""

#: In a terminal, whose kind the first line says.
WHERE_FROM = """#container-config
command: [/bin/sh, -c]
args:
- |
  echo "terminal: $(readlink /proc/self/fd/0) $(test -t 0 && echo yes)"
  echo "environment: $IMAGE $PROPERTY $METADATA $DOCUMENT"
  echo "directory: $(pwd)"
  echo "ids: $(id -u) $(id -g)"
  echo "end: yes"
  sleep 1000
tty: true
env: {DOCUMENT: document}
"""

BOMB = """#container-config
env:
  A: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]
  B: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
  C: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]
"""

#: What is checked before anything is made: document, and what its author is told.
WRONG = {
    f'env: {{A: {SECRET}': ('user_data line 2 column ', "expected ',' or '}'"),
    'comand: httpd': ('user_data line 2 column 1 (comand)', 'no such key; did you mean command?'),
    'env:\n  DEBUG: true': ('line 3 column 3 (env.DEBUG)', 'put true, false, null in quotes'),
    'user: a\nuser: b': ('user_data line 3 column 1', "has the key 'user' twice"),
    'command: !!python/object/apply:os.system [id]': (
        'line 2 column 10', 'tags (!) are not allowed'),
    'files: [{path: /srv/../../etc/shadow, content: x}]': (
        '(files[0].path)', "must be absolute, without '..'"),
    BOMB: ('user_data line 3 column 6', 'anchors (&) are not allowed'),
}

#: What only the engine or the kernel knows.
IMPOSSIBLE = {
    'command: [/no/such, x]': "its command '/no/such' is not in the image",
    'user: nobody1': "its user 'nobody1' is not in /etc/passwd of the image",
    'sysctls: {net.core.somaxconn: -5}': 'the kernel refuses the value of its sysctl',
}


def encoded(document: str) -> str:
    """A document as Nova takes user data."""
    if not document.startswith('#'):
        document = f'#container-config\n{document}'
    return base64.b64encode(document.encode()).decode()


class DocumentTest(base.CloudTest):

    def report(self, server: Any, last: str) -> dict[str, str]:
        """What the process says, by its keys, when it has said the last of them."""
        lines = self.console_with(server, f'\n{last}: ').splitlines()
        return dict(line.split(': ', 1) for line in lines if ': ' in line)

    def test_every_key(self) -> None:
        image = self.image(config={'Env': ['PATH=/bin', 'FROM_IMAGE=kept', 'PORT=80']},
                           properties={'os_shutdown_timeout': '1'})
        server = self.boot(image, user_data=encoded(EVERY_KEY))
        said = self.report(server, 'health')
        mount = said.pop('tmpfs').split()[3].split(',')
        self.assertLessEqual({'noexec', 'nosuid', 'nodev', 'size=1024k', 'mode=777'}, set(mount))
        self.assertRegex(said.pop('root'), 'Read-only file system')
        self.assertRegex(said.pop('stdin'), '^pipe:')
        self.assertEqual({
            'arguments': 'first one|second one',
            'environment': f'{SECRET}|8080|kept',
            'ids': '65534 65534',
            'directory': '/made/here',
            'time': '+0545',
            'file': '400 65534 1 ab=c',
            'programs': 'run',
            'open files': '64 128',
            'core': '0',
            'somaxconn': '77',
            'shmmni': '99',
            'health': 'checked',
        }, said)
        # The image's one second would be too short for what it does then.
        self.demo.compute.stop_server(server.id)
        self.wait_status(server, 'SHUTOFF')
        self.assertIn('stopped: by USR1', self.console(server))

    def test_the_first_document_of_the_guide(self) -> None:
        server = self.boot(flavor='container.small',
                           user_data=encoded((EXAMPLES / 'web.yaml').read_text()))
        get = ('import sys, urllib.request as r;'
               'sys.stdout.write(r.urlopen("http://127.0.0.1/", timeout=30).read().decode())')
        self.eventually(lambda: self.listens(server), 'the web server listens')
        self.assertEqual('Hello from a container.\n',
                         self.in_server(server, sys.executable, '-c', get))

    def listens(self, server: Any) -> bool:
        """Whether something waits for connections to port 80."""
        return ':80 ' in self.in_server(server, 'ss', '--no-header', '--listening', '--tcp',
                                        '--numeric')

    def test_document_goes_before_metadata_and_metadata_before_the_image(self) -> None:
        names = ('PROPERTY', 'METADATA', 'DOCUMENT')
        image = self.image(
            'echo "the image decides"',
            config={'Entrypoint': ['/bin/hello'], 'User': '1:1', 'WorkingDir': '/',
                    'Env': ['PATH=/bin', 'IMAGE=image', *(f'{name}=image' for name in names)]},
            properties={f'container:env:{name}': 'property' for name in names} | {
                'os_command_line': 'property', 'container:user': '2:2',
                'container:working_dir': '/etc', 'container:tty': 'false'})
        message = multipart.MIMEMultipart()   # as Heat makes of user data
        for part in ('#!/bin/sh\nexit', WHERE_FROM):
            message.attach(mime_text.MIMEText(part))
        server = self.boot(
            image, user_data=base64.b64encode(message.as_bytes()).decode(), metadata={
                'container:env:METADATA': 'metadata', 'container:env:DOCUMENT': 'metadata',
                'container:user': '3:3', 'container:args': 'metadata'})
        said = self.report(server, 'end')
        self.assertRegex(said.pop('terminal'), '^/dev/(pts/[0-9]+|console) yes$')
        self.assertEqual({'environment': 'image property metadata document', 'directory': '/etc',
                          'ids': '3 3', 'end': 'yes'}, said)


class RefusalTest(base.CloudTest):
    """What is wrong is said in words its author understands; nothing is left."""

    def setUp(self) -> None:
        super().setUp()
        before = self.traces()
        self.addCleanup(lambda: self.assertEqual(set(), self.traces() - before))

    def faults(self, *requests: dict[str, Any]) -> list[str]:
        """What the owners of servers are told that must break, all at once."""
        return [self.fault(server) for server in [self.request(**each) for each in requests]]

    def test_what_is_wrong_is_told_with_line_and_rule(self) -> None:
        told = self.faults(*({'user_data': encoded(document), 'networks': 'none'}
                             for document in WRONG))
        for (document, wanted), fault in zip(WRONG.items(), told, strict=True):
            for words in wanted:
                self.assertIn(words, fault, document)
        for log in (self.settings.state / 'log').glob('*.log'):
            self.assertNotIn(SECRET.encode(), log.read_bytes(), log.name)

    def test_what_is_wrong_elsewhere(self) -> None:
        metadata, image = self.faults(
            {'metadata': {'container:privileged': 'true'}, 'networks': 'none'},
            {'image': self.upload(b'never read', {'container:comand': 'x'}), 'networks': 'none'})
        self.assertIn('metadata container:privileged: only a flavor can give it', metadata)
        self.assertIn('image property container:comand: no such key; did you mean', image)

    def test_what_cannot_be_started(self) -> None:
        flavor = self.admin.compute.create_flavor(
            name=self.id().rsplit('.', 1)[1], vcpus=1, ram=4, disk=1)
        self.addCleanup(self.admin.compute.delete_flavor, flavor.id)
        too_small, *told = self.faults(
            {'flavor': flavor.name},
            *({'user_data': encoded(document)} for document in IMPOSSIBLE))
        for (document, words), fault in zip(IMPOSSIBLE.items(), told, strict=True):
            self.assertIn(words, fault, document)
        self.assertIn(
            'the flavor has less memory than a container needs (6MB); choose one with more',
            too_small)

    def test_more_than_nova_takes(self) -> None:
        for document in (f'command: {"x" * 65536}', '[' * 65536):
            self.assertIn('user_data', self.refused(self.request, user_data=encoded(document)))
