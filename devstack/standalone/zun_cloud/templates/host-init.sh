#!/bin/sh
# The first process of compute host {{ host.number }}: when it ends, all of the host ends.
set -eu
run={{ host.run }}
hostname {{ host.name }}
mkdir -p /run/netns /run/containerd /run/crun
mount -t tmpfs none /run/netns
mount --make-shared /run/netns
mount -t tmpfs none /run/containerd
mount -t tmpfs none /run/crun
# Its own links in /sys, with the machine's cgroups put back over the empty ones.
mkdir -p "$run/cgroup"
mount --rbind /sys/fs/cgroup "$run/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$run/cgroup" /sys/fs/cgroup
umount -l "$run/cgroup"
ip link set lo up
: > "$run/ready"
trap 'exit 0' TERM INT
while :; do
    sleep 3600 &
    wait $! || :
done
