#!/bin/bash
# Takes backups of the Galera node in the same pod and keeps them in order, without anybody outside of this pod.
#
# A backup is a folder: backup.json says what it is, data.mb.zst is the stream, lsn/ is what an incremental builds on.
# It is written under another name and renamed when it is complete, so whatever has a proper name is whole.
# Lines that begin with GALERACTL are read by programs.
set -uo pipefail

: "${GALERA_MEMBER:?}" "${GALERA_CLUSTER:?}" "${GALERA_NAMESPACE:?}" "${POD_UID:?}"
: "${FULL_SECONDS:?}" "${INCREMENTAL_SECONDS:?}" "${LOG_SECONDS:?}"
export TZ=UTC LC_ALL=C
SCRIPTS=/galeractl/scripts
SERVER=/run/galeractl
OWN=/run/agent
VOLUME=/var/lib/mysql
DATA=$VOLUME/data
LOGS=$VOLUME/binlog
ROOT=/backups/$GALERA_NAMESPACE/$GALERA_CLUSTER
# One that beats less often than this is taken for dead.
DEAD_AFTER=45
# shellcheck source=src/manifests/scripts/backup/common.sh
. "$SCRIPTS/common.sh"
# shellcheck source=src/manifests/scripts/backup/keep.sh
. "$SCRIPTS/keep.sh"

say() { printf 'GALERACTL at=%s member=%s %s\n' "$EPOCHREALTIME" "$GALERA_MEMBER" "$*"; }
# Waits without a process of its own, and ends early when something is asked for.
pause() { read -r -t "$1" <>"$OWN/bell" 2>/dev/null || :; }

# What galeractl shows of this agent.
FAILURES=0 LAST_ERROR='' STATE=starting
tell_state() {
    local free size
    read -r free size < <(df -B1 --output=avail,size "$ROOT" 2>/dev/null | tail -n 1)
    printf '{"member":"%s","pod":"%s","at":%s,"state":"%s","failures":%s,"error":"%s","free":%s,"size":%s,"logs":"%s"}\n' \
        "$GALERA_MEMBER" "$POD_UID" "$EPOCHSECONDS" "$STATE" "$FAILURES" "$(plain "$LAST_ERROR")" \
        "${free:-0}" "${size:-0}" "$(cat "$OWN/logs" 2>/dev/null)" >"$ROOT/agent.json.new" &&
        mv "$ROOT/agent.json.new" "$ROOT/agent.json"
}
state() { STATE=$1; tell_state; }

# --- One writer at a time ---

# The group's uuid tells two clusters of one name on one share apart.
owner() { cut -d ' ' -f "$1" "$ROOT/owner/who" 2>/dev/null; }
has_place() { [ "$(owner 1)" = "$POD_UID" ]; }

take_place() {
    local beat seen='' since=$SECONDS said=no
    until mkdir "$ROOT/owner" 2>/dev/null; do
        # An earlier pod of this very node cannot run any more: its StatefulSet has one pod at most.
        [ "$(owner 2-3)" != "$GALERA_MEMBER $GROUP" ] || break
        beat=$(cat "$ROOT/owner/beat" 2>/dev/null)
        if [ "$beat" != "$seen" ]; then
            [ -z "$seen" ] || [ $said = yes ] || {
                say "event=agent state=waits reason=\"another agent, of $(owner 2), writes here\""
                said=yes
            }
            seen=$beat since=$SECONDS
        fi
        ((SECONDS - since < DEAD_AFTER)) || break
        pause 1
    done
    mkdir -p "$ROOT/owner"
    printf '%s %s %s\n' "$POD_UID" "$GALERA_MEMBER" "$GROUP" >"$ROOT/owner/who"
    beat
    # Two that saw the same death: the one whose name stays goes on.
    pause 1
    has_place
}
beat() { printf '%s %s\n' "$POD_UID" "$EPOCHREALTIME" >"$ROOT/owner/beat"; }
leave_place() { ! has_place || rm -rf "$ROOT/owner"; }

# --- Taking backups ---

fail() {
    LAST_ERROR=$1
    FAILURES=$((FAILURES + 1))
    say "event=backup state=failed request=${REQUEST:-} reason=\"$(plain "$1")\""
    return 1
}

# Serves, with everything, and by the identity that is on record.
node_is_synced() {
    [ -S "$SERVER/mysqld.sock" ] && [ "$(sql "SELECT GROUP_CONCAT(VARIABLE_VALUE ORDER BY VARIABLE_NAME)
        FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN ('wsrep_cluster_status', 'wsrep_local_state')")" = Primary,4 ]
}

status_of() { sql "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = '$1'"; }

# Tells how far the stream is, once a second, until it is killed.
report() {
    while :; do
        say "event=backup state=runs request=${REQUEST:-} id=$2 bytes=$(stat -c %s "$1/data.mb.zst" 2>/dev/null || echo 0)"
        sleep 1
    done
}

