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

"""Every option of the driver: the group ``[zun_nova]`` of nova.conf."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup(
    'zun_nova',
    title='Containers as Nova servers',
    help='Options of the virt driver zun.ContainerDriver.',
)

OPTS = [
    cfg.StrOpt(
        'engine',
        default='docker',
        help="""
Container engine that runs the servers of this compute host.

A name of the entry point group ``zun_nova.runtimes``.
""",
    ),
    cfg.StrOpt(
        'docker_url',
        default='unix:///var/run/docker.sock',
        regex=r'unix:///.+',
        help="""
Where the Docker engine of this host listens.

Only unix sockets: the engine gives root on the host to whoever reaches it.
""",
    ),
    cfg.StrOpt(
        'podman_url',
        default='unix:///run/podman/podman.sock',
        regex=r'unix:///.+',
        help="""
Where the Podman service of this host listens, if ``engine`` is podman.

Only unix sockets: the engine gives root on the host to whoever reaches it.
""",
    ),
    cfg.StrOpt(
        'podman_cgroup_parent',
        help="""
Control group below which Podman puts those of the servers.

An absolute path with the cgroup manager cgroupfs, the name of a slice with
systemd. Unset: Podman's own choice. (Docker's is an option of dockerd.)
""",
    ),
    cfg.IntOpt(
        'engine_timeout',
        default=60,
        min=1,
        help="""
Seconds an engine call may take.

Stopping a container may take the server's shutdown timeout longer. Loading an
image may take this long between two pieces of data.
""",
    ),
    cfg.IntOpt(
        'engine_start_timeout',
        default=60,
        min=0,
        help="""
Seconds nova-compute waits for the engine when it starts.

Both may start together with their host. When the engine does not answer within
this time nova-compute ends and says why.
""",
    ),
    cfg.StrOpt(
        'default_runtime',
        help="""
OCI runtime of servers whose flavor names none with ``container:runtime``.

One of the names the engine is configured with, such as runc, crun, runsc.
Unset: the engine's own default.
""",
    ),
    cfg.IntOpt(
        'pids_limit',
        default=4096,
        min=16,
        help="""
How many processes and threads one server may have.

A flavor may set another number with the extra spec ``container:pids_limit``.
""",
    ),
    cfg.ListOpt(
        'drop_capabilities',
        default=['NET_RAW', 'MKNOD', 'AUDIT_WRITE', 'SETFCAP'],
        help="""
Linux capabilities taken from the engine's default set in every server.

Names without the prefix ``CAP_``. Without NET_RAW, ``ping`` in a server needs
the sysctl ``net.ipv4.ping_group_range``, which is opened to all groups inside
each server.
""",
    ),
    cfg.IntOpt(
        'image_timeout',
        default=60,
        min=1,
        help="""
Seconds without any data from or to Glance after which a download or an upload
has failed, or without progress of a pull from a registry.

A download that breaks off is begun anew as often as ``[glance] num_retries``
says; the engine tries a pull anew by itself.
""",
    ),
    cfg.ListOpt(
        'allowed_registries',
        default=[],
        help="""
Registries whose images servers may be made of, by reference.

A Glance image whose property ``container_image_ref`` names an image in one of
them is pulled by the engine. Each is a host, with its port where images name
one, and perhaps the beginning of a repository, at a slash:
``registry.example.com``, ``registry.example.com:5000``, ``quay.io/team``,
``docker.io/library``. Empty: no reference images. The engine and the host talk
to whatever is named here on behalf of any user.
""",
    ),
    cfg.StrOpt(
        'registry_auth_file',
        help="""
File with credentials for registries, in the form of Docker's config.json.

They are used for reference images that name no secret of their own, for every
user of the cloud: whoever knows the digest of an image that these credentials
can read may then run it. Read anew for each image. Unset: without a secret
nobody's credentials are used.
""",
    ),
    cfg.IntOpt(
        'reconcile_interval',
        default=300,
        min=0,
        help="""
Seconds between two looks for what servers that are not on this host have left
on it: containers that hold a network, ports, containers of failed builds.

The first look is when nova-compute starts; 0: the only one. A look costs two
calls of the engine and two of the database. What is removed is logged. What a
failed build has left while its server is on another host, or on none, is
removed at the second look. A resize or migration with which nobody has gone on
for migration_timeout seconds, as a nova-compute was killed, is gone on with.
""",
    ),
    cfg.BoolOpt(
        'live_resize',
        default=False,
        help="""
Change processors and memory of a running server without a restart.

Where a resize on the same host changes nothing but vCPUs and memory, the limits
of the container are changed as it runs, if its engine and OCI runtime can. Its
process learns nothing of it: programs that size themselves by the memory they
find when they start keep that size. Off: servers restart with every resize.
""",
    ),
    cfg.IntOpt(
        'migration_timeout',
        default=600,
        min=1,
        help="""
Seconds that the engine may take to make a layer of what a server has written,
and after which a transfer to another host without progress has failed.

