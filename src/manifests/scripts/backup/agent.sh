#!/bin/bash
# Takes backups of the Galera node in the same pod and keeps them in order, without anybody outside of this pod.
#
# A backup is a folder: backup.json says what it is, data.mb.zst is the stream, lsn/ is what an incremental builds on. With
# ENCRYPTION=own the stream is encrypted, and backup.json.sig is the signature of backup.json.
# It is written under another name and renamed when it is complete, so whatever has a proper name is whole.
# Lines that begin with GALERACTL are read by programs.
# The first process of a container does not get a signal for which it has no handler yet.
trap 'exit 143' TERM INT
set -uo pipefail

: "${GALERA_MEMBER:?}" "${GALERA_CLUSTER:?}" "${GALERA_NAMESPACE:?}" "${POD_UID:?}"
: "${FULL_SECONDS:?}" "${INCREMENTAL_SECONDS:?}" "${LOG_SECONDS:?}"
export TZ=UTC LC_ALL=C
# What is written is for this user only, from its first byte on.
umask 077
SCRIPTS=${BASH_SOURCE[0]%/*}
SERVER=/run/galeractl
OWN=/run/agent
VOLUME=/var/lib/mysql
DATA=$VOLUME/data
LOGS=$VOLUME/binlog
KEYS=/galeractl/keys
ROOT=/backups/$GALERA_NAMESPACE/$GALERA_CLUSTER
# Such as `11.8.`, of the server that the data is read with.
SERIES=$(mariadbd --version 2>/dev/null | grep -oE '[0-9]+[.][0-9]+[.]' | head -n 1)
# One that beats less often than this is taken for dead.
DEAD_AFTER=45
# shellcheck source=src/manifests/scripts/backup/common.sh
. "$SCRIPTS/common.sh"
# shellcheck source=src/manifests/scripts/backup/seal.sh
. "$SCRIPTS/seal.sh"
# shellcheck source=src/manifests/scripts/backup/keep.sh
. "$SCRIPTS/keep.sh"

# One line, whatever is in it.
say() { printf 'GALERACTL at=%s member=%s %s\n' "$EPOCHREALTIME" "$GALERA_MEMBER" "${*//[![:print:]]/ }"; }
sql() { timeout 20 mariadb --defaults-file="$SERVER/my.cnf" -NBe "$1" 2>/dev/null; }
# Seconds since the host was started, in NOW. Nobody sets them, as happens to the time of day.
look_at_clock() {
    read -r NOW _ </proc/uptime
    NOW=${NOW%%.*}
}
# Puts a file or a folder in the place of whatever is there, which may be a link or a folder that somebody has planted.
replace() {
    is_file "$2" || rm -rf "$2"
    mv -fT "$1" "$2"
}
# Writes a file whole or not at all.
put() {
    rm -rf "$1.new"
    (set -C && printf '%s\n' "$2" >"$1.new") && replace "$1.new" "$1"
}
incarnation() { ! read_line "$DATA/incarnation" || only "$UUID" "$LINE"; }
# Waits without a process of its own, and ends early when something is asked for.
pause() { read -r -t "$1" <>"$OWN/bell" 2>/dev/null || :; }

