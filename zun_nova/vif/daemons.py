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

"""Have the privileged daemons run before the first port needs them.

Each takes a Python interpreter of its own and so a second or more, which the
first server of a compute service would wait for.
"""

from __future__ import annotations

import threading

from oslo_log import log as logging
from oslo_privsep import priv_context
from vif_plug_ovs import privsep as ovs_privsep

from zun_nova.vif import privileged

LOG = logging.getLogger(__name__)

#: In the order in which plugging a port uses them.
CONTEXTS: tuple[priv_context.PrivContext, ...] = (privileged.context, ovs_privsep.vif_plug)


def start() -> threading.Thread:
    """Start those that do not run, in a thread that nobody has to wait for.

    A port that is plugged meanwhile waits for its daemon by privsep's own
    lock. One that does not start is logged; the first port tries again and
    fails with the reason. May be called again.

    :returns: the thread, which ends when all were tried.
    """
    thread = threading.Thread(target=_start_all, name='zun-nova-daemons', daemon=True)
    thread.start()
    return thread


def _start_all() -> None:
    for context in CONTEXTS:
        # Outside of client mode the calls are made in this process.
        if context.client_mode and context.channel is None:
            _start(context)


def _start(context: priv_context.PrivContext) -> None:
    try:
        context.start()
    except Exception:
        # Nobody waits for this thread, and without the daemon the service still serves what
        # needs no port.
        LOG.exception('The privileged daemon of section [%s] did not start, so no port can be '
                      'wired; check its helper_command', context.cfg_section)
