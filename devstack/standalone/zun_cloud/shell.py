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

"""Run another program, with a deadline and an error a person can read."""

from __future__ import annotations

import os
import subprocess
import typing

from zun_cloud import errors


def run(
    command: typing.Sequence[str],
    *,
    env: typing.Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = 60,
    check: bool = True,
) -> str:
    """The program's standard output.

    :param env: added to this process's environment.
    :param check: raise when the exit code is not 0; otherwise it is ignored.
    :raises CloudError: it is not installed, failed (with ``check``) or took too long.
    """
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as exc:
        raise errors.CloudError(f'{command[0]} is not installed') from exc
    except subprocess.TimeoutExpired as exc:
        raise errors.CloudError(f"no end after {timeout:.0f} s: {' '.join(command)}") from exc
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise errors.CloudError(f"exit code {done.returncode}: {' '.join(command)}\n{said}")
    return done.stdout


def succeeds(
    command: typing.Sequence[str], *, env: typing.Mapping[str, str] | None = None
) -> bool:
    """Whether the program ends with exit code 0 within ten seconds."""
    try:
        run(command, env=env, timeout=10)
    except errors.CloudError:
        return False
    return True