# The stream as it comes, compressed; every part of the pipe must have ended well.
stream() {
    local dir=$1
    shift
    mariadb-backup --defaults-file="$SERVER/my.cnf" --backup --stream=mbstream --galera-info \
        --extra-lsndir="$dir/lsn" "$@" 2>"$dir/log" |
        perl "$SCRIPTS/position.pl" "$dir/position" | zstd -q -T0 -3 >"$dir/data.mb.zst"
    [[ "${PIPESTATUS[*]}" = '0 0 0' ]]
}

# Brings the stream to the disk, and prints its sum meanwhile: one needs the disk, the other a processor.
settle() {
    sync -f "$1" &
    sha256sum <"$1" | cut -d ' ' -f 1
    wait $!
}

# Whether there is room: as much as the last one of its kind with a fifth more, and for the first one half of the data.
room_for() {
    local kind=$1 data=$2 free last need
    free=$(df -B1 --output=avail "$ROOT" | tail -n 1)
    last=$(newest_of "$kind")
    if [ -n "$last" ]; then need=$(($(field "$ROOT/$last/backup.json" bytes) * 6 / 5)); else need=$((data / 2)); fi
    [ "$kind" = full ] || [ -n "$last" ] || need=0
    ((free > need)) || { printf '%s bytes are free, %s are needed' "${free// /}" "$need"; return 1; }
}

take() {
    local kind=$1 base='' id dir data incarnation began reporter why options=()
    incarnation=$(cat "$DATA/incarnation" 2>/dev/null)
    [ -n "$incarnation" ] || { fail "this data has no mark of its incarnation yet"; return; }
    if [ "$kind" != full ]; then
        base=$(base_of "$incarnation")
        [ -n "$base" ] || { fail "no backup of this data is there that an incremental could build on"; return; }
        options=("--incremental-basedir=$ROOT/$base/lsn")
    fi
    # What an earlier attempt could not remove.
    rm -rf "$ROOT"/.partial-*
    id=$(new_id "$kind")
    dir=$ROOT/.partial-$id
    data=$(du -sb --exclude=galera.cache --exclude='ib_logfile*' "$DATA" 2>/dev/null | cut -f 1)
    why=$(room_for "$kind" "$data") || { fail "no room on the backup volume: $why"; return; }
    mkdir -p "$dir/lsn" || { fail "cannot write to the backup volume"; return; }
    began=$EPOCHSECONDS
    state "$kind"
    say "event=backup state=begun request=${REQUEST:-} id=$id kind=$kind data=$data"
    report "$dir" "$id" &
    reporter=$!
    stream "$dir" ${options[@]+"${options[@]}"}
    local ended=$?
    kill "$reporter" 2>/dev/null
    wait "$reporter" 2>/dev/null
    if [ $ended != 0 ] || ! grep -q 'completed OK!' "$dir/log"; then
        tail -n 20 "$dir/log" >&2
        why=$(grep -E '\[ERROR\]|\[00\] FATAL|Error' "$dir/log" | tail -n 1)
        rm -rf "$dir"
        fail "mariadb-backup failed: ${why:-see the log of this container}"
        return
    fi
    if ! why=$(finish "$dir" "$id" "$kind" "$base" "$incarnation" "$began" "$data"); then
        rm -rf "$dir"
        fail "$why"
        return
    fi
    FAILURES=0 LAST_ERROR=''
    state idle
    say "event=backup state=done request=${REQUEST:-} id=$id kind=$kind bytes=$(field "$ROOT/$id/backup.json" bytes) seconds=$((EPOCHSECONDS - began))"
    tidy
}

