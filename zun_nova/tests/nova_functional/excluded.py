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

"""Tests that are left out, each with its reason.

The one table of it is doc/source/nova-functional.csv, which the documentation prints. In it is
what cannot pass on a container, or not yet; never what fails though it should pass.
"""

from __future__ import annotations

import csv
import pathlib

TABLE = pathlib.Path(__file__).parents[3] / 'doc' / 'source' / 'nova-functional.csv'


def rows() -> list[dict[str, str]]:
    """All of it; columns Module, Class, Test (or all), Status and Why."""
    with TABLE.open(newline='') as file:
        return list(csv.DictReader(file))


def tests(name: str) -> list[str]:
    """The tests that are left out of the class of this name."""
    return [row['Test'] for row in rows() if row['Class'] == name]