# What this process has taken itself, and when it was begun by NOW.
TAKEN='' TAKEN_AT='' FULL='' FULL_AT=''
# What galeractl shows of this agent.
FAILURES=0 LAST_ERROR='' STATE=starting
# Its own memory can be written to also when the volume cannot.
tell_state() {
    local free size told
    read -r free size < <(df -B1 --output=avail,size "$ROOT" 2>/dev/null | tail -n 1)
    told=$(object member "$GALERA_MEMBER" pod "$POD_UID" at# "$EPOCHSECONDS" state "$STATE" \
        failures# "$FAILURES" error "$LAST_ERROR" free# "${free:-}" size# "${size:-}" logs "$(cat "$OWN/logs" 2>/dev/null)")
    put "$OWN/agent.json" "$told"
    ! has_root || put "$ROOT/agent.json" "$told"
}
state() { STATE=$1; tell_state; }

# --- One writer at a time ---

# The group's uuid tells two clusters of one name on one share apart.
read_owner() {
    OWNER_POD='' OWNER_MEMBER='' OWNER_GROUP=''
    ! read_line "$ROOT/owner/who" || ! is "$UUID $MEMBER $UUID" "$LINE" || read -r OWNER_POD OWNER_MEMBER OWNER_GROUP <<<"$LINE"
}
has_place() { read_owner; [ "$OWNER_POD" = "$POD_UID" ]; }

# Whether there is a folder for this cluster that can be written to. A link would lead elsewhere.
has_root() {
    [ ! -L "${ROOT%/*}" ] && [ ! -L "$ROOT" ] && mkdir -p "$ROOT" 2>/dev/null && is_folder "$ROOT" && [ -w "$ROOT" ]
}

take_place() {
    local seen='' said=no since
    look_at_clock
    since=$NOW
    until mkdir "$ROOT/owner" 2>/dev/null; do
        if ! is_folder "$ROOT/owner"; then rm -rf "$ROOT/owner"; continue; fi
        read_owner
        # An earlier pod of this very node cannot run any more: its StatefulSet has one pod at most.
        [ "$OWNER_MEMBER $OWNER_GROUP" != "$GALERA_MEMBER $GROUP" ] || break
        read_line "$ROOT/owner/beat" || :
        look_at_clock
        if [ "$LINE" != "$seen" ]; then
            [ -z "$seen" ] || [ $said = yes ] || {
                say "event=agent state=waits reason=\"another agent, of ${OWNER_MEMBER:-an unknown node}, writes here\""
                said=yes
            }
            seen=$LINE since=$NOW
        fi
        ((NOW - since < DEAD_AFTER)) || break
        pause 1
    done
    put "$ROOT/owner/who" "$POD_UID $GALERA_MEMBER $GROUP"
    beat
    # Two that saw the same death: the one whose name stays goes on.
    pause 1
    has_place
}
beat() { put "$ROOT/owner/beat" "$POD_UID $EPOCHREALTIME"; }
leave_place() { ! has_place || rm -rf "$ROOT/owner"; }

# --- Taking backups ---

fail() {
    LAST_ERROR=$(plain "${1:0:400}")
    FAILURES=$((FAILURES + 1))
    say "event=backup state=failed request=${REQUEST:-} reason=\"$LAST_ERROR\""
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

# The stream as it comes, compressed and encrypted; every part of the pipe must have ended well.
stream() {
    local dir=$1
    shift
    # It reads the server's options, certificates included, which are not here.
    mariadb-backup --defaults-file="$SERVER/my.cnf" --skip-ssl --backup --stream=mbstream --galera-info \
        --extra-lsndir="$dir/lsn" "$@" 2>"$dir/log" |
        perl "$SCRIPTS/position.pl" "$dir/position" | zstd -q -T0 -3 | encrypted >"$dir/data.mb.zst"
    [[ "${PIPESTATUS[*]}" = '0 0 0 0' ]]
}

# Brings the stream to the disk, and prints its sum meanwhile: one needs the disk, the other a processor. openssl takes a
# fifth of the time of sha256sum, where the processor has instructions for it.
settle() {
    local syncs
    sync -f "$1" &
    syncs=$!
    openssl dgst -sha256 -r <"$1" | cut -d ' ' -f 1
    wait $syncs
}

# Whether there is room: as much as the last one of its kind with a fifth more, and for the first one half of the data.
# No stream is larger than the data.
room_for() {
    local kind=$1 data=$2 free last='' need id
    free=$(number "$(df -B1 --output=avail "$ROOT" | tail -n 1 | tr -d ' ')")
    while read -r id; do [[ $id != *-"$kind" ]] || ! describe "$id" || last=$BYTES; done < <(backups)
    if [ -n "$last" ]; then need=$((last + last / 5)); else need=$((data / 2)); fi
    ((need <= data)) || need=$data
    [ "$kind" = full ] || [ -n "$last" ] || need=0
    ((free > need)) || { printf '%s bytes are free, %s are needed' "$free" "$need"; return 1; }
}

take() {
    local kind=$1 base='' id dir data incarnation began reporter why options=()
    incarnation=$(incarnation)
    [ -n "$incarnation" ] || { fail "this data has no mark of its incarnation yet"; return; }
    if [ "$kind" != full ]; then
        base=$(base_of "$incarnation")
        [ -n "$base" ] || { fail "no backup of this data is there that an incremental could build on"; return; }
        options=("--incremental-basedir=$ROOT/$base/lsn")
    fi
    new_key || { fail "no key can be made for it"; return; }
    # What an earlier attempt could not remove.
    rm -rf "$ROOT"/.partial-*
    id=$(new_id "$kind")
    dir=$ROOT/.partial-$id
    data=$(number "$(du -sb --exclude=galera.cache --exclude='ib_logfile*' "$DATA" 2>/dev/null | cut -f 1)")
    why=$(room_for "$kind" "$data") || { fail "no room on the backup volume: $why"; return; }
    # A folder that was not there before holds no links.
    mkdir "$dir" "$dir/lsn" || { fail "cannot write to the backup volume"; return; }
    began=$EPOCHSECONDS
    look_at_clock
    local begun_at=$NOW
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
    look_at_clock
    TAKEN=$id TAKEN_AT=$begun_at
    [ "$kind" != full ] || FULL=$id FULL_AT=$begun_at
    state idle
    describe "$id"
    say "event=backup state=done request=${REQUEST:-} id=$id kind=$kind bytes=$BYTES seconds=$((NOW - begun_at))"
    tidy
}

# Writes what the backup is, and gives it its name. Prints what is wrong with it, if anything is.
finish() {
    local dir=$1 id=$2 kind=$3 base=$4 incarnation=$5 began=$6 data=$7 from to log chain sum base_sum=''
    from=$(checkpoint "$dir/lsn" from_lsn) to=$(checkpoint "$dir/lsn" to_lsn)
    [ -n "$from" ] && [ -n "$to" ] || { echo "mariadb-backup left no log sequence numbers"; return 1; }
    chain=$id
    if [ -n "$base" ]; then
        describe "$base" && is_own "$ROOT/$base/backup.json" && [ "$from" = "$TO_LSN" ] && ((to >= from)) ||
            { echo "the incremental does not continue $base (from $from to $to)"; return 1; }
        chain=$CHAIN base_sum=$SUM
    fi
    [ "$incarnation" = "$(incarnation)" ] || { echo "the data was replaced by a state transfer meanwhile"; return 1; }
    read_line "$dir/position" && is "$UUID:$NUMBER" "$LINE" || { echo "the backup names no position in the group's history"; return 1; }
    sum=$(settle "$dir/data.mb.zst") && [ -n "$sum" ] || { echo "cannot write to the backup volume"; return 1; }
    log=$(sed -n 's/^binlog_pos = //p' "$dir"/lsn/*_info 2>/dev/null)
    describe_to "$dir/backup.json" id "$id" kind "$kind" chain "$chain" base "$base" namespace "$GALERA_NAMESPACE" cluster "$GALERA_CLUSTER" \
        member "$GALERA_MEMBER" incarnation "$incarnation" uuid "${LINE%:*}" seqno# "${LINE##*:}" \
        gtid "$(only "$GTIDS" "$(sed -nE "s/.*GTID of the last change '([^']*)'.*/\1/p" <<<"$log")")" \
        from_lsn# "$from" to_lsn# "$to" version "$(sql 'SELECT VERSION()')" began# "$began" ended# "$EPOCHSECONDS" \
        bytes# "$(stat -c %s "$dir/data.mb.zst")" data# "$data" sha256 "$sum" base_sum "$base_sum" || { echo "cannot write to the backup volume"; return 1; }
    rm -f "$dir/position" "$dir/log"
    sync -f "$dir" && mv -T "$dir" "$ROOT/$id" && sync -f "$ROOT" || { echo "cannot write to the backup volume"; return 1; }
}
checkpoint() { only "$NUMBER" "$(cat "$1"/*_checkpoints 2>/dev/null | sed -n "s/^$2 = //p")"; }

# How long ago a backup was begun, in seconds: by the clock of this process if it has taken the backup itself, else by
# what the backup says. The time of day may have been set back since; this process has waited at least as long as it runs.
age() {
    local said=$((EPOCHSECONDS - $1)) since=$((NOW - ${2:-$STARTED_AT}))
    [ -n "$2" ] || ((said <= since)) || since=$said
    printf '%s' "$since"
}

# Full when there is nothing to build on or the chain is old, else incremental; nothing where nothing is due. Never more
# often than the interval of incremental ones, whatever lies on the volume and however the time of day jumps.
due() {
    local base own=''
    look_at_clock
    [ -z "$TAKEN_AT" ] || ((NOW - TAKEN_AT >= INCREMENTAL_SECONDS)) || return 0
    base=$(base_of "$(incarnation)")
    [ -n "$base" ] && describe "$base" && describe "$CHAIN" || { echo full; return; }
    [ "$CHAIN" != "$FULL" ] || own=$FULL_AT
    if (($(age "$BEGAN" "$own") >= FULL_SECONDS)); then echo full; return; fi
    describe "$base"
    own=''
    [ "$base" != "$TAKEN" ] || own=$TAKEN_AT
    (($(age "$BEGAN" "$own") < INCREMENTAL_SECONDS)) || echo inc
}

# --- What is asked for from outside: one line "id verb argument" ---

answer_request() {
    local verb argument
    [ -e "$OWN/request" ] || return 0
    read -r REQUEST verb argument <"$OWN/request"
    REQUEST=$(only '[A-Za-z0-9]{1,64}' "$REQUEST")
    rm -f "$OWN/request"
    case $verb in
        backup)
            if node_is_synced; then
                case $argument in full | inc) take "$argument" ;; *) take "$([ -n "$(base_of "$(incarnation)")" ] && echo inc || echo full)" ;; esac
                touch "$OWN/ship"
            else
                fail "the node is not Synced"
            fi
            ;;
        tidy) tidy && say "event=backup state=done request=$REQUEST" ;;
        *) fail 'the request is unknown' ;;
    esac
    REQUEST=''
    state idle
}

