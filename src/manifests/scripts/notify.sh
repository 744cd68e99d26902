#!/bin/bash
# Called by mariadbd at every change of its state or of the group; must not talk to the server, which waits for it.
RUN=${RUN:-/run/galeractl}
SCRIPTS=${SCRIPTS:-/galeractl/scripts}
# shellcheck source=/dev/null # they lie beside this file
source "$SCRIPTS/report.sh"
# shellcheck source=/dev/null
source "$SCRIPTS/volume.sh"
# Each is told as UUID/NAME/ADDRESS.
names_of() {
    local all each names=''
    IFS=, read -ra all <<<"$1"
    for each in "${all[@]}"; do
        each=${each#*/}
        names+=${names:+,}${each%%/*}
    done
    printf '%s' "$names"
}
status=- uuid=- primary=- index=- members=-
while [ $# -gt 0 ]; do
    case $1 in
        --status) status=$2 ;;
        --uuid) uuid=$2 ;;
        --primary) primary=$2 ;;
        --index) index=$2 ;;
        --members) members=$(names_of "$2") ;;
    esac
    shift 2 || break
done
members=$(only '[a-z0-9,.-]+' "$members" 1000)
# From its first view on, a seed's data is somebody's.
[ "$primary" != yes ] || rm -f "$VOLUME/initialising"
# Peers that wait for their turn ask for this several times a second; a query for each would cost a process.
printf 'status=%s primary=%s uuid=%s members=%s\n' "${status,,}" "$primary" "$uuid" "${members:--}" >"$RUN/wsrep.new" &&
    mv "$RUN/wsrep.new" "$RUN/wsrep"
case ${status,,} in
    synced)
        touch "$RUN/joined" && rm -f "$RUN/seed.sql" && printf 'up\n' >"$RUN/phase"
        # A copy of the data that came by a state transfer is another one for backups: the transfer has deleted this file.
        [ -e "$VOLUME/data/incarnation" ] || cp /proc/sys/kernel/random/uuid "$VOLUME/data/incarnation"
        [ -z "$(uuid_of "$uuid")" ] || [ "$uuid" = "$ZERO" ] || keep_identity "${GALERA_GROUP:?}" "${GALERA_MEMBER:?}" "$uuid"
        ;;
    donor*) ;;
    joiner) printf 'joining\n' >"$RUN/phase" ;;
esac
# Who was in the last view with a majority: others ask for it when this member is all that is left.
if [ "$primary" = yes ] && [ -n "$members" ]; then
    printf 'uuid=%s\nat=%s\nmembers=%s\n' "$uuid" "$EPOCHSECONDS" "$members" >"$VOLUME/view.new" && mv "$VOLUME/view.new" "$VOLUME/view"
fi
# What this prints would go where the server's own words go.
say "event=wsrep status=$status uuid=$uuid primary=$primary index=$index members=${members:--}" >>"${REPORTS:-/proc/1/fd/1}"
