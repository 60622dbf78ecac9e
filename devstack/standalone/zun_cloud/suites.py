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

"""The test suites, one after the other, and what they skipped.

Every suite is an environment of the project's tox.ini. Those that run tests leave their results
in stestr's repository, from where they are read here: nobody's output is parsed.
"""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import textwrap
import time
import typing

import subunit  # type: ignore[import-untyped]
import testtools

from zun_cloud import errors
from zun_cloud import settings as cloud_settings


@dataclasses.dataclass(frozen=True)
class Suite:
    """One tox environment.

    :param stestr: it runs tests by stestr; otherwise its exit code is the one result.
    :param computes: it needs the cloud to be up, with so many compute hosts; 0: no cloud.
    :param network: on this back end of Neutron; None: on the cloud's own.
    :param only: what of it is run here, as a regular expression; all of it takes too long.
    :param engine: of each compute host in turn.
    :param extras: services it needs besides, as ``cloud up --with``.
    """

    name: str
    stestr: bool = True
    computes: int = 0
    network: str | None = None
    firewall: str = cloud_settings.FIREWALLS[0]
    only: str = ''
    engine: str = cloud_settings.ENGINES[0]
    extras: tuple[str, ...] = ()


# One or some of each kind of Nova's tests: what a change of the driver is likely to break.
NOVA_SLICE = '|'.join((
    r'ExcludedTest',
    r'ServersTest\.test_(create_and_(delete|rebuild)_server|create_multiple_servers)',
    r'ServersTest\.test_(create_server_with_error_with_retries|deferred_delete_restore)$',
    r'ServerMovingTests\.test_evacuate_forced_host_v268$',
))

# In the order in which they run: cheap ones first.
SUITES = (
    Suite('pep8', stestr=False),
    Suite('docs', stestr=False),
    Suite('py3'),
    Suite('conformance'),
    Suite('nova-functional', only=NOVA_SLICE),
    Suite('functional', computes=1),
    # Services die and come back: what disturbs all others.
    Suite('faults', computes=1),
    # A second compute host comes up beside the first, while servers run.
    Suite('hosts', computes=2),
    # The first cloud is down by now, another comes up.
    Suite('ovs', computes=1, network='ovs'),
    # The same cloud, whose agents filter with iptables from here on.
    Suite('hybrid', computes=1, network='ovs', firewall='iptables_hybrid'),
)

# Only when they are named: they take longer than a gate may, or have not run in it yet.
ON_REQUEST = (
    Suite('podman'),
    Suite('remapped'),
    Suite('kills', computes=1),
    Suite('volumes', computes=1, extras=('cinder',)),
    Suite('moves', computes=2),
    Suite('engines', computes=2, engine='docker,podman'),
    Suite('tempest', computes=2),
)

# How much of a traceback the summary repeats.
_LINES = 12
_LINE = 400


@dataclasses.dataclass
class Result:
    """What came of a suite, or of several added up."""

    passed: int = 0
    #: Why, by test.
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    def add(self, other: Result) -> None:
        self.passed += other.passed
        self.failed.update(other.failed)
        self.skipped.update(other.skipped)

    def summary(self) -> str:
        """The end of the output: of a long one, often all that is kept."""
        lines = [f'Skipped tests: {len(self.skipped)}']
        lines += [f'  {name}: {reason}' for name, reason in sorted(self.skipped.items())]
        for name, why in sorted(self.failed.items()):
            lines += ['', f'FAILED: {name}', textwrap.indent(why, '  ')]
        lines += ['', f'{self.passed} passed, {len(self.failed)} failed, '
                      f'{len(self.skipped)} skipped']
        return '\n'.join(lines)


