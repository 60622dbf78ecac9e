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

"""The virt driver ``zun.ContainerDriver``: Nova's calls, handed to who does them.

Nothing is decided here. What a container cannot do yet is not overridden, so
that Nova's base class answers NotImplementedError; the table in
doc/source/conformance.rst says which these are.
"""

from __future__ import annotations

from typing import Any

from nova import conf
from nova.compute import task_states
from nova.virt import driver
from nova.virt import hardware
import nova.virt.node
from oslo_concurrency import processutils
from oslo_log import log as logging

from zun_nova import conf as zun_conf
from zun_nova.vif import daemons
from zun_nova.vif import plug
from zun_nova.virt import availability
from zun_nova.virt import config_drive
from zun_nova.virt import diagnostics
from zun_nova.virt import faults
from zun_nova.virt import guest
from zun_nova.virt import identity
from zun_nova.virt import image_cache
from zun_nova.virt import images
from zun_nova.virt import interfaces
from zun_nova.virt import interrupted
from zun_nova.virt import lifecycle
from zun_nova.virt import live_migration
from zun_nova.virt import locks
from zun_nova.virt import migration as migrations
from zun_nova.virt import moved
from zun_nova.virt import network
from zun_nova.virt import passwords
from zun_nova.virt import power
from zun_nova.virt import processors
from zun_nova.virt import procfs
from zun_nova.virt import reconcile
from zun_nova.virt import rescue
from zun_nova.virt import rescue_root
from zun_nova.virt import resources
from zun_nova.virt import servers
from zun_nova.virt import shelving
from zun_nova.virt import snapshot
from zun_nova.virt import spec
from zun_nova.virt import states
from zun_nova.virt import suspend
from zun_nova.virt import unfinished
from zun_nova.virt.console import consoles
from zun_nova.virt.runtime import base
from zun_nova.virt.runtime import events
from zun_nova.volume import volumes

LOG = logging.getLogger(__name__)
CONF = conf.CONF

zun_conf.register_opts(CONF)


