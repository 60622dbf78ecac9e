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

"""Open vSwitch, OVN and the links between hosts.

Where the kernel has no openvswitch module, OVS forwards packets itself (``netdev`` datapath).
That needs one setting to be usable: without userspace TSO the segments a container's kernel
leaves to the device are dropped, and TCP through conntrack falls to 0.3 Mb/s.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import pathlib
import time

from zun_cloud import errors
from zun_cloud import hosts
from zun_cloud import settings as cloud_settings
from zun_cloud import shell


@functools.cache
def datapath_type() -> str:
    """``system`` where the kernel forwards, else ``netdev``."""
    if pathlib.Path('/sys/module/openvswitch').exists():
        return 'system'
    return 'system' if shell.succeeds(['modprobe', 'openvswitch']) else 'netdev'


def make_database_files(host: hosts.Host) -> None:
    """Empty databases of OVS and, on the machine, of OVN if it is used, unless they are there."""
    for directory in (host.directory, host.run / 'ovs', host.run / 'ovn'):
        directory.mkdir(parents=True, exist_ok=True)
    wanted = {'conf.db': '/usr/share/openvswitch/vswitch.ovsschema'}
    if host.is_machine and host.settings.network == 'ovn':
        wanted['ovnnb_db.db'] = '/usr/share/ovn/ovn-nb.ovsschema'
        wanted['ovnsb_db.db'] = '/usr/share/ovn/ovn-sb.ovsschema'
    for name, schema in wanted.items():
        path = host.directory / name
        if not path.exists():
            shell.run(['ovsdb-tool', 'create', str(path), schema])


def forget_ports(host: hosts.Host) -> None:
    """Before a switch is switched on: it starts without a bridge, as its links are gone.

    Ports of servers come back as these do. One that stayed is worse than none: ovn-controller
    23.03 learns only from the making of a network's patch port that the network is a VLAN of
    the provider bridge. Where the port is there already when the network's first server
    arrives, packets to other hosts go into a tunnel and are lost.
    """
    for name in ('conf.db', '.conf.db.~lock~'):
        (host.directory / name).unlink(missing_ok=True)


def configure_switch(host: hosts.Host) -> None:
    """What ovs-vswitchd and ovn-controller read when they start."""
    vsctl(host, '--no-wait', 'init')
    values = {'external_ids:system-id': host.name}
    if datapath_type() == 'netdev':
        values['other_config:userspace-tso-enable'] = 'true'
    if host.settings.network == 'ovn':
        values |= _for_ovn_controller(host)
    quoted = [f'{key}={json.dumps(value)}' for key, value in values.items()]
    vsctl(host, '--no-wait', 'set', 'Open_vSwitch', '.', *quoted)


def _for_ovn_controller(host: hosts.Host) -> dict[str, str]:
    settings = host.settings
    values = {
        # Neutron finds the host of a port by this name.
        'external_ids:hostname': host.name,
        'external_ids:ovn-remote': f"tcp:{host.control_address}:{settings.port('ovn-sb')}",
        'external_ids:ovn-encap-type': 'geneve',
        'external_ids:ovn-encap-ip': host.address,
        'external_ids:ovn-bridge': settings.integration_bridge,
        'external_ids:ovn-bridge-mappings': f'physnet1:{settings.provider_bridge}',
        'external_ids:ovn-monitor-all': 'true',
        'external_ids:ovn-chassis-mac-mappings': f'physnet1:02:00:00:f1:00:{host.number:02x}',
    }
    if datapath_type() == 'netdev':
        values['external_ids:ovn-bridge-datapath-type'] = 'netdev'
    if host.is_machine:
        values['external_ids:ovn-cms-options'] = 'enable-chassis-as-gw'
    return values


def make_provider_bridge(host: hosts.Host) -> None:
    """The bridge that carries project VLANs and the external network between hosts."""
    settings = host.settings
    bridge = settings.provider_bridge
    # Neutron's agent sets the mode its own flows need.
    mode = ['fail_mode=standalone'] if settings.network == 'ovn' else []
    vsctl(
        host, '--may-exist', 'add-br', bridge, '--', 'set', 'bridge', bridge,
        f'datapath_type={datapath_type()}', *mode,
        f'other_config:hwaddr="02:00:00:f0:00:{host.number:02x}"',
    )
    # The database may hold the bridge from before while the switch is still making its link.
    deadline = time.monotonic() + 15
    while not shell.succeeds(host.inside('ip', 'link', 'set', bridge, 'up')):
        if time.monotonic() > deadline:
            log = settings.log_of(f'ovs-vswitchd-{host.number}')
            raise errors.CloudError(f'{host.name}: bridge {bridge} has no link', log)
        time.sleep(0.05)
    if host.is_machine:
        _forget_cables(host)
        _address_external(settings)
    else:
        vsctl(host, '--may-exist', 'add-port', bridge, 'ul0')


def _forget_cables(machine: hosts.Host) -> None:
    """Ports of hosts that an earlier ``up`` had and this one has not."""
    settings = machine.settings
    wanted = {host.link('ul') for host in hosts.all_hosts(settings)}
    for port in vsctl(machine, 'list-ports', settings.provider_bridge).split():
        if port.startswith(f'{settings.prefix}ul') and port not in wanted:
            vsctl(machine, '--if-exists', 'del-port', settings.provider_bridge, port)


def _address_external(settings: cloud_settings.Settings) -> None:
    """Floating IPs are reached from the machine through the bridge's own port."""
    network = ipaddress.ip_network(settings.external_network)
    address = f'{settings.external_address}/{network.prefixlen}'
    shell.run(['ip', 'address', 'replace', address, 'dev', settings.provider_bridge])
    # Packets for it must not leave the machine while the bridge is gone.
    shell.run(['ip', 'route', 'replace', 'unreachable', str(network), 'metric', '4096'])


