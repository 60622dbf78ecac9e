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

"""``python -m zun_bench NAME [OPTION...]``."""

from __future__ import annotations

import sys

from zun_bench import image
from zun_bench import periodic
from zun_bench import spawn

_COMMANDS = {'spawn': spawn.main, 'periodic': periodic.main, 'image': image.main}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ''
    if name not in _COMMANDS:
        sys.exit(f'usage: bench/NAME [OPTION...]; NAME is one of {", ".join(_COMMANDS)}')
    _COMMANDS[name](sys.argv[2:])


main()