# Writes what the backup is, and gives it its name. Prints what is wrong with it, if anything is.
finish() {
    local dir=$1 id=$2 kind=$3 base=$4 incarnation=$5 began=$6 data=$7 from to position gtid log chain sum
    from=$(checkpoint "$dir/lsn" from_lsn) to=$(checkpoint "$dir/lsn" to_lsn)
    [ -n "$from" ] && [ -n "$to" ] || { echo "mariadb-backup left no log sequence numbers"; return 1; }
    chain=$id
    if [ -n "$base" ]; then
        [ "$from" = "$(field "$ROOT/$base/backup.json" to_lsn)" ] && ((to >= from)) ||
            { echo "the incremental does not continue $base (from $from to $to)"; return 1; }
        chain=$(field "$ROOT/$base/backup.json" chain)
    fi
    [ "$incarnation" = "$(cat "$DATA/incarnation" 2>/dev/null)" ] || { echo "the data was replaced by a state transfer meanwhile"; return 1; }
    position=$(cat "$dir/position")
    [[ $position =~ ^[0-9a-f-]{36}:[0-9]+$ ]] || { echo "the backup names no position in the group's history"; return 1; }
    sum=$(settle "$dir/data.mb.zst") && [ -n "$sum" ] || { echo "cannot write to the backup volume"; return 1; }
    log=$(sed -n 's/^binlog_pos = //p' "$dir"/lsn/*_info 2>/dev/null)
    gtid=$(sed -nE "s/.*GTID of the last change '([^']*)'.*/\1/p" <<<"$log")
    printf '{"id":"%s","kind":"%s","chain":"%s","base":"%s","namespace":"%s","cluster":"%s","member":"%s","incarnation":"%s","uuid":"%s","seqno":%s,"gtid":"%s","from_lsn":%s,"to_lsn":%s,"version":"%s","began":%s,"ended":%s,"bytes":%s,"data":%s,"sha256":"%s"}\n' \
        "$id" "$kind" "$chain" "$base" "$GALERA_NAMESPACE" "$GALERA_CLUSTER" "$GALERA_MEMBER" "$incarnation" \
        "${position%:*}" "${position##*:}" "$gtid" "$from" "$to" "$(sql 'SELECT VERSION()')" "$began" "$EPOCHSECONDS" \
        "$(stat -c %s "$dir/data.mb.zst")" "$data" "$sum" >"$dir/backup.json" || { echo "cannot write to the backup volume"; return 1; }
    rm -f "$dir/position" "$dir/log"
    sync -f "$dir" && mv "$dir" "$ROOT/$id" && sync -f "$ROOT" || { echo "cannot write to the backup volume"; return 1; }
}

# Full when there is nothing to build on or the chain is old, else incremental; nothing where nothing is due.
due() {
    local incarnation base chain
    incarnation=$(cat "$DATA/incarnation" 2>/dev/null)
    base=$(base_of "$incarnation")
    if [ -z "$base" ]; then echo full; return; fi
    chain=$(field "$ROOT/$base/backup.json" chain)
    if ((EPOCHSECONDS - $(field "$ROOT/$chain/backup.json" began) >= FULL_SECONDS)); then
        echo full
    elif ((EPOCHSECONDS - $(field "$ROOT/$base/backup.json" began) >= INCREMENTAL_SECONDS)); then
        echo inc
    fi
}

# --- What is asked for from outside: one line "id verb argument" ---

answer_request() {
    local verb argument
    [ -e "$OWN/request" ] || return 0
    read -r REQUEST verb argument <"$OWN/request"
    rm -f "$OWN/request"
    case $verb in
        backup)
            if node_is_synced; then
                case $argument in full | inc) take "$argument" ;; *) take "$([ -n "$(base_of "$(cat "$DATA/incarnation")")" ] && echo inc || echo full)" ;; esac
                touch "$OWN/ship"
            else
                fail "the node is not Synced"
            fi
            ;;
        tidy) tidy && say "event=backup state=done request=$REQUEST" ;;
        *) fail "unknown request $verb" ;;
    esac
    REQUEST=''
    state idle
}

# Beside the backups, which may take hours: what is written meanwhile is copied all the same.
ship_for_ever() {
    local next=0
    while has_place; do
        if ((EPOCHSECONDS >= next)) || [ -e "$OWN/ship" ]; then
            rm -f "$OWN/ship"
            node_is_synced && ship_logs
            next=$((EPOCHSECONDS + LOG_SECONDS))
        fi
        sleep 1
    done
}

work() {
    local kind wait next=0
    REQUEST=''
    say 'event=agent state=waits reason="its node is not Synced yet"'
    until node_is_synced; do pause 1; done
    GROUP=$(status_of wsrep_cluster_state_uuid)
    until mkdir -p "$ROOT" 2>/dev/null && [ -w "$ROOT" ]; do
        say 'event=agent state=waits reason="the backup volume cannot be written to by user 999"'
        pause 10
    done
    until take_place; do pause 1; done
    rm -rf "$ROOT"/.partial-* "$ROOT"/.trash-*
    say 'event=agent state=ready'
    while has_place; do beat; sleep 10; done &
    ship_for_ever &
    state idle
    while :; do
        # Also what the copying of binary logs has met, and how much room there is.
        ((EPOCHSECONDS % 30)) || tell_state
        has_place || { say 'event=agent state=lost reason="another agent has taken this place"'; exit 1; }
        answer_request
        if ((EPOCHSECONDS >= next)) && node_is_synced; then
            kind=$(due)
            next=$((EPOCHSECONDS + 5))
            if [ -n "$kind" ] && ! take "$kind"; then
                # 10 s, 20 s, 40 s, … up to a quarter of an hour.
                wait=$((10 << (FAILURES < 8 ? FAILURES - 1 : 7)))
                next=$((EPOCHSECONDS + (wait < 900 ? wait : 900)))
            fi
            state idle
        fi
        pause 1
    done
}

end() {
    leave_place
    exit 0
}

mkdir -p "$OWN"
[ -p "$OWN/bell" ] || mkfifo "$OWN/bell"
# A signal that meets bash in the middle of a substitution can be lost; this process does nothing but wait for one. When
# it ends, everything in this container ends.
work &
trap end TERM INT
wait $!
