#!/bin/bash
# Run in a member's container by somebody who compares the positions of all: a server that is part of no component ends,
# and its start script waits with its position instead of with a remembered view. `standby.sh POD_UID`.
set -uo pipefail
RUN=${RUN:-/run/galeractl}
[ "${1:-}" = "${POD_UID:?}" ] || { echo 'the order is for another pod' >&2; exit 1; }
! grep -q 'primary=yes' "$RUN/wsrep" 2>/dev/null || { echo 'its server is part of a running component' >&2; exit 3; }
server=$(cat "$RUN/server" 2>/dev/null)
[[ $server =~ ^[0-9]+$ ]] || exit 0
touch "$RUN/standby"
# Asked politely, a server that waits for its component may take minutes; what it has committed is on the disk.
kill -KILL "$server"
