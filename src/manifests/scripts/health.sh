#!/bin/bash
# Answers one HTTP request: /ready for load balancers, /live for kubelet, /state for peers.
RUN=${RUN:-/run/galeractl}
STATE=${STATE:-/galeractl/state}
SCRIPTS=${SCRIPTS:-/galeractl/scripts}
# shellcheck source=/dev/null # it lies beside this file
source "$SCRIPTS/volume.sh"
# A server that has answered before and is silent for this many seconds hangs.
PATIENCE=300

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
    read -r held 2>/dev/null <"$RUN/held"
    # A volume whose data was put aside is not one that never had any.
    for dir in "$VOLUME"/restore.old "$VOLUME"/aside.*; do
        [ ! -d "$dir" ] || [ "${held:-}" != nothing ] || held=kept
    done
    serves=no primary=no
    # A component that has lost track of its origin is none that anybody could join.
    [[ ${wsrep:-} != *uuid=$ZERO* ]] || wsrep=${wsrep/primary=yes/primary=no}
    [[ ${wsrep:-} != *primary=yes* ]] || primary=yes
    # One that gives a transfer has everything as well: it counts together with the joiner that it serves.
    # One that is about to end gives nothing any more.
    [[ $primary = no || -e $RUN/draining || ! $wsrep =~ status=(synced|donor|joined) ]] || serves=yes
    # What a restore has left, and whether the data is still where the server has it.
    left=''
    [ ! -e "$VOLUME/restore.new" ] || left+=,prepared
    [ ! -e "$VOLUME/restore.old" ] || left+=,kept
    [ "${phase:-}" != up ] || [ -d "$VOLUME/data/mysql" ] || left+=,emptied
    left=${left#,}
    first=''
    for word in gives begins copy; do
        ! read -r position 2>/dev/null <"$RUN/$word" || first+="$word=$position "
    done
    answer '200 OK' "phase=${phase:-none} serves=$serves primary=$primary held=${held:-none} left=${left:-none} crashes=${crashes:-0} $first${wsrep:-status=closed}"
fi
declare -A s=()
silent=no
# While a transfer runs there is no socket, and asking would only cost a process.
if [ -S "$RUN/mysqld.sock" ]; then
    rows=$(timeout 2 mariadb --defaults-file="$RUN/my.cnf" -NB -e "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_status',
        'wsrep_local_state', 'wsrep_ready', 'wsrep_connected', 'wsrep_cluster_state_uuid', 'wsrep_local_state_comment',
        'wsrep_last_committed'); SHOW GLOBAL VARIABLES LIKE 'wsrep_reject_queries'" 2>&1) ||
        # A server that says no, such as one with too many connections, is alive.
        [[ $rows =~ (ERROR|verified:)\ 1 ]] || silent=yes
    while IFS=$'\t' read -r name value; do s[${name:-none}]=$value; done <<<"$rows"
fi
# All its connections are taken, which says nothing about its place in the group: what it has told of last counts.
if [[ ${rows:-} =~ (ERROR|verified:)\ (1040|1203|1226)\  ]]; then
    read -r wsrep 2>/dev/null <"$RUN/wsrep"
    if [[ ${wsrep:-} =~ ^status=(synced|donor)\ primary=yes\ uuid=($UUID)\  ]]; then
        s=([wsrep_cluster_status]=Primary [wsrep_ready]=ON [wsrep_cluster_state_uuid]=${BASH_REMATCH[2]}
            [wsrep_local_state_comment]=${BASH_REMATCH[1]} [wsrep_local_state]=4)
    fi
fi
uuid=${s[wsrep_cluster_state_uuid]:-}
read -r expected 2>/dev/null <"$STATE/uuid"
expected=${expected:-$(identity uuid)}
primary=no ready=no
if [ "${s[wsrep_cluster_status]:-}" = Primary ] && [ -n "$uuid" ] && [ "$uuid" != "$ZERO" ]; then primary=yes; fi
if [ $primary = yes ] && [ "${s[wsrep_ready]:-}" = ON ]; then
    # A donor goes on serving: its transfer does not block.
    case ${s[wsrep_local_state]:-} in 2 | 4) ready=yes ;; esac
fi
[ "${s[wsrep_reject_queries]:-NONE}" = NONE ] || ready=no
[ -z "$expected" ] || [ "$uuid" = "$expected" ] || ready=no
# Files that were removed under a running server are gone with its end.
[ -d "$VOLUME/data/mysql" ] || ready=no
# It is about to end: to the proxies this answer means that nobody else is to come, and that those who are here may stay.
[ ! -e "$RUN/draining" ] || [ $ready = no ] || ready=ends
summary="phase=${phase:-none} primary=$primary ready=$ready state=${s[wsrep_local_state_comment]:-closed} uuid=${uuid:-none}"

# The highest position that this member has committed, kept beside its data: when a volume is lost or comes back older
# than it was, this says what has existed. Written by one at a time, every two seconds at most, and never lowered.
is_remembered() {
    local committed=${s[wsrep_last_committed]:-} known='' at=''
    [[ $ready = yes && $committed =~ ^[0-9]{1,18}$ ]] || return 0
    { read -r known && read -r at; } 2>/dev/null <"$VOLUME/seen"
    [[ $at =~ ^at=([0-9]{1,12})$ ]] && ((EPOCHSECONDS - 10#${BASH_REMATCH[1]} < 2)) && ((EPOCHSECONDS >= 10#${BASH_REMATCH[1]})) && return 0
    [[ $known =~ ^position=$uuid:([0-9]{1,18})$ ]] && ((10#${BASH_REMATCH[1]} >= committed))
}
remember_position() {
    printf 'position=%s:%s\nat=%s\n' "$uuid" "${s[wsrep_last_committed]}" "$EPOCHSECONDS" >"$VOLUME/seen.new" &&
        mv "$VOLUME/seen.new" "$VOLUME/seen"
}
# Looked at before, since most answers need no lock, and again with it.
is_remembered || (exec 8>"$RUN/seen.lock" && flock -n 8 && ! is_remembered && remember_position) 2>/dev/null

# Seconds for which a server that was up has not answered, as SILENCE.
silence() {
    SILENCE=0
    if [ $silent = no ] || [ "$phase" != up ] || [ -e "$VOLUME/data/sst_in_progress" ]; then
        [ ! -e "$RUN/silent" ] || rm -f "$RUN/silent"
        return
    fi
    [ -e "$RUN/silent" ] || touch "$RUN/silent"
    SILENCE=$((EPOCHSECONDS - $(modified "$RUN/silent")))
}

case $path in
    /live)
        # Only a server that has left the group for good or hangs is helped by a restart. Non-Primary, joining or
        # waiting servers are not: killing them destroys what they wait with.
        if [ "${s[wsrep_connected]:-ON}" = OFF ]; then answer '503 Service Unavailable' "$summary"; fi
        silence
        if ((SILENCE >= PATIENCE)); then answer '503 Service Unavailable' "$summary silent=yes"; fi
        answer '200 OK' "$summary"
        ;;
    *)
        if [ $ready = yes ]; then answer '200 OK' "$summary"; fi
        if [ $ready = ends ]; then answer '404 Not Found' "$summary"; fi
        answer '503 Service Unavailable' "$summary"
        ;;
esac
