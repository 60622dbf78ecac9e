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

"""supervisord with one fault of its event loop put right.

A closed client's descriptor stays registered with poll() until poll() calls it invalid. When
its number goes to a new program's stdin before that, and the program closes its stdin, poll()
reports POLLERR for it at once and for ever, which supervisor 4.3 looks at neither as readable
nor as writable: it then takes most of a CPU. Many clients and starts at the same time, which
is what ``cloud up`` does, make that likely.
https://github.com/Supervisor/supervisor/issues/807
"""

from __future__ import annotations

import select

import supervisor.poller
import supervisor.supervisord


class Poller(supervisor.poller.PollPoller):  # type: ignore[misc]
    """Forgets a descriptor whose only news is an error; the loop registers live ones anew."""

    def _ignore_invalid(self, fd: int, eventmask: int) -> bool:
        if eventmask & select.POLLERR and not eventmask & (self.READ | self.WRITE):
            eventmask |= select.POLLNVAL
        return bool(super()._ignore_invalid(fd, eventmask))


if __name__ == '__main__':
    supervisor.poller.Poller = Poller
    supervisor.supervisord.main()
