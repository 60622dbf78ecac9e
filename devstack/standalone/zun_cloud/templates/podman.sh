#!/bin/sh
# Start Podman's service on compute host {{ host.number }}, which can see the network namespaces
# that are made later.
set -eu
mkdir -p /run/netns
# Under the lock of iproute2: mounted on itself once more, all that is there doubles.
flock /run/netns sh -c 'mountpoint -q /run/netns || mount --bind /run/netns /run/netns
    mount --make-shared /run/netns'
exec "$@"
