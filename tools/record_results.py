#!/usr/bin/env python3
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

"""Record the last run of a suite for the documentation, which prints it.

After ``tox -e nova-functional`` or ``tox -e tempest``, say::

    stestr last --subunit | tools/record_results.py nova-functional --on 'Docker 20.10.24'

writes doc/source/results/nova-functional.json. Why a test fails is for a person to say, in
notes.csv beside it.
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import json
import pathlib
import re
import sys
import typing

import subunit
import testtools

RESULTS = pathlib.Path(__file__).parents[1] / 'doc/source/results'

# Where a class of tests is skipped or fails as a whole.
_SET_UP = re.compile(r'setUpClass \((.*)\)')
_OUTCOMES = {'success': 'passed', 'xfail': 'passed', 'skip': 'skipped'}


class Collector(testtools.StreamResult):
    """Each test's final status, the reason of a skip, and when all began and ended."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.times: list[datetime.datetime] = []

    def status(
        self, test_id: str | None = None, test_status: str | None = None,
        file_name: str | None = None, file_bytes: bytes | None = None,
        timestamp: datetime.datetime | None = None, **more: typing.Any,
    ) -> None:
        """Called by the stream for every packet in it."""
        if timestamp is not None:
            self.times.append(timestamp)
        if test_id is None:
            return
        if file_name == 'reason':
            text = self.reasons.get(test_id, '') + bytes(file_bytes or b'').decode()
            self.reasons[test_id] = text
        if test_status not in (None, 'exists'):
            self.outcomes[test_id] = _OUTCOMES.get(str(test_status), 'failed')

    @property
    def seconds(self) -> int:
        return round((max(self.times) - min(self.times)).total_seconds()) if self.times else 0


def record(
    outcomes: Mapping[str, str], reasons: Mapping[str, str], listed: Sequence[str] = ()
) -> dict[str, typing.Any]:
    """Counts by class, the tests that failed, and those that were skipped by reason.

    :param outcomes: 'passed', 'failed' or 'skipped' by test.
    :param listed: all tests there are: those of a class that was skipped or failed as a whole
        count one by one, the others were not run.
    """
    every, why = _one_by_one(outcomes, reasons, listed)
    groups: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    skipped = collections.defaultdict(list)
    for test, outcome in sorted(every.items()):
        groups[_group(test)][outcome] += 1
        if outcome == 'skipped':
            skipped[' '.join(why.get(test, '').split()) or 'no reason given'].append(test)
    return {
        'groups': {group: {name: counts[name] for name in ('passed', 'failed', 'skipped')}
                   for group, counts in groups.items()},
        'failed': [test for test, outcome in sorted(every.items()) if outcome == 'failed'],
        'skipped': dict(skipped),
        'not_run': len(set(map(_named, listed)) - every.keys()),
    }


def _one_by_one(
    outcomes: Mapping[str, str], reasons: Mapping[str, str], listed: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    every, why = {}, {}
    whole = {}
    for test, outcome in outcomes.items():
        found = _SET_UP.fullmatch(test)
        if found:
            whole[found[1]] = (outcome, reasons.get(test, ''))
        else:
            every[_named(test)] = outcome
            why[_named(test)] = reasons.get(test, '')
    for test in map(_named, listed):
        outcome, reason = whole.get(test.rpartition('.')[0], (None, ''))
        if outcome and test not in every:
            every[test], why[test] = outcome, reason
    return every, why


def _named(test: str) -> str:
    """Without tempest's ids and attributes."""
    return test.strip().partition('[')[0]


def _group(test: str) -> str:
    """The class of a test of ours, which has Nova's name; the module of one of tempest's."""
    module, case, _ = test.rsplit('.', 2)
    if module.startswith('tempest.'):
        return module.removeprefix('tempest.api.')
    return case


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('suite')
    parser.add_argument('--on', required=True, metavar='TEXT', help='what it ran on')
    parser.add_argument('--listed', type=pathlib.Path, metavar='FILE',
                        help='output of `stestr list`, for what is skipped as a whole or not run')
    options = parser.parse_args()
    collector = Collector()
    collector.startTestRun()
    subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name='stdout').run(collector)
    collector.stopTestRun()
    listed = options.listed.read_text().splitlines() if options.listed else ()
    run = {
        'suite': options.suite,
        'recorded': str(max(collector.times).date()),
        'run_on': options.on,
        'seconds': collector.seconds,
        **record(collector.outcomes, collector.reasons, listed),
    }
    path = RESULTS / f'{options.suite}.json'
    path.write_text(json.dumps(run, indent=1, sort_keys=True) + '\n')
    print(f'{path}: {sum(sum(counts.values()) for counts in run["groups"].values())} tests')
    return 0


if __name__ == '__main__':
    sys.exit(main())
