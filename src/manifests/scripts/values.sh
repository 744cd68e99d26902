# Run in a member's container, whose server runs. `values.sh` says what that server has read at its start and what it would
# read with the options on the standard input, both in the words of the same program: units, bounds and defaults are what
# they are to the server. `values.sh NAME…` notes variables before they are set while it runs.
# shellcheck shell=bash
RUN=${RUN:-/run/galeractl}
SCRIPTS=${SCRIPTS:-/galeractl/scripts}
server=$(cat "$RUN/server" 2>/dev/null)
[[ $server =~ ^[0-9]+$ ]] || { echo 'no server runs here' >&2; exit 3; }
noted=$RUN/set.$server
if [ $# -gt 0 ]; then
    printf '%s\n' "$@" >>"$noted"
    exit
fi
next=$(mktemp "$RUN/next.XXXXXX") || exit 1
trap 'rm -f "$next"' EXIT
cat >"$next"
# What the start script adds, and puts otherwise, it would again.
cmp -s "$next" "$SCRIPTS/server.cnf" && file=same || file=other
wait_prim=$(grep -o -m 1 'pc\.wait_prim_timeout=[^;"]*' "$RUN/my.cnf")
[ -z "$wait_prim" ] || sed -i 's/pc\.wait_prim_timeout=[^;"]*/'"$wait_prim/" "$next"
! grep -qF 'tcp://[::]:4567' "$RUN/my.cnf" || sed -i 's|tcp://0\.0\.0\.0:4567|tcp://[::]:4567|' "$next"
{
    printf '\n[mysqld]\n'
    sed -n '/^datadir=/,$p' "$RUN/my.cnf"
} >>"$next"

# The table of variables that a server prints when it has read its options. It is kept away from the data.
read_by() {
    printf '== %s\n' "$1"
    timeout 30 mariadbd --defaults-file="$2" --datadir="$RUN" --help --verbose 2>/dev/null |
        sed -n '/^-----/,/^$/ { /^-----/d; /^$/d; p }'
    return "${PIPESTATUS[0]}"
}
printf '== file %s\n== set\n' "$file"
[ ! -e "$noted" ] || cat "$noted"
read_by began "$RUN/my.cnf" && read_by next "$next" || { echo 'the server does not say what it would read' >&2; exit 4; }
