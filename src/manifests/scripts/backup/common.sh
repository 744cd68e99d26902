# What the agent and the tools that read backups have in common. ROOT is the folder of one cluster.
# shellcheck shell=bash disable=SC2034 # Others use these.

# A backup volume can be written to by others. What comes from it is text until it matches one of these, and goes
# nowhere else: bash runs what stands in an index, such as `x[$(id)]`, wherever it expects a number, and takes `010` for
# eight. Eighteen digits fit into its numbers.
NUMBER='(0|[1-9][0-9]{0,17})'
BACKUP='[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]Z-(full|inc)'
UUID='[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
MEMBER='node[1-9][0-9]{0,3}'
GTIDS='([0-9]+-[0-9]+-[0-9]+(,[0-9]+-[0-9]+-[0-9]+)*|)'
# What is missing in a binary log, as gaps.pl tells it.
GAPS='([0-9]+-[0-9]+@[0-9]+(,[0-9]+-[0-9]+@[0-9]+)*|)'
# A binary log, as the server calls it and as it is called on the backup volume: the time comes first.
SERVER_LOG='[A-Za-z0-9_][A-Za-z0-9._-]{0,99}'
# A cluster, with its namespace.
CLUSTER='[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9.-]{0,62}'
LOG="$NUMBER-[0-9a-f]{8}-${SERVER_LOG}[.]zst"
TEXT='[^"\\]*'
# What a backup says of itself. Its parts are the ones in brackets that are counted in `describe`.
DESCRIPTION="\{\"id\":\"($BACKUP)\",\"kind\":\"(full|inc)\",\"chain\":\"($BACKUP)\",\"base\":\"($BACKUP|)\",\"namespace\":\"$TEXT\",\"cluster\":\"$TEXT\",\"member\":\"$MEMBER\",\"incarnation\":\"($UUID)\",\"uuid\":\"$UUID\",\"seqno\":[0-9]+,\"gtid\":\"[0-9,-]*\",\"from_lsn\":$NUMBER,\"to_lsn\":$NUMBER,\"version\":\"$TEXT\",\"began\":$NUMBER,\"ended\":$NUMBER,\"bytes\":$NUMBER,\"data\":[0-9]+,\"sha256\":\"([0-9a-f]{64})\"(,\"base_sum\":\"([0-9a-f]{64}|)\")?.*\}"
# Nothing that is described is longer.
LONGEST=8192

is() { [[ $2 =~ ^($1)$ ]]; }
# The text if it is what the pattern says, else nothing.
only() { ! is "$1" "$2" || printf '%s' "$2"; }
# A number in any case.
number() { if is "$NUMBER" "$1"; then printf '%s' "$1"; else printf 0; fi; }

# Nothing is read or written through a link, and nothing waits for a pipe, that somebody has planted.
is_folder() { [ -d "$1" ] && [ ! -L "$1" ]; }
is_file() { [ -f "$1" ] && [ ! -L "$1" ] && is_folder "${1%/*}"; }

# Reads the first line of a file into LINE, without its end. Fails for what no program of ours would write.
read_line() {
    LINE=''
    is_file "$1" || return 1
    IFS= read -r -n $((LONGEST + 1)) LINE <"$1" || [ -n "$LINE" ] || return 1
    ((${#LINE} <= LONGEST))
}

# Text that can stand between quotes in JSON and in a line of the log.
plain() {
    local text=${1:0:2000}
    text=${text//[\\\"]/}
    printf '%s' "${text//[![:print:]]/ }"
}

# One line of JSON from keys and values. A key that ends in `#` has a number.
object() {
    local line=''
    while (($# > 1)); do
        case $1 in
            *'#') line+=",\"${1%#}\":$(number "$2")" ;;
            *) line+=",\"$1\":\"$(plain "$2")\"" ;;
        esac
        shift 2
    done
    printf '{%s}\n' "${line#,}"
}

# Complete backups, oldest first: their names begin with the time.
backups() {
    local dir
    for dir in "$ROOT"/*Z-full "$ROOT"/*Z-inc; do
        ! is "$BACKUP" "${dir##*/}" || ! is_file "$dir/backup.json" || printf '%s\n' "${dir##*/}"
    done | sort
}

# Reads what a backup says of itself into CHAIN, BASE and so on. Fails unless all of it is as this program writes it,
# and about this very folder. What it builds on is older, so that a walk along a chain ends.
describe() {
    local id=$1
    read_line "$ROOT/$id/backup.json" && [[ $LINE =~ ^$DESCRIPTION$ ]] && [ "${BASH_REMATCH[1]}" = "$id" ] || return 1
    local kind=${BASH_REMATCH[6]}
    CHAIN=${BASH_REMATCH[7]} BASE=${BASH_REMATCH[12]} INCARNATION=${BASH_REMATCH[17]} TO_LSN=${BASH_REMATCH[19]} \
        BEGAN=${BASH_REMATCH[20]} ENDED=${BASH_REMATCH[21]} BYTES=${BASH_REMATCH[22]} SUM=${BASH_REMATCH[23]} BASE_SUM=${BASH_REMATCH[25]}
    [[ $id == *-"$kind" ]] || return 1
    if [ "$kind" = full ]; then [ -z "$BASE" ] && [ "$CHAIN" = "$id" ]; else [[ $CHAIN == *-full && -n $BASE && $BASE < $id ]]; fi
}
