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

"""Tables of what Podman answers, and what is made of its words."""

from __future__ import annotations

import testtools

from zun_nova import errors
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import docker_errors
from zun_nova.virt.runtime import events
from zun_nova.virt.runtime import podman_answer
from zun_nova.virt.runtime import podman_client
from zun_nova.virt.runtime import podman_errors
from zun_nova.virt.runtime import podman_events

NEVER = '0001-01-01T00:00:00Z'
ENDED = '2026-11-21T19:30:29.964043712Z'


def inspected(annotations=None, **state):
    values = {'Status': 'running', 'Pid': 7, 'ExitCode': 0, 'OOMKilled': False, 'Error': '',
              'FinishedAt': NEVER}
    return {'Id': 'i', 'Name': 'nova-1', 'Image': 'x', 'State': values | state,
            'Config': {'Labels': None, 'Annotations': annotations, 'StopTimeout': 10}}


class ContainerTest(testtools.TestCase):

    def test_states(self):
        for status, state in (
            ('configured', base.State.CREATED), ('created', base.State.CREATED),
            ('initialized', base.State.CREATED), ('running', base.State.RUNNING),
            ('stopping', base.State.RUNNING), ('paused', base.State.PAUSED),
            ('stopped', base.State.EXITED), ('exited', base.State.EXITED),
            ('removing', base.State.DEAD), ('a new one', base.State.DEAD),
        ):
            self.assertIs(state, podman_answer.container(inspected(Status=status), '').state)
            self.assertIs(state, podman_answer.summary(
                {'Id': 'i', 'Names': ['a'], 'State': status, 'Labels': None,
                 'ImageID': 'x'}).state)

    def test_exit_code_is_that_of_the_last_run(self):
        for status, finished, code, wanted in (
            ('running', NEVER, 0, None),
            ('running', ENDED, 0, None),
            ('created', NEVER, 0, None),     # it never started
            ('exited', ENDED, 43, 43),
        ):
            info = podman_answer.container(
                inspected(Status=status, FinishedAt=finished, ExitCode=code), '')
            self.assertEqual(wanted, info.exit_code)

    def test_the_grace_time_is_its_owners(self):
        self.assertIsNone(podman_answer.container(inspected(), '').stop_timeout)
        self.assertEqual(7, podman_answer.container(
            inspected({podman_answer.STOP_TIMEOUT: '7'}), '').stop_timeout)


class ErrorsTest(testtools.TestCase):

    def test_kinds_by_words(self):
        for kinds, words, wanted in (
            (docker_errors.KINDS, '"x" is not running, can\'t pause: container state improper',
             errors.Conflict),
            (docker_errors.KINDS, 'the name "x" is already in use by y', errors.Conflict),
            (docker_errors.KINDS, 'localhost/x:1: image not known', errors.NotFound),
            (docker_errors.KINDS, 'copier: put: /a (/a): exists but is not a directory',
             errors.InvalidRequest),
            (docker_errors.KINDS, 'statfs /gone: no such file or directory',
             errors.InvalidRequest),
            (docker_errors.KINDS, 'something else', errors.EngineError),
            (docker_errors.START_KINDS,
             'crun: executable file `x` not found in $PATH: No such file or directory',
             errors.StartFailed),
            (docker_errors.START_KINDS,
             'crun: cannot open network namespace /run/netns/x', errors.Conflict),
        ):
            with testtools.ExpectedException(wanted):
                with podman_errors.refined():
                    raise docker_errors.answered('do it', 500, words, kinds)
            self.assertIs(wanted, podman_errors.kind_of(
                docker_errors.answered('do it', 500, words, kinds)), words)


class EventTest(testtools.TestCase):

    def test_exit_code_only_at_the_end(self):
        for action, change, code in (
            ('died', events.Change.STOPPED, 43), ('start', events.Change.STARTED, None),
            ('kill', events.Change.SIGNALLED, None), ('remove', events.Change.REMOVED, None)):
            event = podman_events.event({
                'Action': action, 'timeNano': 1500000000, 'Actor': {'Attributes': {
                    'name': 'nova-1', 'containerExitCode': '43', 'label': 'x'}}})
            self.assertEqual((change, 'nova-1', code, 1.5),
                             (event.change, event.name, event.exit_code, event.time))
            self.assertEqual('x', event.labels['label'])


class VersionTest(testtools.TestCase):

    def test_which_engines_serve(self):
        podman = [{'Name': 'Podman Engine'}]
        for version in ('4.3.1', '5.4.0-dev', '10.0.0'):
            podman_client.check({'Version': version, 'Components': podman})
        for server, kind in (
            ({'Version': '4.2.9', 'Components': podman}, errors.EngineTooOld),
            ({'Version': '20.10.24', 'Components': [{'Name': 'Engine'}]}, errors.Unsupported),
        ):
            self.assertRaises(kind, podman_client.check, server)
