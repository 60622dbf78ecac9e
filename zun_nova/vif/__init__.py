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

"""Nova's ports in containers: host end by os-vif, container end by netlink.

A server's network namespace is there before its process. Each port becomes a
veth pair whose inner end is made in that namespace at once, so that a
tenant's addresses and routes are never on the host::

    host                                  server's namespace
    br-int ── tapXXXXXXXX-XX ═══ veth ═══ eth0 (MAC, MTU, addresses, routes)

Where iptables filter a port (ML2/OVS, firewall iptables_hybrid), os-vif puts a
Linux bridge in between::

    br-int ── qvoXXXXXXXX-XX ═══ qvbXXXXXXXX-XX ── qbrXXXXXXXX-XX ── tapXXXXXXXX-XX

The driver uses ``plug`` (plug_all, announce_all, unplug_all) and ``events``
(wait_plugged). ``privileged`` is all that runs as root. Import nothing of
Nova here: the privileged daemon loads this package too.
"""
