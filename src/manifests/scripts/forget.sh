#!/bin/bash
# Run in a member's container when a restored cluster has been found healthy: removes what was kept aside, if it is
# what somebody has looked at. `forget.sh KEPT`, where KEPT is what held_in says of restore.old/data.
set -euo pipefail
SCRIPTS=${SCRIPTS:-/galeractl/scripts}
# shellcheck source=/dev/null # it lies beside this file
source "$SCRIPTS/volume.sh"
cd "$VOLUME"
if [ -e restore.old ]; then
    now=$(held_in restore.old/data)
    [ "$now" = "${1:-}" ] || { echo "restore.old holds $now, expected was ${1:-nothing known}" >&2; exit 3; }
    # Renamed first: what is half removed must never be brought back.
    mv restore.old restore.gone
fi
rm -rf restore.gone