def make_management_bridge(settings: cloud_settings.Settings) -> None:
    """A kernel bridge for control traffic: it does not depend on any vswitchd."""
    bridge = settings.management_bridge
    if not pathlib.Path(f'/sys/class/net/{bridge}').exists():
        shell.run(['ip', 'link', 'add', bridge, 'type', 'bridge'])
    prefix = ipaddress.ip_network(settings.management_network).prefixlen
    address = f'{settings.management_address(1)}/{prefix}'
    shell.run(['ip', 'address', 'replace', address, 'dev', bridge])
    shell.run(['ip', 'link', 'set', bridge, 'up'])


def cable(host: hosts.Host, init_pid: int) -> None:
    """Connect a host that was just switched on: management and provider network.

    A cable's old end on the machine may be left from before a power cut. OVS must forget the
    port before a link of the same name appears, or it keeps looking at the dead one.
    """
    machine = hosts.Host(host.settings, 1)
    bridge = host.settings.provider_bridge
    management, underlay = host.link('mg'), host.link('ul')
    vsctl(machine, '--if-exists', 'del-port', bridge, underlay)
    for name, inner in ((management, 'mgmt0'), (underlay, 'ul0')):
        if pathlib.Path(f'/sys/class/net/{name}').exists():
            shell.run(['ip', 'link', 'delete', name], check=False)
        shell.run(['ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', inner,
                   'netns', str(init_pid)])
    shell.run(['ip', 'link', 'set', management, 'master', host.settings.management_bridge, 'up'])
    shell.run(['ip', 'link', 'set', underlay, 'up'])
    prefix = ipaddress.ip_network(host.settings.management_network).prefixlen
    shell.run(host.inside('ip', 'address', 'add', f'{host.address}/{prefix}', 'dev', 'mgmt0'))
    for inner in ('mgmt0', 'ul0'):
        shell.run(host.inside('ip', 'link', 'set', inner, 'up'))
    vsctl(machine, 'add-port', bridge, underlay)


def recompute_flows(host: hosts.Host) -> None:
    """Have ovn-controller take every network for what it is, after a restart of it alone too.

    Version 23.03 that starts while a network's patch port is there already takes the network for
    one of tunnels, and packets to other hosts are lost; see ``forget_ports``.
    """
    pid = (host.run / 'ovn/ovn-controller.pid').read_text().strip()
    appctl = ('ovn-appctl', '--timeout=10', '-t', f'{host.run}/ovn/ovn-controller.{pid}.ctl')
    deadline = time.monotonic() + 30
    while shell.run([*host.inside(*appctl), 'connection-status'], check=False) != 'connected\n':
        if time.monotonic() > deadline:
            log = host.settings.log_of(f'ovn-controller-{host.number}')
            raise errors.CloudError(f'{host.name}: OVN does not answer ovn-controller', log)
        time.sleep(0.1)
    shell.run([*host.inside(*appctl), 'recompute'])


def bypass_gateway_mtu(settings: cloud_settings.Settings) -> None:
    """Let TCP through routers at full speed where OVS itself forwards.

    For ``gateway_mtu``, which Neutron sets on every router's gateway port, OVN has OVS compare
    packets with the MTU; the userspace datapath compares whole unsegmented frames and drops
    them, and TCP through a floating IP falls from 300 to 0.03 MB/s. Neutron has no option for
    it. It sets ``gateway_mtu`` again whenever the router changes, but leaves options that are
    not its own: so TCP is let past the check for as long as the port lives.
    """
    if datapath_type() == 'system' or settings.network != 'ovn':
        return
    machine = hosts.Host(settings, 1)
    nbctl = ['ovn-nbctl', '--timeout=15', f'--db=unix:{machine.run}/ovn/ovnnb_db.sock']
    names = shell.run([*nbctl, '--bare', '--columns=name', 'find', 'Logical_Router_Port',
                       'options:gateway_mtu!=0']).split()
    for name in names:
        shell.run([*nbctl, 'set', 'Logical_Router_Port', name, 'options:gateway_mtu_bypass=tcp'])


def vsctl(host: hosts.Host, *arguments: str) -> str:
    """``ovs-vsctl`` on that host's database; waits at most 15 s for vswitchd."""
    return shell.run(
        ['ovs-vsctl', '--timeout=15', f'--db=unix:{host.ovsdb_socket}', *arguments],
        env=host.ovs_env,
    )


def bridges(host: hosts.Host) -> list[str]:
    return vsctl(host, 'list-br').split()
