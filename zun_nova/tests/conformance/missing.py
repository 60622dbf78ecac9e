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
"""What Nova's driver suite asks for and this driver does not do yet, or never will.

The one table of it, in doc/source/missing.csv: tests hold it to the truth in
both directions, and the documentation prints it.
"""

from __future__ import annotations

import csv
import pathlib

TABLE = pathlib.Path(__file__).parents[3] / 'doc' / 'source' / 'missing.csv'


def tests() -> frozenset[str]:
    """The names of the tests whose method raises NotImplementedError."""
    with TABLE.open(newline='') as file:
        return frozenset(row['Test'] for row in csv.DictReader(file))
