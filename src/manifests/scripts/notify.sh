#!/bin/bash
# Called by mariadbd at every change of its state or of the group; must not talk to the server, which waits for it.
RUN=/run/galeractl
status=- uuid=- primary=- index=- members=-
while [ $# -gt 0 ]; do
    case $1 in
        --status) status=$2 ;;
        --uuid) uuid=$2 ;;
        --primary) primary=$2 ;;
        --index) index=$2 ;;
        --members) members=$(tr ',' '\n' <<<"$2" | cut -d / -f 2 | paste -sd , -) ;;
    esac
    shift 2 || break
done
# Peers that wait for their turn ask for this several times a second; a query for each would cost a process.
printf 'status=%s primary=%s uuid=%s\n' "${status,,}" "$primary" "$uuid" >"$RUN/wsrep.new" && mv "$RUN/wsrep.new" "$RUN/wsrep"
# A copy of the data that came by a state transfer is another one for backups: the transfer has deleted this file.
[ "${status,,}" != synced ] || [ -e /var/lib/mysql/data/incarnation ] || cp /proc/sys/kernel/random/uuid /var/lib/mysql/data/incarnation
case ${status,,} in
    synced) touch "$RUN/joined" && rm -f "$RUN/seed.sql" && printf 'up\n' >"$RUN/phase" ;;
    donor*) ;;
    joiner) printf 'joining\n' >"$RUN/phase" ;;
esac
# stdout is a pipe back to the server; stderr is the container's log.
printf 'GALERACTL at=%s member=%s event=wsrep status=%s uuid=%s primary=%s index=%s members=%s\n' \
    "$EPOCHREALTIME" "${GALERA_MEMBER:-}" "$status" "$uuid" "$primary" "$index" "$members" >&2
