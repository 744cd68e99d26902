#!/bin/bash
# Answers one HTTP request: /ready for load balancers, /live for kubelet, /state for peers.
RUN=/run/galeractl
STATE=/galeractl/state
ZERO=00000000-0000-0000-0000-000000000000

answer() {
    local body="$2"$'\n'
    printf 'HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "$1" "${#body}" "$body"
    exit 0
}

read -r -t 2 _ path _ || exit 1
while read -r -t 2 header && [ -n "${header%$'\r'}" ]; do :; done

read -r phase 2>/dev/null <"$RUN/phase"
read -r crashes 2>/dev/null <"$RUN/crashes"
if [ "$path" = /state ]; then
    # What the server itself has told of last. It is removed when the server ends.
    read -r wsrep 2>/dev/null <"$RUN/wsrep"
    serves=no primary=no
    [[ ${wsrep:-} != *primary=yes* || $wsrep == *uuid=$ZERO* ]] || primary=yes
    # One that gives a transfer has everything as well: it counts together with the joiner that it serves.
    # One that is about to end gives nothing any more.
    [[ $primary = no || -e $RUN/draining || ! $wsrep =~ status=(synced|donor|joined) ]] || serves=yes
    answer '200 OK' "phase=${phase:-none} serves=$serves primary=$primary crashes=${crashes:-0} ${wsrep:-status=closed}"
fi
declare -A s=()
# While a transfer runs there is no socket, and asking would only cost a process.
if [ -S "$RUN/mysqld.sock" ]; then
    while IFS=$'\t' read -r name value; do s[$name]=$value; done < <(
        timeout 2 mariadb --defaults-file="$RUN/my.cnf" -NB -e "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_status',
            'wsrep_local_state', 'wsrep_ready', 'wsrep_connected', 'wsrep_cluster_state_uuid', 'wsrep_local_state_comment');
            SHOW GLOBAL VARIABLES LIKE 'wsrep_reject_queries'" 2>/dev/null
    )
fi
uuid=${s[wsrep_cluster_state_uuid]:-}
expected=$(cat "$STATE/uuid" 2>/dev/null)
primary=no ready=no
if [ "${s[wsrep_cluster_status]:-}" = Primary ] && [ -n "$uuid" ] && [ "$uuid" != "$ZERO" ]; then primary=yes; fi
if [ $primary = yes ] && [ "${s[wsrep_ready]:-}" = ON ]; then
    # A donor goes on serving: its transfer does not block.
    case ${s[wsrep_local_state]:-} in 2 | 4) ready=yes ;; esac
fi
[ "${s[wsrep_reject_queries]:-NONE}" = NONE ] || ready=no
[ -z "$expected" ] || [ "$uuid" = "$expected" ] || ready=no
[ ! -e "$RUN/draining" ] || ready=no
summary="phase=${phase:-none} primary=$primary ready=$ready state=${s[wsrep_local_state_comment]:-closed} uuid=${uuid:-none}"

case $path in
    /live)
        # Only a server that has left the group for good is helped by a restart. Non-Primary, joining or
        # waiting servers are not: killing them destroys what they wait with.
        if [ "${s[wsrep_connected]:-ON}" = OFF ]; then answer '503 Service Unavailable' "$summary"; fi
        answer '200 OK' "$summary"
        ;;
    *)
        if [ $ready = yes ]; then answer '200 OK' "$summary"; fi
        answer '503 Service Unavailable' "$summary"
        ;;
esac
