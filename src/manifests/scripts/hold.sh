#!/bin/bash
# Run in a member's container: its server leaves in good order, and the container stays up without one, whatever restarts
# it, for as long as the file HOLD lies on the volume. `hold.sh POD_UID BY`; `hold.sh POD_UID --release` removes the file.
# shellcheck disable=SC2034 # What is written in capitals is for the parts that are read here.
set -uo pipefail
[ "${1:-}" = "${POD_UID:?}" ] || { echo 'the order is for another pod' >&2; exit 1; }
order=${2:?}
# Read by another script, it does nothing of itself.
# shellcheck source=/dev/null # it lies beside this file
source "${SCRIPTS:-/galeractl/scripts}/start.sh"
DOMAIN=${GALERA_DOMAIN:-$(domain)}
if [ "$order" = --release ]; then
    rm -f "$VOLUME/HOLD" "$RUN/HOLD" && sync "$VOLUME"
    exit
fi

# Why the others cannot do without this server: each of them has to serve, and to follow the same history.
objection_of_others() {
    local host said uuid others=0
    uuid=$(uuid_of "$(word "$(cat "$RUN/wsrep" 2>/dev/null)" uuid)")
    for host in $(hosts); do
        case ${host%%.*} in "$GALERA_NODE_NAME" | "$GALERA_SEED_NAME") continue ;; esac
        said=$(ask_peer "$host")
        [[ $said == *serves=yes* ]] && [ "$(uuid_of "$(word "$said" uuid)")" = "${uuid:-none}" ] ||
            { printf '%s does not serve beside it' "${host%%.*}"; return; }
        others=$((others + 1))
    done
    ((others > 0)) || printf 'there is no other node'
}

by=$(only '[A-Za-z0-9@._-]+' "$order") || { echo 'it is not said who asks for it' >&2; exit 2; }
SERVER=$(only '[0-9]+' "$(cat "$RUN/server" 2>/dev/null)")
if [ -n "$SERVER" ] && grep -q primary=yes "$RUN/wsrep" 2>/dev/null; then
    why=$(objection_of_others)
    [ -z "$why" ] || { printf '%s\n' "$why" >&2; exit 3; }
fi
printf 'by=%s\nat=%s\n' "$by" "$EPOCHSECONDS" >"$VOLUME/HOLD.new" && sync "$VOLUME/HOLD.new" &&
    mv "$VOLUME/HOLD.new" "$VOLUME/HOLD" && sync "$VOLUME" || { echo 'the file HOLD cannot be written' >&2; exit 1; }
[ -n "$SERVER" ] || exit 0
! grep -q primary=yes "$RUN/wsrep" 2>/dev/null || drain
kill -TERM "$SERVER"
