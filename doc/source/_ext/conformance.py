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

"""Tables of the conformance page.

The directive ``suite-results`` shows what tools/record_results.py wrote of a run,
``support-matrix`` this driver's column of Nova's support matrix.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import csv
import json
import pathlib
from typing import Any

from docutils import nodes
from docutils import statemachine
from docutils.parsers import rst

SOURCE = pathlib.Path(__file__).parents[1]
RESULTS = SOURCE / 'results'
MATRIX = SOURCE / 'support-matrix.csv'
NOTES = RESULTS / 'notes.csv'

_COUNTS = ('passed', 'failed', 'skipped')


def read_csv(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def results(run: Mapping[str, Any], notes: Mapping[str, str]) -> Iterator[str]:
    """A recorded run as reStructuredText.

    :param run: as tools/record_results.py writes it.
    :param notes: what is known of a test that failed, by its name.
    """
    total = collections.Counter[str]()
    for counts in run['groups'].values():
        total.update(counts)
    summary = ', '.join(f'{total[name]} {name}' for name in _COUNTS)
    yield from (f'{summary}; {run["seconds"] // 60} min {run["seconds"] % 60} s, '
                f'{run["recorded"]}, {run["run_on"]}.', '')
    if run['not_run']:
        yield from (f'Not run this time: {run["not_run"]} more of the suite.', '')
    yield from _table(('Tests', *(name.capitalize() for name in _COUNTS)), (55, 15, 15, 15), [
        (f'``{group}``', *(str(counts[name]) for name in _COUNTS))
        for group, counts in sorted(run['groups'].items())])
    if run['failed']:
        yield from ('What failed:', '')
        yield from _table(('Test', 'Why'), (55, 45), [
            (f'``{test}``', notes.get(test) or 'not looked into yet')
            for test in sorted(run['failed'])])
    if run['skipped']:
        yield from ('What was skipped:', '')
        yield from _table(('Reason', 'Tests'), (85, 15), [
            (f'``{reason}``', str(len(tests)))
            for reason, tests in sorted(run['skipped'].items())])


def matrix(rows: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """The support matrix as reStructuredText."""
    rows = list(rows)
    counts = collections.Counter(row['Support'] for row in rows)
    yield from (f'Of {len(rows)} entries {counts["complete"]} are complete, '
                f'{counts["partial"]} partial and {counts["missing"]} missing.', '')
    yield from _table(('Entry', 'Nova asks', 'Support', 'Notes'), (40, 15, 10, 35), [
        (f'``{row["Entry"]}`` {row["Title"]}', row['Nova asks'], row['Support'], row['Notes'])
        for row in rows])


def _table(
    head: tuple[str, ...], widths: tuple[int, ...], rows: Iterable[tuple[str, ...]]
) -> Iterator[str]:
    yield from ('.. list-table::', '   :header-rows: 1',
                f'   :widths: {" ".join(map(str, widths))}', '')
    for row in (head, *rows):
        for number, cell in enumerate(row):
            yield f'   {"* -" if not number else "  -"} {cell}'
    yield ''


class _Made(rst.Directive):
    """Made of lines of reStructuredText."""

    def parsed(self, source: pathlib.Path, made: Iterable[str]) -> list[nodes.Node]:
        self.state.document.settings.env.note_dependency(str(source))
        content = statemachine.StringList()
        for number, line in enumerate(made):
            content.append(line, str(source), number)
        node = nodes.container()
        self.state.nested_parse(content, 0, node)
        return list(node.children)


class SuiteResults(_Made):
    """The directive ``suite-results``; its argument is the suite's name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = RESULTS / f'{self.arguments[0]}.json'
        if not path.exists():
            return self.parsed(path, ['No run is on record yet.'])
        notes = {row['Test']: row['Why'] for row in read_csv(NOTES)}
        return self.parsed(path, results(json.loads(path.read_text()), notes))


class SupportMatrix(_Made):
    """The directive ``support-matrix``."""

    def run(self) -> list[nodes.Node]:
        return self.parsed(MATRIX, matrix(read_csv(MATRIX)))


def setup(app: Any) -> dict[str, Any]:
    app.add_directive('suite-results', SuiteResults)
    app.add_directive('support-matrix', SupportMatrix)
    return {'parallel_read_safe': True}
