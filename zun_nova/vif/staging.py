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

"""A network namespace of the privileged daemon's own, where new links wait.

While the engine still makes a server's namespace, the inner end of its veth
pair is kept here: never on the host, where something would configure it and
so speak in the server's network. It lives as long as the daemon; the kernel
deletes the links in it then.
"""

from __future__ import annotations

import functools
import os
import threading

from zun_nova.vif import namespace

_lock = threading.Lock()


def path() -> str:
    """Its path for setns(2), in this process only; always the same.

    :raises OSError: the kernel refuses to make it.
    """
    with _lock:
        return f'/proc/self/fd/{_descriptor()}'


@functools.cache
def _descriptor() -> int:
    def make() -> int:
        # The thread's own namespace is new; the descriptor outlives the thread.
        namespace.leave()
        return os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC)

    return namespace.in_thread(make)
