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

"""Figures, and how they are shown; pure but for printing."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import statistics


def median(values: Sequence[float]) -> float:
    """Of nothing it is 0, so that a phase that did not occur needs no care."""
    return statistics.median(values) if values else 0.0


def spread(values: Sequence[float]) -> str:
    """Median with least and greatest, in milliseconds."""
    return (f'{1000 * median(values):6.0f} ms  ({1000 * min(values):.0f}-'
            f'{1000 * max(values):.0f}, n={len(values)})')


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each phase over all runs, phases in the order in which they first occur."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: median([run.get(name, 0.0) for run in runs]) for name in names}


def aim(what: str, value: float, limit: float, unit: str = '') -> str:
    """One line that says whether an aim is met."""
    verdict = 'met' if value <= limit else 'MISSED'
    return f'{what}: {value:.2f}{unit}, aim at most {limit:g}{unit}: {verdict}'


def show_phases(title: str, runs: Sequence[Mapping[str, float]]) -> None:
    print(f'  {title}')
    for name, seconds in medians(runs).items():
        print(f'    {1000 * seconds:6.0f} ms  {name}')
