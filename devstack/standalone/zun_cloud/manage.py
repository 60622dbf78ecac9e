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

"""Run several ``*-manage`` commands for the price of one import.

    python -m zun_cloud.manage MODULE '[[["prog", "arg"], ...], ...]'

MODULE is the one that holds ``main``; the second argument is a list of groups of command
lines. Each command runs in a child forked after the import; those of a group run at once,
groups one after the other. Most of what such a command costs is importing its service.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
import typing


def main() -> int:
    module = importlib.import_module(sys.argv[1])
    groups: list[list[list[str]]] = json.loads(sys.argv[2])
    for group in groups:
        children = {_fork(module.main, argv): argv for argv in group}
        for pid, argv in children.items():
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            if code:
                print(f"exit code {code}: {' '.join(argv)}", file=sys.stderr)
                return 1
    return 0


def _fork(function: typing.Callable[[], typing.Any], argv: list[str]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        sys.argv = argv
        code = int(function() or 0)
    except SystemExit as exc:
        code = _exit_code(exc)
    except BaseException:  # noqa: BLE001  (the child must never return into the parent's code)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _exit_code(exc: SystemExit) -> int:
    if exc.code is None:
        return 0
    if isinstance(exc.code, int):
        return exc.code
    print(exc.code, file=sys.stderr)
    return 1


if __name__ == '__main__':
    sys.exit(main())