class ContainerDriver(driver.ComputeDriver):
    """Runs Nova servers as containers of the engine on this host.

    Nova calls from many threads at once, and holds a lock per server while it
    changes one.
    """

    capabilities = {  # noqa: RUF012  Nova reads and copies it as it is
        **driver.ComputeDriver.capabilities,
        'has_imagecache': True,
        'supports_evacuate': True,
        'supports_image_type_raw': True,
        'supports_migrate_to_same_host': True,
        'supports_pcpus': True,
        'supports_attach_interface': True,
        'supports_device_tagging': True,
        'supports_tagged_attach_interface': True,
        'supports_trusted_certs': True,
        'supports_extend_volume': True,
    }

    def __init__(self, virtapi: Any) -> None:
        super().__init__(virtapi)
        self._runtime = base.load(CONF)
        self._watcher: lifecycle.Watcher | None = None
        self._reconciler: reconcile.Reconciler | None = None
        self._consoles = consoles.Consoles(self._runtime, CONF)
        self._assemble(CONF.host)

    def _assemble(self, host: str) -> None:
        self._host = host
        self._status = availability.HostStatus(host, self.virtapi)
        self._networks = network.Networks(self._runtime, host)
        self._interfaces = interfaces.Interfaces(self._runtime, self._networks)
        self._power = power.Power(self._runtime, self._networks)
        self._states = states.States()
        image_store = images.Images(self._runtime, CONF)
        self._image_cache = image_cache.ImageCache(self._runtime, image_store, CONF, host)
        self._drives = config_drive.ConfigDrives(CONF, host)
        self._snapshots = snapshot.Snapshots(self._runtime, CONF, host)
        self._volumes = volumes.Volumes(self._runtime, CONF, host)
        self._servers = servers.Servers(
            self._runtime, image_store, self._networks, self._drives, self._volumes,
            spec.defaults(CONF, host), self.virtapi)
        self._migrations = migrations.Migrations(
            self._runtime, image_store, self._networks, self._servers, self._power, CONF)
        self._rescues = rescue.Rescues(
            self._runtime, image_store, self._servers, self._power,
            rescue_root.RescueRoots(CONF, host), spec.defaults(CONF, host))

    # -- the host

    def init_host(self, host: str) -> None:
        """Refuse to start without an engine that can serve; may be called again."""
        self._assemble(host)
        with faults.starting(CONF.zun_nova):
            engine = availability.wait(self._runtime, CONF.zun_nova.engine_start_timeout)
            if CONF.serial_console.enabled:
                self._consoles.start()
        LOG.info('Using %s %s (API %s), runtimes %s, storage driver %s', engine.name,
                 engine.version, engine.api_version, ', '.join(engine.runtimes),
                 engine.storage_driver)
        if not engine.live_restore:
            LOG.warning('A restart of %s stops all servers; set "live-restore": true in its '
                        'daemon.json', engine.name)
        if engine.remaps_users is False:
            LOG.info('Root in a server is root on this host, though confined; "userns-remap" in '
                     'the daemon.json of %s makes it nobody', engine.name)
        if not engine.capabilities.disk_quota:
            LOG.warning('Storage driver %s keeps no server to the disk of its flavor: each can '
                        'fill the disk of the host. Flavors can ask for hosts that do with '
                        'trait:%s=required', engine.storage_driver, resources.TRAIT_DISK_QUOTA)
        daemons.start()

    def process_instances_at_startup(self, context: Any, instances: Any) -> Any:
        """Finish interrupted rescues, and begin to look for what is left of servers elsewhere.

        Servers in whose migration nova-compute was killed can be acted on again.

        Of what was cut short with nova-compute, snapshots and shelvings are ended. The host
        is in the scheduler's hands again, if it was only the engine that was away.
        """
        for instance in instances:
            self._rescues.recover(instance)
        interrupted.settle(context, instances, self._migrations)
        self._end_reconciler()
        self._reconciler = reconcile.Reconciler(
            self._runtime, self._networks, self._drives, self._volumes, self._migrations,
            self._host, CONF.zun_nova.reconcile_interval)
        self._reconciler.start()
        self._snapshots.clean_at_start()
        shelving.release(instances)
        # Here, so that Nova's first look at the host, which tells Placement, comes after it.
        self._status.engine_found()
        return instances

    def _end_reconciler(self) -> None:
        if self._reconciler is not None:
            self._reconciler.stop()
            self._reconciler = None

    def register_event_listener(self, callback: Any) -> None:
        """Tell this callable what servers do by themselves; None ends that."""
        super().register_event_listener(callback)
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        if callback is not None and isinstance(self._runtime, events.Events):
            self._watcher = lifecycle.Watcher(
                self._runtime, self._runtime, self._host, self.emit_event, self._status)
            self._watcher.start()

    def cleanup_host(self, host: str) -> None:
        """Nova ends; may be called again."""
        self.register_event_listener(None)
        self._consoles.stop()
        self._end_reconciler()

    def get_host_ip_addr(self) -> str:
        return str(CONF.my_ip)

    def get_host_uptime(self) -> str:
        text, _ = processutils.execute('env', 'LANG=C', 'uptime')
        return str(text)

    def get_host_cpu_stats(self) -> dict[str, int]:
        """In nanoseconds and MHz, for the monitor cpu.virt_driver."""
        times = procfs.cpu_times()
        return {'user': times.user, 'kernel': times.kernel, 'idle': times.idle,
                'iowait': times.iowait, 'frequency': times.frequency_mhz}

    def get_available_nodes(self, refresh: bool = False) -> list[str]:
        return [self._host]

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        facts = self._facts()
        with faults.reporting():
            tenant = self._servers.tenants.owner()
        numa = processors.nova_topology(
            facts.processors, hardware.numa_get_reserved_huge_pages(), CONF)
        return resources.available(
            facts, nodename, nova.virt.node.get_local_node_uuid(), numa._to_json(), tenant or '')

    def update_provider_tree(self, provider_tree: Any, nodename: str,
                             allocations: Any = None) -> None:
        facts = self._facts()
        before = provider_tree.data(nodename)
        provider_tree.update_inventory(nodename, resources.inventory(
            facts,
            self._get_allocation_ratios(before.inventory),
            resources.Reserved(
                cpus=CONF.reserved_host_cpus,
                memory_mb=CONF.reserved_host_memory_mb,
                disk_gb=self._get_reserved_host_disk_gb_from_config())))
        ours = resources.traits(facts)
        stale = set(filter(resources.is_ours, before.traits)) - ours
        provider_tree.remove_traits(nodename, *stale)
        provider_tree.add_traits(nodename, *ours)

    def _facts(self) -> resources.HostFacts:
        with faults.reporting():
            return resources.read(self._runtime.info(), self.get_host_uptime())

    # -- which servers there are

    def list_instances(self) -> list[str]:
        return [row.labels[identity.LABEL_NAME] for row in self._list()]

    def list_instance_uuids(self) -> list[str]:
        return [row.labels[identity.LABEL_UUID] for row in self._list()]

    def get_num_instances(self) -> int:
        """Nova asks for each server's state after this."""
        rows = self._list()
        self._states.note(rows)
        return len(rows)

    def _list(self) -> list[base.ContainerSummary]:
        with faults.reporting():
            return self._servers.list()

    def instance_exists(self, instance: Any) -> bool:
        with faults.operating(instance):
            return self._servers.exists(instance)

    def get_info(self, instance: Any, use_cache: bool = True) -> hardware.InstanceInfo:
        known = self._states.confirmed(instance) if use_cache else None
        if known is not None:
            return known
        with faults.operating(instance):
            container = self._runtime.inspect(identity.container_name(instance))
        return power.info_of(container)

    # -- making and removing

    def prepare_for_spawn(self, instance: Any) -> None:
        with faults.preparing(instance):
            self._servers.check_host(instance)

    def spawn(self, context: Any, instance: Any, image_meta: Any, injected_files: Any,
              admin_password: Any, allocations: Any, network_info: Any = None,
              block_device_info: Any = None, power_on: bool = True,
              accel_info: Any = None) -> None:
        with faults.building(instance):
            given = guest.given(injected_files, admin_password)
            # Its truth value would wait for Neutron; the image need not.
            ports = () if network_info is None else network_info
            with self._volumes.connected(instance, block_device_info):
                self._servers.create(context, instance, image_meta, ports, given, power_on)

    def failed_spawn_cleanup(self, instance: Any) -> None:
        self._servers.tenants.leaving(instance)

    def destroy(self, context: Any, instance: Any, network_info: Any,
                block_device_info: Any = None, destroy_disks: bool = True,
                destroy_secrets: bool = True) -> None:
        with faults.operating(instance):
            if not self._migrations.stays_to_be_reverted(context, instance):
                self._servers.destroy(instance, network_info, keep_disk=not destroy_disks)
                self._migrations.sweep(str(instance.uuid))
                self._volumes.release(instance, block_device_info, keep=not destroy_disks)

    def cleanup(self, context: Any, instance: Any, network_info: Any,
                block_device_info: Any = None, destroy_disks: bool = True,
                migrate_data: Any = None, destroy_vifs: bool = True,
                destroy_secrets: bool = True) -> None:
        with faults.operating(instance):
            self._servers.destroy(
                instance, network_info if destroy_vifs else (), keep_disk=not destroy_disks)
            self._volumes.release(instance, block_device_info, keep=not destroy_disks)

    # -- moving

    def migrate_disk_and_power_off(self, context: Any, instance: Any, dest: str, flavor: Any,
                                   network_info: Any, block_device_info: Any = None,
                                   timeout: int = 0, retry_interval: int = 0) -> str:
        with faults.operating(instance):
            left = self._migrations.leave(
                context, instance, dest, flavor, network_info, timeout,
                may_stay=not volumes.are_in(block_device_info))
            self._volumes.disconnect_all(instance, block_device_info)
            return left.to_json()

    def finish_migration(self, context: Any, migration: Any, instance: Any, disk_info: str,
                         network_info: Any, image_meta: Any, resize_instance: bool,
                         allocations: Any, block_device_info: Any = None, power_on: bool = True,
                         share_info: Any = None) -> None:
        with faults.operating(instance), self._volumes.connected(instance, block_device_info):
            self._migrations.arrive(context, instance, moved.from_json(disk_info), image_meta,
                                    network_info, power_on)

    def confirm_migration(self, context: Any, migration: Any, instance: Any,
                          network_info: Any) -> None:
        with faults.operating(instance):
            self._migrations.confirm(
                instance, network_info, moved_on=not migrations.is_same_host(migration))

    def finish_revert_migration(self, context: Any, instance: Any, network_info: Any,
                                migration: Any, block_device_info: Any = None,
                                power_on: bool = True, share_info: Any = None) -> None:
        with faults.operating(instance), self._volumes.connected(instance, block_device_info):
            self._migrations.revert(instance, network_info, power_on)

    def check_can_live_migrate_destination(
            self, context: Any, instance: Any, src_compute_info: Any, dst_compute_info: Any,
            block_migration: Any = False, disk_over_commit: Any = False) -> Any:
        live_migration.refuse()

    # -- images

    def cache_image(self, context: Any, image_id: str) -> bool:
        return self._image_cache.fetch(context, image_id)

    def manage_image_cache(self, context: Any, all_instances: Any) -> None:
        with faults.reporting():
            self._image_cache.clean(all_instances)
            self._snapshots.clean()

    def snapshot(self, context: Any, instance: Any, image_id: str,
                 update_task_state: Any) -> None:
        with faults.taking_snapshot(instance):
            self._snapshots.take(context, instance, image_id, update_task_state)

    # -- power

    def power_on(self, context: Any, instance: Any, network_info: Any,
                 block_device_info: Any = None, accel_info: Any = None,
                 share_info: Any = None) -> None:
        with faults.operating(instance), self._volumes.connected(instance, block_device_info):
            self._rescues.before_start(instance)
            self._power.on(instance, network_info)

    def power_off(self, instance: Any, timeout: int = 0, retry_interval: int = 0) -> None:
        # A rebuild that failed has left no container, and the next one begins with this.
        if instance.task_state == task_states.REBUILDING and not self.instance_exists(instance):
            return
        with faults.operating(instance):
            self._power.off(instance, timeout)

    def reboot(self, context: Any, instance: Any, network_info: Any, reboot_type: str,
               block_device_info: Any = None, bad_volumes_callback: Any = None,
               accel_info: Any = None, share_info: Any = None) -> None:
        timeout = power.shutdown_timeout(instance) if reboot_type == power.SOFT else 0
        with faults.operating(instance), self._volumes.connected(instance, block_device_info):
            self._rescues.before_start(instance)
            if reboot_type != power.SOFT:
                self._migrations.recover(context, instance, network_info)
            self._power.reboot(instance, network_info, timeout)

    def poll_rebooting_instances(self, timeout: Any, instances: Any) -> None:
        """Nothing to do: each step of a reboot has its own deadline, so none hangs."""

    def resume_state_on_host_boot(self, context: Any, instance: Any, network_info: Any,
                                  share_info: Any, block_device_info: Any = None) -> None:
        if instance.task_state in unfinished.TASKS:
            return   # it is between two hosts, or two containers, and this one may have none
        with faults.operating(instance), self._volumes.connected(instance, block_device_info):
            self._rescues.before_start(instance)
            self._power.on(instance, network_info)

    def rescue(self, context: Any, instance: Any, network_info: Any, image_meta: Any,
               rescue_password: Any, block_device_info: Any, share_info: Any) -> None:
        with faults.operating(instance), self._volumes.connected(instance, block_device_info):
            self._rescues.rescue(context, instance, network_info, image_meta, rescue_password)

    def unrescue(self, context: Any, instance: Any) -> None:
        with faults.operating(instance):
            # None where Nova never had any.
            self._rescues.unrescue(instance, instance.get_network_info() or ())

    def pause(self, instance: Any) -> None:
        with faults.operating(instance):
            self._runtime.pause(identity.container_name(instance))

    def unpause(self, instance: Any) -> None:
        with faults.operating(instance):
            self._runtime.unpause(identity.container_name(instance))

    def suspend(self, context: Any, instance: Any) -> None:
        suspend.refuse(instance)

    # -- network

    def plug_vifs(self, instance: Any, network_info: Any) -> None:
        with faults.operating(instance), locks.wiring(instance):
            if self._servers.exists(instance):
                self._networks.open(instance, network_info)
            else:
                LOG.warning('Not wiring a server that has no container', instance=instance)

    def unplug_vifs(self, instance: Any, network_info: Any) -> None:
        with faults.operating(instance), locks.wiring(instance):
            plug.unplug_all(instance, network_info)

    def attach_interface(self, context: Any, instance: Any, image_meta: Any, vif: Any) -> None:
        with faults.operating(instance):
            self._interfaces.attach(context, instance, vif)

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        with faults.operating(instance):
            self._interfaces.detach(context, instance, vif)

    # -- volumes

    def get_volume_connector(self, instance: Any) -> dict[str, Any]:
        return self._volumes.connector()

    def attach_volume(self, context: Any, connection_info: Any, instance: Any, mountpoint: str,
                      disk_bus: Any = None, device_type: Any = None,
                      encryption: Any = None) -> None:
        with faults.changing_volumes(instance, faults.VOLUME_ATTACH_FAILED):
            self._volumes.attach(instance, connection_info)

    def detach_volume(self, context: Any, connection_info: Any, instance: Any, mountpoint: str,
                      encryption: Any = None) -> None:
        with faults.changing_volumes(instance, faults.VOLUME_DETACH_FAILED):
            self._volumes.detach(instance, connection_info)

    def extend_volume(self, context: Any, connection_info: Any, instance: Any,
                      requested_size: int) -> None:
        with faults.changing_volumes(instance, faults.VOLUME_EXTEND_FAILED):
            self._volumes.extend(instance, connection_info, requested_size)

    # -- what is inside

    def set_admin_password(self, instance: Any, new_pass: str) -> None:
        with faults.operating(instance):
            passwords.set_admin(self._runtime, instance, new_pass)

    def get_serial_console(self, context: Any, instance: Any) -> Any:
        with faults.operating(instance):
            return self._consoles.serial(instance)

    # -- what it uses and what it wrote

    def get_diagnostics(self, instance: Any) -> dict[str, int]:
        return diagnostics.free_form(self._measure(instance))

    def get_instance_diagnostics(self, instance: Any) -> Any:
        return diagnostics.standard_form(
            instance, self._measure(instance), self._facts().engine.name)

    def _measure(self, instance: Any) -> diagnostics.Figures:
        with faults.operating(instance):
            return diagnostics.measure(
                instance, self._runtime.inspect(identity.container_name(instance)))

    def get_console_output(self, context: Any, instance: Any) -> str:
        with faults.operating(instance):
            output = self._runtime.logs(
                identity.container_name(instance), CONF.zun_nova.console_max_bytes)
        # Nova encodes it as latin-1 again, which gives these bytes back.
        return output.decode('latin-1')