Meanwhile the server stands still. After a failure it runs on where it was. Also
how long a step of a resize or migration may not have begun before nova-compute
sees to it; see reconcile_interval.
""",
    ),
    cfg.StrOpt(
        'migration_transport',
        default='ssh',
        choices=[
            ('ssh', 'nova-compute logs in to the other host and starts zun-nova-receive there.'),
            ('shared', 'instances_path is the same directory on all hosts.'),
        ],
        help="""
How what a server has written travels to another host.
""",
    ),
    cfg.StrOpt(
        'migration_ssh_command',
        default='ssh',
        help="""
Program and options that nova-compute logs in to other hosts with.

Split into words as a shell does: ``ssh -p 2222 -i /var/lib/nova/.ssh/migration``.
Never asks for passwords. Compression, if wanted, is ``-C``.
""",
    ),
    cfg.StrOpt(
        'migration_ssh_user',
        help="""
Who it logs in as. Unset: what ssh's own configuration says, else the user that
nova-compute runs as.
""",
    ),
    cfg.IntOpt(
        'migration_ssh_connect_timeout',
        default=10,
        min=1,
        help="""
Seconds after which a host that does not answer cannot be reached. The server is
not stopped before that is known.
""",
    ),
    cfg.IntOpt(
        'image_max_size_gb',
        default=50,
        min=1,
        help="""
How much an image may unpack to, its archive and its layers, in GiB.

A compressed archive can hold a thousand times what its size in Glance says,
and a sparse file in a layer any amount.
Servers of larger images are refused, and nothing of them stays in the engine.
Of an image from a registry the layers are counted as they are sent, compressed.
""",
    ),
    cfg.BoolOpt(
        'snapshot_pause',
        default=True,
        help="""
Whether a server's processes stand still while the engine copies what it has
written, for a snapshot.

Without, files that are being written can be of different moments in the
image. The copy takes some seconds for each GiB; the upload comes afterwards.
Servers whose image has the property ``os_require_quiesce`` are always paused.
""",
    ),
    cfg.IntOpt(
        'snapshot_timeout',
        default=3600,
        min=1,
        help="""
Seconds that each step of a snapshot may take: the engine's copy of what a
server has written, its preparation of the image for the upload, and Glance's
work after the last byte.

While data flows to Glance, ``image_timeout`` says how long it may stand still.
""",
    ),
    cfg.BoolOpt(
        'inject_password',
        default=False,
        help="""
Set the password that Nova makes for each new server (``adminPass``) in it.

Right after its process has started, by the ``chpasswd`` of its image, for root
or the user whom the image property ``os_admin_user`` names. Servers without
that program, and those whose process has ended by then, go without. Off: it is
in the config drive only, if the server has one. A running server can be given
a password in either case (``openstack server set --password``).
""",
    ),
    cfg.BoolOpt(
        'volumes',
        default=True,
        help="""
Servers can have Cinder volumes.

Each server then has the directory ``/mnt/volumes``, in which they appear. One
that was made while this was false gets it when it is rebuilt or resized.
""",
    ),
    cfg.BoolOpt(
        'format_volumes',
        default=True,
        help="""
Make a file system on volumes that are empty when a server gets them.

A volume is empty when blkid finds nothing on it, and its first and last MiB
are zeros. If this is false such volumes are refused.
""",
    ),
    cfg.StrOpt(
        'volume_filesystem',
        default='xfs',
        choices=[('xfs', 'XFS; volumes under 300 MiB get ext4'), ('ext4', 'ext4')],
        help="""
The file system that empty volumes get.
""",
    ),
    cfg.IntOpt(
        'console_max_bytes',
        default=102400,
        min=1024,
        help="""
How much of the end of a server's output the console log returns, in bytes.
""",
    ),
    cfg.PortOpt(
        'console_port',
        default=6089,
        help="""
Port at which nova-serialproxy reaches the terminals of this host's servers, at
``[serial_console] proxyclient_address``.

One port for all servers. Who connects must show a secret that Nova passes to
the proxy, but what is typed and shown passes unencrypted: it belongs in the
network of the control plane. 0: any free port. Used only with
``[serial_console] enabled``.
""",
    ),
    cfg.StrOpt(
        'console_shell',
        default='/bin/sh',
        help="""
What the serial console runs in servers whose own process has no terminal.

A program of the server's image with its arguments, quoted as for a shell:
``/bin/sh -c "exec bash || exec sh"``. It runs as the container's user.
""",
    ),
    cfg.IntOpt(
        'console_idle_timeout',
        default=3600,
        min=0,
        help="""
Seconds without a byte in either direction after which a serial console is
closed; 0: never.
""",
    ),
    cfg.IntOpt(
        'console_sessions_per_server',
        default=8,
        min=1,
        help="""
How many serial consoles one server may have open at a time.
""",
    ),
    cfg.IntOpt(
        'console_sessions',
        default=128,
        min=1,
        help="""
How many serial consoles may be open on this host at a time.
""",
    ),
    cfg.IntOpt(
        'log_max_size_mb',
        default=10,
        min=1,
        help="""
How much output of one server is kept on the host, in MiB; older is dropped.
""",
    ),
]


def register_opts(conf: Any) -> None:
    """Register the options on a ConfigOpts; may be called repeatedly."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """Entry point ``oslo.config.opts``: what oslo-config-generator prints."""
    return [(GROUP, OPTS)]
