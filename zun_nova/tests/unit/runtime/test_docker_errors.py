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

"""Tables of errors: statuses, the engine's words, what goes wrong on the way."""

from __future__ import annotations

import docker.errors
import requests
import testtools
import urllib3.exceptions

from zun_nova import errors
from zun_nova.virt.runtime import docker_errors

SHIM = ('failed to create shim task: OCI runtime create failed: runc create failed: '
        'unable to start container process: ')
TASK = ('failed to create task for container: failed to create shim task: OCI runtime create '
        'failed: runc create failed: unable to start container process: error during container '
        'init: ')


class WordsTest(testtools.TestCase):

    def test_plain(self):
        for message, wanted in (
            (f'{SHIM}exec: "nope": executable file not found in $PATH: unknown',
             "its command 'nope' is not in the image"),
            (f'{TASK}exec: "/nope": stat /nope: no such file or directory: unknown',
             "its command '/nope' is not in the image"),
            (f'{SHIM}exec: "/etc/hosts": permission denied: unknown',
             "its command '/etc/hosts' is no executable file"),
            ('crun: executable file `nope` not found in $PATH: No such file or directory',
             "its command 'nope' is not in the image"),
            (f'{SHIM}exec /x: exec format error: unknown',
             'its command is made for another processor architecture'),
            (f'{SHIM}unable to apply caps: operation not permitted: unknown',
             'the flavor gives it capabilities that the host itself does not have'),
            ('unable to find user u: no matching entries in passwd file',
             "its user 'u' is not in /etc/passwd of the image"),
            ('No command specified', 'neither the image nor its owner names a command'),
            (f'{SHIM}something new: unknown', 'something new'),
            ('some words', 'some words'),
        ):
            self.assertEqual(wanted, docker_errors.plain(message))

    def test_answers(self):
        for status, message, kind in (
            (400, 'x', errors.InvalidRequest), (404, 'x', errors.NotFound),
            (409, 'x', errors.Conflict), (500, 'x', errors.EngineError),
            (500, '--storage-opt is supported only for ...', errors.InvalidRequest),
            (500, 'Cannot mkdir: /bin/sh is not a directory', errors.InvalidRequest),
            (501, 'x', errors.Unsupported), (503, 'x', errors.EngineUnavailable),
            (418, 'x', errors.EngineError),
        ):
            self.assertIs(kind, type(docker_errors.answered('do', status, message)))

    def test_answers_to_a_start(self):
        for status, kind in ((400, errors.StartFailed), (500, errors.StartFailed),
                             (404, errors.NotFound), (409, errors.Conflict)):
            self.assertIs(kind, type(docker_errors.answered(
                'start', status, 'x', docker_errors.START_KINDS)))


class WayTest(testtools.TestCase):
    """What requests, urllib3 and the system raise."""

    def translated(self, failure):
        def fail():
            with docker_errors.translate('do it', 'unix:///x'):
                raise failure
        return self.assertRaises(errors.EngineError, fail)

    def test_no_answer(self):
        refused = ConnectionRefusedError(111, 'Connection refused')
        for failure in (
            refused,
            FileNotFoundError(2, 'No such file or directory'),
            PermissionError(13, 'Permission denied'),
            requests.ConnectionError(urllib3.exceptions.ProtocolError('Aborted', refused)),
            requests.exceptions.ChunkedEncodingError('cut'),
            urllib3.exceptions.ProtocolError('cut'),
            docker.errors.DockerException('something'),
        ):
            self.assertIs(errors.EngineUnavailable, type(self.translated(failure)))
        self.assertEqual('Cannot do it: no engine answers at unix:///x: Connection refused',
                         str(self.translated(requests.ConnectionError(refused))))

    def test_too_late(self):
        for failure in (
            requests.ReadTimeout('x'), requests.ConnectTimeout('x'), TimeoutError('x'),
            requests.ConnectionError(urllib3.exceptions.ReadTimeoutError(None, '/', 'x')),
            requests.ConnectionError(
                urllib3.exceptions.ProtocolError('Aborted', TimeoutError('timed out'))),
        ):
            self.assertIs(errors.EngineTimeout, type(self.translated(failure)))

    def test_ours_and_mistakes_pass(self):
        for failure in (errors.NotFound('a', 'b'), KeyError('x'), TypeError('x')):
            def fail(failure=failure):
                with docker_errors.translate('do it', 'unix:///x'):
                    raise failure
            self.assertIs(failure, self.assertRaises(type(failure), fail))
