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

"""What can go wrong, in words for the person at the terminal."""

from __future__ import annotations

import pathlib


class CloudError(Exception):
    """The command cannot go on; its text is the whole message to print.

    :param message: one or more lines, no traceback needed to understand them.
    :param log: the file that says more; its last lines are printed with it.
    """

    def __init__(self, message: str, log: pathlib.Path | None = None) -> None:
        super().__init__(message)
        self.log = log

    def report(self) -> str:
        """What to print: the message and the end of the log."""
        text = f'cloud: {self}'
        if self.log:
            text += f'\n\n--- last lines of {self.log}\n{tail(self.log)}'
        return text


def tail(path: pathlib.Path, lines: int = 25, limit: int = 64 * 1024) -> str:
    """The last lines of a file, reading no more than ``limit`` bytes of it."""
    try:
        with path.open('rb') as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - limit))
            text = stream.read().decode(errors='replace')
    except OSError as exc:
        return f'({path}: {exc.strerror})'
    return '\n'.join(text.splitlines()[-lines:])
