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

"""A real Docker engine that maps users: root in its containers is nobody on the host."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from zun_nova.tests.functional import engine

#: Root in containers is this user and group of the host.
ROOT = 300_000
_USER = 'dockremap'
_FILES = ('passwd', 'group', 'subuid', 'subgid')

# "default" is a user of this name, whom Docker makes where there is none. It sees copies of these
# files with one, so the machine keeps its own.
_SCRIPT = f"""
for file in {' '.join(_FILES)}; do mount --bind "$1/$file" /etc/$file || exit 1; done
shift && exec "$@"
"""


class RemappingEngine(engine.DockerEngine):
    """As its base, with ``userns-remap``."""

    def why_not(self) -> str | None:
        missing = [name for name in _FILES if not pathlib.Path('/etc', name).exists()]
        return super().why_not() or (f'there is no /etc/{missing[0]}' if missing else None)

    def given_url(self) -> str:
        return ''   # the one at ZUN_TEST_DOCKER_URL need not map

    def config(self) -> dict[str, Any]:
        return super().config() | {'userns-remap': 'default'}

    def command(self) -> list[str]:
        command = super().command()
        place = command.index(engine.DOCKERD)
        return [*command[:place], 'sh', '-c', _SCRIPT, 'sh', str(self._files()), *command[place:]]

    def _files(self) -> pathlib.Path:
        # Whom it maps to must be able to come in.
        os.chmod(self._root, 0o711)
        directory = self._root / 'etc'
        directory.mkdir(exist_ok=True)
        of_users = f'{_USER}:{ROOT}:65536\n'
        for name, line in (('passwd', f'{_USER}:x:999:999::/:/bin/false\n'),
                           ('group', f'{_USER}:x:999:\n'), ('subuid', of_users),
                           ('subgid', of_users)):
            before = pathlib.Path('/etc', name).read_text().splitlines(keepends=True)
            (directory / name).write_text(''.join(
                each for each in before if not each.startswith(f'{_USER}:')) + line)
        return directory
