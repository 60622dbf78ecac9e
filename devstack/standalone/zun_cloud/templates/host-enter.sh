#!/bin/sh
# Run a command on compute host {{ host.number }}:  {{ host.enter_script }} ip addr
set -eu
read -r pid namespace < {{ host.pid_file }} || { echo "{{ host.name }} is off" >&2; exit 1; }
# The number may have gone to another process since the host died.
[ "$(readlink "/proc/$pid/ns/net")" = "$namespace" ] || { echo "{{ host.name }} is off" >&2; exit 1; }
# nsenter must end with the command and not before it: the process manager, which signals both,
# would start the service's next process beside the last. Only the command is asked to end.
trap '' TERM
exec nsenter -t "$pid" -n -m -u -i -p -- env --default-signal=TERM "$@"
