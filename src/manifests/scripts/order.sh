#!/bin/bash
# Run in a member's container to give its start script an order: `order.sh bootstrap|rebuild POD_UID WHAT`. The script
# checks it against its own pod and volume. Written under another name first: half an order would be refused and lost.
set -euo pipefail
RUN=${RUN:-/run/galeractl}
case ${1:-} in
    bootstrap | rebuild) ;;
    *) echo 'no such order' >&2; exit 2 ;;
esac
printf '%s %s\n' "${2:?}" "${3:?}" >"$RUN/order.new"
mv "$RUN/order.new" "$RUN/$1"
