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

"""Wire Nova's VIFs into a server's network namespace, and out of it again."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
from typing import Any

from nova.network import os_vif_util
import os_vif
from os_vif import exception as os_vif_exception
from oslo_log import log as logging
from oslo_privsep import comm
from oslo_privsep import daemon
import pyroute2

from zun_nova import errors
from zun_nova.vif import model
from zun_nova.vif import osvif
from zun_nova.vif import privileged
from zun_nova.vif import switch

LOG = logging.getLogger(__name__)

_Vif = Mapping[str, Any]


def prepare_all(instance: Any, network_info: Sequence[_Vif]) -> None:
    """Do for new VIFs what needs no namespace yet, so that Neutron can begin its part.

    Their links wait, down, for :func:`plug_all`. A VIF that was wired is
    taken out of its namespace.

    :raises errors.VifError: a port could not be plugged.
    """
    owner = os_vif_util.nova_to_osvif_instance(instance)
    for vif in network_info:
        _make(owner, osvif.from_nova(vif), model.nic(vif), None)


def plug_all(instance: Any, network_info: Sequence[_Vif], netns_path: str) -> None:
    """Wire each VIF into the namespace, in order: eth0, eth1, ...

    Both ends are up when it returns, with the MAC, MTU, addresses and routes
    of the ports; whether Neutron has done its part is for
    :func:`zun_nova.vif.events.wait_plugged` to say. May be repeated, after a crash
    at any point too: what is wired is left as it is, and its traffic flows
    on. On failure nothing is undone: call :func:`unplug_all` or try again.

    :param netns_path: of the server's network namespace, for setns(2).
    :raises errors.VifError: a port could not be wired.
    """
    owner = os_vif_util.nova_to_osvif_instance(instance)
    for vif in network_info:
        _plug(owner, vif, netns_path)


def announce_all(network_info: Sequence[_Vif], netns_path: str) -> None:
    """Tell the networks where these ports are now; a few milliseconds.

    Call it when the ports are plugged and Neutron has wired them, before the
    server's process starts. A failure costs a second of the first traffic at
    most, so it is only logged.
    """
    for vif in network_info:
        try:
            with _as_vif_error(vif['id'], 'announce its addresses'):
                privileged.send_announcements(model.nic(vif).to_wire(), netns_path)
        except errors.VifError as exc:
            LOG.warning('%s', exc)


def unplug_all(instance: Any, network_info: Sequence[_Vif]) -> None:
    """Take each VIF off the switch and delete its links, on the host and in the server.

    May be repeated; what is not there is passed over. All VIFs are tried
    before the first failure is raised.

    :raises errors.VifError: a port could not be unplugged.
    """
    owner = os_vif_util.nova_to_osvif_instance(instance)
    failures = []
    for vif in network_info:
        try:
            _unplug(owner, vif)
        except errors.VifError as exc:
            LOG.error('%s', exc, instance=instance)
            failures.append(exc)
    if failures:
        raise failures[0]


def unplug_rest(instance_uuid: str) -> list[switch.Port]:
    """Take off the switch what else it has of the server, and delete the links behind.

    For ports that Nova no longer knows; may be repeated.

    :returns: what there was.
    :raises errors.SwitchUnavailable: the switch does not answer.
    :raises errors.VifError: a link cannot be deleted.
    """
    rest = [port for port in switch.ports() if port.instance_uuid == instance_uuid]
    for port in rest:
        switch.remove(port)
        with _as_vif_error(port.port_id, f'delete the links behind {port.device}'):
            for device in model.host_devices(port.port_id):
                privileged.delete(device)
    return rest


def _plug(owner: Any, vif: _Vif, netns_path: str) -> None:
    port = osvif.from_nova(vif)
    nic = model.nic(vif)
    wire = nic.to_wire()
    with _as_vif_error(nic.port_id, f'make the veth {nic.host_device}'):
        wired = privileged.is_wired(wire, netns_path) or privileged.bring_in(wire, netns_path)
    if wired:
        _on_switch(owner, port, nic)
    else:
        _make(owner, port, nic, netns_path)
    with _as_vif_error(nic.port_id, f'configure it in namespace {netns_path}'):
        privileged.configure(wire, netns_path)


def _make(owner: Any, port: Any, nic: model.Nic, netns_path: str | None) -> None:
    # OVS with the userspace datapath goes on serving a veth that is gone
    # and never looks at a new one of the same name, unless the port is
    # removed first. Removing a port that is not there costs little.
    with _as_vif_error(nic.port_id, 'clear its port on the switch'):
        _off_switch(port, owner)
    with _as_vif_error(nic.port_id, f'make the veth {nic.host_device}'):
        privileged.create(nic.to_wire(), netns_path)
    _on_switch(owner, port, nic)


def _on_switch(owner: Any, port: Any, nic: model.Nic) -> None:
    with _as_vif_error(nic.port_id, f'plug {nic.host_device} into the switch'):
        os_vif.plug(port, owner)
        if nic.bridge:
            privileged.attach(nic.to_wire())
            os_vif.plug(osvif.switch_port(port), owner)


def _unplug(owner: Any, vif: _Vif) -> None:
    device = model.host_device(vif['id'])
    devices: tuple[str, ...] = (device,)
    try:
        port = osvif.from_nova(vif)
    except errors.VifError:
        # It lost its binding, and was plugged before; or it never was.
        port, devices = osvif.unbound(vif), model.host_devices(vif['id'])
    try:
        with _as_vif_error(vif['id'], f'unplug {device} from the switch'):
            _off_switch(port, owner)
    finally:
        with _as_vif_error(vif['id'], f"delete the link {' or '.join(devices)}"):
            for device in devices:
                privileged.delete(device)


def _off_switch(port: Any, owner: Any) -> None:
    try:
        os_vif.unplug(port, owner)
    except os_vif_exception.UnplugException:
        # The kernel takes the veth away some time after its namespace died: it may have gone
        # between os-vif's look at it and its deletion. Another fault comes again.
        os_vif.unplug(port, owner)


@contextlib.contextmanager
def _as_vif_error(port_id: str, action: str) -> Iterator[None]:
    """Raise what the step may fail with as VifError.

    :param action: the step, as a verb phrase.
    """
    try:
        yield
    except os_vif_exception.ExceptionBase as exc:
        # os-vif's own text repeats the whole VIF before it says why.
        raise errors.VifError(port_id, f'cannot {action}: {exc.__context__ or exc}') from exc
    except daemon.FailedToDropPrivileges as exc:
        raise errors.VifError(
            port_id,
            f'cannot {action}: the privileged helper did not start ({exc}); check '
            'helper_command in section [zun_nova_privileged]') from exc
    except (OSError, LookupError, pyroute2.NetlinkError, comm.PrivsepTimeout) as exc:
        raise errors.VifError(port_id, f'cannot {action}: {exc}') from exc