# Beside the backups, which may take hours: what is written meanwhile is copied all the same.
ship_for_ever() {
    local next=0
    while has_place; do
        look_at_clock
        if ((NOW >= next)) || [ -e "$OWN/ship" ]; then
            rm -f "$OWN/ship"
            node_is_synced && ship_logs
            next=$((NOW + LOG_SECONDS))
        fi
        sleep 1
    done
}

work() {
    local kind wait next=0
    REQUEST=''
    say 'event=agent state=waits reason="its node is not Synced yet"'
    until node_is_synced; do pause 1; done
    GROUP=''
    until [ -n "$GROUP" ]; do
        GROUP=$(only "$UUID" "$(status_of wsrep_cluster_state_uuid)")
        pause 1
    done
    until has_root; do
        fail 'the backup volume cannot be written to by user 999, or has a link where the folder of this cluster belongs'
        state waits
        pause 10
    done
    FAILURES=0 LAST_ERROR=''
    until take_place; do pause 1; done
    rm -rf "$ROOT"/.partial-* "$ROOT"/.trash-*
    say 'event=agent state=ready'
    while has_place; do beat; sleep 10; done &
    ship_for_ever &
    state idle
    look_at_clock
    STARTED_AT=$NOW
    while :; do
        # Also what the copying of binary logs has met, and how much room there is.
        ((NOW % 30)) || tell_state
        has_place || { say 'event=agent state=lost reason="another agent has taken this place"'; exit 1; }
        answer_request
        look_at_clock
        if ((NOW >= next)) && node_is_synced; then
            kind=$(due)
            next=$((NOW + 5))
            if [ -n "$kind" ] && ! take "$kind"; then
                # 10 s, 20 s, 40 s, … up to a quarter of an hour.
                wait=$((10 << (FAILURES < 8 ? FAILURES - 1 : 7)))
                next=$((NOW + (wait < 900 ? wait : 900)))
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

# Only its functions are wanted.
[ "${BASH_SOURCE[0]}" = "$0" ] || return 0
mkdir -p "$OWN"
rm -f "$OWN/agent.json"
[ -p "$OWN/bell" ] || mkfifo "$OWN/bell"
# A signal that meets bash in the middle of a substitution can be lost; this process does nothing but wait for one. When
# it ends, everything in this container ends.
work &
trap end TERM INT
wait $!
