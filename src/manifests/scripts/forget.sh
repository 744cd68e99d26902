#!/bin/bash
# Run in the container of a member that runs. `forget.sh KEPT` removes what a restore has kept aside, when the restored
# cluster has been found healthy, if it is what somebody has looked at: KEPT is what held_in says of restore.old/data.
# `forget.sh --prepared` removes what a restore has prepared and never turned to, when the data has moved on since.
set -euo pipefail
SCRIPTS=${SCRIPTS:-/galeractl/scripts}
# shellcheck source=/dev/null # it lies beside this file
source "$SCRIPTS/volume.sh"
cd "$VOLUME"
if [ "${1:-}" = --prepared ]; then
    [ ! -e restore.old ] || { echo 'the restore has been turned to already' >&2; exit 3; }
    rm -rf restore.new
    exit 0
fi
if [ -e restore.old ]; then
    now=$(held_in restore.old/data)
    [ "$now" = "${1:-}" ] || { echo "restore.old holds $now, expected was ${1:-nothing known}" >&2; exit 3; }
    # Renamed first: what is half removed must never be brought back.
    mv restore.old restore.gone
fi
rm -rf restore.gone
