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

"""What an operator's flavor says about the containers made with it.

Everything that grants power is said here, in ``container:*`` extra specs,
and nowhere else: only administrators can write them.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from zun_nova import errors

PREFIX = 'container:'
RUNTIME = 'container:runtime'
PIDS_LIMIT = 'container:pids_limit'
KNOWN = (PIDS_LIMIT, RUNTIME)


@dataclasses.dataclass(frozen=True)
class FlavorConfig:
    """The operator's wishes; None leaves the default of nova.conf."""

    runtime: str | None = None
    pids_limit: int | None = None


def from_extra_specs(extra_specs: Mapping[str, str]) -> FlavorConfig:
    """Read a flavor's extra specs; those without ``container:`` are Nova's.

    :raises errors.InvalidSpec: a key is unknown or a value does not fit.
    """
    ours = {key: text for key, text in extra_specs.items() if key.startswith(PREFIX)}
    for key in sorted(ours):
        if key not in KNOWN:
            raise errors.InvalidSpec(
                f'flavor extra spec {key}', f'there is no such key; known are {", ".join(KNOWN)}')
    return FlavorConfig(
        runtime=ours.get(RUNTIME),
        pids_limit=_positive(PIDS_LIMIT, ours[PIDS_LIMIT]) if PIDS_LIMIT in ours else None,
    )


def _positive(key: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise errors.InvalidSpec(f'flavor extra spec {key}', 'must be a whole number above 0')
    return int(text)