def choose(names: typing.Sequence[str]) -> list[Suite]:
    """The suites of these names, or all but those on request, in their order.

    :raises CloudError: a name is not a suite's.
    """
    known = {suite.name: suite for suite in (*SUITES, *ON_REQUEST)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise errors.CloudError(f"no suite {unknown[0]!r}; known: {', '.join(known)}")
    return [suite for suite in known.values() if suite.name in names] or list(SUITES)


def run(
    settings: cloud_settings.Settings, suite: Suite, environment: typing.Mapping[str, str]
) -> Result:
    """Run one suite with its output on the terminal."""
    print(f'\n=== {suite.name}', flush=True)
    began = time.time()
    command = [str(settings.tools / 'bin/tox'), '-q', 'run', '-e', suite.name,
               *(['--', suite.only] if suite.only else [])]
    done = subprocess.run(
        command, cwd=cloud_settings.CHECKOUT, check=False,
        env={**_outside(), 'PATH': f"{settings.tools}/bin:{os.environ['PATH']}", **environment},
    )
    result = _last_run(settings, began) if suite.stestr else Result()
    if not suite.stestr:
        result.passed = int(done.returncode == 0)
    if done.returncode and not result.failed:
        # It broke outside of a test: in building the environment, or in loading the tests.
        result.failed[suite.name] = f'it ended with {done.returncode} outside of a test'
    print(f'=== {suite.name}: {time.time() - began:.0f} s', flush=True)
    return result


def _outside() -> dict[str, str]:
    """This process's environment without what made it part of the cloud's own."""
    return {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'VIRTUAL_ENV')}


def _last_run(settings: cloud_settings.Settings, began: float) -> Result:
    repository = cloud_settings.CHECKOUT / '.stestr'
    stream = repository / 'next-stream'
    if not stream.exists() or stream.stat().st_mtime < began - 1:
        return Result()
    done = subprocess.run(
        [str(settings.tools / 'bin/stestr'), 'last', '--subunit'],
        cwd=cloud_settings.CHECKOUT, capture_output=True, check=False,
    )
    return read(io.BytesIO(done.stdout))


def read(stream: typing.BinaryIO) -> Result:
    """The results in a subunit v2 stream; each test counts once, with its last word."""
    collector = _Collector()
    collector.startTestRun()
    subunit.ByteStreamToStreamResult(stream, non_subunit_name='stdout').run(collector)
    collector.stopTestRun()
    return collector.result()


class _Collector(testtools.StreamResult):  # type: ignore[misc]
    """Keeps each test's final status, the reason of a skip and the end of a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self._status: dict[str, str] = {}
        self._reasons: dict[str, bytes] = {}
        self._tracebacks: dict[str, bytes] = {}

    def status(
        self,
        test_id: str | None = None,
        test_status: str | None = None,
        test_tags: typing.Any = None,
        runnable: bool = True,
        file_name: str | None = None,
        file_bytes: bytes | None = None,
        **more: typing.Any,
    ) -> None:
        """Called by the stream for every packet in it."""
        if test_id is None:
            return
        if file_name == 'reason':
            self._reasons[test_id] = self._reasons.get(test_id, b'') + bytes(file_bytes or b'')
        if file_name and file_name.startswith('traceback'):
            self._tracebacks[test_id] = (
                self._tracebacks.get(test_id, b'') + bytes(file_bytes or b''))
        if test_status not in (None, 'exists'):
            self._status[test_id] = str(test_status)

    def result(self) -> Result:
        """Statuses added up; a test that began and never ended has failed."""
        found = Result()
        for name, status in self._status.items():
            if status in ('success', 'xfail'):
                found.passed += 1
            elif status == 'skip':
                found.skipped[name] = self._reason(name)
            else:
                found.failed[name] = self._end_of_traceback(name) or f'its last state: {status}'
        return found

    def _end_of_traceback(self, name: str) -> str:
        lines = self._tracebacks.get(name, b'').decode(errors='replace').splitlines()
        return '\n'.join(line[:_LINE] for line in lines[-_LINES:])

    def _reason(self, name: str) -> str:
        return ' '.join(self._reasons.get(name, b'').decode().split()) or 'no reason given'
