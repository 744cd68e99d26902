# What lies on a data volume, and whose it is. Everything that starts on a volume, empties it or turns it asks here
# first, so that all of them mean the same by the same words. Looking changes nothing.
# shellcheck shell=bash
VOLUME=${VOLUME:-/var/lib/mysql}
ZERO=00000000-0000-0000-0000-000000000000
UUID='[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'

# Files on a volume are data of whoever wrote them: only what looks as it must becomes a value. `only PATTERN TEXT LONGEST`,
# since a pattern that counts to a thousand takes longer than all the rest of a script.
only() { ((${#2} <= ${3:-100})) && [[ ${2:-} =~ ^($1)$ ]] && printf '%s' "$2"; }
uuid_of() { only "$UUID" "${1,,}"; }
number_of() { only '[0-9]{1,19}' "${1:-}"; }

# A line of a small text file on the volume: `value FILE KEY` reads `KEY=…` or `KEY: …`.
value() {
    local line left=64
    [ -f "$1" ] && [ ! -L "$1" ] || return 0
    while ((left-- > 0)) && { IFS= read -r -n 4096 line || [ -n "$line" ]; } 2>/dev/null; do
        [[ $line == "$2"[=:]* ]] || continue
        line=${line#"$2"?}
        line=${line#"${line%%[![:space:]]*}"}
        printf '%s' "${line%%[[:space:]]*}"
        return
    done <"$1"
}

# An empty database that no server has ever led a component on is nobody's data. The mark goes with the first view, and the
# identity comes before the first client.
is_unused() { [ -e "$VOLUME/initialising" ] && [ ! -e "$VOLUME/identity" ]; }

modified() { stat -c %Y -- "$1" 2>/dev/null || printf 0; }

# Whether there is a file: `any_file FOLDER [TESTS]`. What cannot be looked at is not empty.
any_file() {
    local one
    [ -e "$1" ] || return 1
    one=$(find -H "$@" ! -type d -print -quit 2>/dev/null) || return 0
    [ -n "$one" ]
}

# A state transfer into this folder has begun and has not come to its end: what lies there is no copy of anything. Galera
# also takes the uuid away from data that has turned out to differ from that of the others.
unfinished() {
    [ ! -e "$1/sst_in_progress" ] || return 0
    [ -e "$1/grastate.dat" ] || return 1
    [ -s "$1/grastate.dat" ] || return 0
    [ "$(value "$1/grastate.dat" uuid)" = "$ZERO" ]
}

# What a data directory holds, in one word: nothing, files (no database), unfinished (half a state transfer), or
# database:UUID:SEQNO. After a crash the position is in the server's log only; then the time of the last write stands
# for it, so that one who comes later sees whether the data has moved on.
held_in() {
    local uuid seqno
    if unfinished "$1"; then
        printf unfinished
    elif [ ! -d "$1/mysql" ]; then
        if any_file "$1" -mindepth 1; then printf files; else printf nothing; fi
    else
        uuid=$(uuid_of "$(value "$1/grastate.dat" uuid)")
        seqno=$(number_of "$(value "$1/grastate.dat" seqno)")
        [ -n "$seqno" ] || seqno=crashed-$(modified "$1/ib_logfile0")
        printf 'database:%s:%s' "${uuid:-unknown}" "$seqno"
    fi
}

# What the whole volume holds. A file that is not ours is somebody's, be it a database at another place.
held() {
    local data ours
    data=$(held_in "$VOLUME/data")
    ours=(-path "$VOLUME/data" -o -path "$VOLUME/lost+found" -o -path "$VOLUME/restore.*" -o -path "$VOLUME/aside.*")
    # Binary logs belong to somebody, too, unless it is known that it is this member.
    [ ! -e "$VOLUME/identity" ] || ours+=(-o -path "$VOLUME/binlog")
    if [ "$data" = nothing ] && any_file "$VOLUME" -mindepth 1 \( "${ours[@]}" \) -prune -o \
        ! -path "$VOLUME/identity*" ! -path "$VOLUME/seen*" ! -path "$VOLUME/view*" ! -path "$VOLUME/lock" \
        ! -path "$VOLUME/HOLD*" ! -path "$VOLUME/initialising"; then
        data=files
    fi
    printf '%s' "$data"
}

# What the volume holds with all that is kept beside its data, in one word.
found() {
    local word dir
    word=$(held)
    [ ! -e "$VOLUME/restore.old" ] || word+=";kept=$(held_in "$VOLUME/restore.old/data")"
    [ ! -e "$VOLUME/restore.new" ] || word+=";new=$(held_in "$VOLUME/restore.new/data")"
    for dir in "$VOLUME"/aside.*; do
        [ ! -d "$dir" ] || word+=";aside=$(held_in "$dir/data")"
    done
    printf '%s' "$word"
}

# Whose data it is, by the file that its member keeps beside it: `identity group|member|uuid`.
identity() {
    case $1 in
        group) only '[a-z0-9.-]+' "$(value "$VOLUME/identity" group)" 200 ;;
        member) only 'seed|node[0-9]{1,3}' "$(value "$VOLUME/identity" member)" ;;
        uuid) uuid_of "$(value "$VOLUME/identity" uuid)" ;;
    esac
}

# The uuid of the history that the data follows; nothing where it cannot be known.
history() {
    local of=${1#database:}
    [ "$of" = "$1" ] || of=$(uuid_of "${of%%:*}")
    [[ $of =~ ^$UUID$ ]] || of=$(identity uuid)
    printf '%s' "$of"
}

# An identity is written once. Only what empties or turns a volume takes it away, with the data that it belongs to.
keep_identity() {
    [ ! -e "$VOLUME/identity" ] || return 0
    printf 'group=%s\nmember=%s\nuuid=%s\n' "$1" "$2" "$3" >"$VOLUME/identity.new" &&
        sync "$VOLUME/identity.new" && mv "$VOLUME/identity.new" "$VOLUME/identity" && sync "$VOLUME"
}

# Whether a server has the data open, also one in another pod: ours hold a lock beside the data, and every server locks
# its system tablespace.
in_use() {
    if [ -e "$VOLUME/lock" ]; then
        (exec 8<"$VOLUME/lock" && flock -n 8) 2>/dev/null || return 0
    fi
    [ -e "$VOLUME/data/ibdata1" ] || return 1
    # shellcheck disable=SC2016 # perl's own variables
    ! perl -MFcntl -e 'open my $f, "<", $ARGV[0] or exit 1;
        # The call writes into it, so it must be a variable.
        my $lock = pack("s s x4 q q i x4", F_RDLCK, 0, 0, 0, 0);
        exit(fcntl($f, F_SETLK, $lock) ? 0 : 1)' "$VOLUME/data/ibdata1"
}

# The last guard of everything that removes or replaces data: it goes on only if the volume holds exactly what somebody
# has looked at and decided about, and says why it does not.
expected() {
    local now
    [ -n "${1:-}" ] || { printf 'it was not said what this volume is expected to hold'; return 1; }
    ! in_use || { printf 'a server has the data directory open'; return 1; }
    now=$(found)
    [ "$now" = "$1" ] || { printf 'the volume holds %s, expected was %s' "$now" "$1"; return 1; }
}

# Fields of the report about a volume, the same from a pod that only looks and from one that is about to start.
describe_volume() {
    local holds uuid=- seqno=- restore=none seen seen_at view safe=0 written of
    holds=$(held)
    if [[ $holds == database:* ]]; then
        of=${holds#database:}
        uuid=${of%%:*} seqno=$(number_of "${of#*:}")
        [ "$(value "$VOLUME/data/grastate.dat" safe_to_bootstrap)" != 1 ] || safe=1
    fi
    # What a restore has left: filled beside the old data, half filled, or the old data kept aside.
    [ ! -e "$VOLUME/restore.new" ] || restore=filling
    [ ! -s "$VOLUME/restore.new/COMPLETE" ] || restore=filled
    [ ! -e "$VOLUME/restore.old" ] || restore=switched
    seen=$(only "$UUID:[0-9]{1,19}" "$(value "$VOLUME/seen" position)")
    seen_at=$(number_of "$(value "$VOLUME/seen" at)")
    view=$(only '[a-z0-9,.-]+' "$(value "$VOLUME/view" members)" 1000)
    written=$(find "$VOLUME" -type f ! -path "$VOLUME/lock" -printf '%T@\n' 2>/dev/null | sort -n | tail -n 1)
    printf 'holds=%s found=%s uuid=%s seqno=%s safe=%s of=%s as=%s history=%s seen=%s seen_at=%s view=%s restore=%s' \
        "${holds%%:*}" "$(found)" "$(uuid_of "$uuid")" "$seqno" "$safe" "$(identity group)" "$(identity member)" \
        "$(history "$holds")" "$seen" "$seen_at" "$view" "$restore"
    ! is_unused || printf ' unused=yes'
    printf ' beside=%s bytes=%s free=%s written=%s\n' "$(only '[a-z0-9:-]+' "$(head -c 200 "$VOLUME/restore.new/BESIDE" 2>/dev/null)")" \
        "$(du -sb "$VOLUME" 2>/dev/null | cut -f 1)" "$(df -B1 --output=avail "$VOLUME" 2>/dev/null | tail -n 1 | tr -d ' ')" "${written%%.*}"
}
