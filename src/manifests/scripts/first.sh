# How a group begins: the seed makes an empty database, every node takes a copy, and all of them start at the same position
# as members of one view that they remember, as after the end of all servers at once. So nobody needs a state transfer.
# shellcheck shell=bash
TLS=${TLS:-/galeractl/tls}

drop_unused() {
    rm -f "$RUN"/{gives,begins,copy}
    ! is_unused || { rm -rf "${DATA:?}" "$VOLUME/binlog" && rm -f "$VOLUME/initialising"; }
}

# The position at which the server of this data has stopped; nothing where it has none.
position_of() { only "$UUID:[0-9]{1,19}" "$(uuid_of "$(value "$1/grastate.dat" uuid)"):$(value "$1/grastate.dat" seqno)"; }

# Whether the data stands at this position. The server is told all that it has noted itself: without the domain for the
# numbers of transactions behind it, it would begin another one.
# shellcheck disable=SC2034 # find_position adds to them, and start.sh runs the server with them.
stands_at() { ARGS=() POSITION=none && find_position && [ "${POSITION%%,*}" = "$1" ]; }

# Members of the first view have uuids that follow from the history's, so that all can write the same view.
uuid_in_view() { printf '%08x%s' $((16#${1:0:8} + $2 & 16#ffffffff)) "${1:8:28}"; }

# Lets the server believe that it was in the first view: it waits for all others of it, and then they are a component. On a
# machine with too much to do, minutes may lie between the first and the last of them.
begin_together() {
    wait_for_others PT2M
    remember_view "$1"
}

remember_view() {
    local name number=0 me
    local all=("$GALERA_SEED_NAME")
    while read -r name; do all+=("$name"); done < <(members)
    {
        for name in "${all[@]}"; do
            [ "$name" != "$GALERA_NODE_NAME" ] || me=$number
            number=$((number + 1))
        done
        printf 'my_uuid: %s\n#vwbeg\nview_id: 3 %s 1\nbootstrap: 0\n' "$(uuid_in_view "$1" "$me")" "$(uuid_in_view "$1" 0)"
        for ((number = 0; number < ${#all[@]}; number++)); do printf 'member: %s 0\n' "$(uuid_in_view "$1" "$number")"; done
        printf '#vwend\n'
    } >"$DATA/gvwstate.dat"
}

# Gives everybody who asks a copy of the database that lies here, and stays until every node has one, or WITHOUT names those
# who cannot have it.
give() {
    local listen=TCP4-LISTEN giver
    [[ $POD_IP != *:* ]] || listen=TCP6-LISTEN
    phase giving
    (umask 077 && tar -C "$VOLUME" -cSf - data | zstd -1 -q >"$RUN/first.zst") || fail "the empty database cannot be packed"
    if [ -e "$TLS/tls.crt" ]; then
        listen="OPENSSL-LISTEN:4444,pf=ip${listen:3:1},cafile=$TLS/ca.crt,cert=$TLS/tls.crt,key=$TLS/tls.key,verify=1"
    else
        listen+=:4444
    fi
    socat -U -T 10 "$listen,reuseaddr,fork,max-children=32" "OPEN:$RUN/first.zst,rdonly" 2>/dev/null &
    giver=$!
    printf '%s\n' "$FIRST" >"$RUN/gives"
    until all_have_it || [ -n "$WITHOUT" ]; do pause 0.1; done
    kill "$giver" && wait "$giver" 2>/dev/null
    rm -f "$RUN"/{gives,first.zst}
}

# Whether each node has taken its copy. WITHOUT names those who have tried in vain.
all_have_it() {
    local name copy missing=''
    WITHOUT=''
    while read -r name; do
        copy=$(word "$(ask_peer "$name.$DOMAIN")" copy)
        [ "$copy" = "$FIRST" ] || missing+=" $name"
        [ "$copy" != failed ] || WITHOUT+=" $name"
    done < <(members)
    [ -z "$missing" ]
}

# Takes a copy where the seed gives one, and starts with it when the seed says that all have theirs. Whatever else happens
# makes the volume an empty one again, for which a state transfer brings everything.
first_copy() {
    local said gives
    [ "$HELD" = nothing ] && [ -z "$HISTORY" ] && [ -z "$(recorded)" ] && [ "$(state formed)" != true ] || return 1
    said=$(ask_peer "$GALERA_SEED_NAME.$DOMAIN")
    gives=$(only "$UUID:[0-9]{1,19}" "$(word "$said" gives)")
    [ -n "$gives" ] && [ ! -e "$RUN/copy" ] || return 1
    phase filling
    touch "$VOLUME/initialising" && sync "$VOLUME"
    if ! take "$gives"; then
        drop_unused
        printf 'failed\n' >"$RUN/copy"
        phase waiting
        return 1
    fi
    printf '%s\n' "$gives" >"$RUN/copy"
    phase filled
    while :; do
        said=$(ask_peer "$GALERA_SEED_NAME.$DOMAIN")
        [ "$(word "$said" begins)" != "$gives" ] || break
        ! leads_nowhere "$said" "$gives" || { drop_unused; phase waiting; return 1; }
        pause 0.1
    done
    begin_together "$gives"
}

# Whether the seed, which answers `$1`, goes on without the copy of `$2`. Who gives no answer has not said so.
leads_nowhere() {
    [ "$(state formed)" != true ] || return 0
    [[ $1 == *phase=* && $1 != *phase=giving* ]] && [ "$(word "$1" gives)" != "$2" ]
}

take() {
    local try
    for try in 1 2 3; do
        ! take_once "$1" || return 0
        say "event=copy done=no try=$try reason=$(quoted "$(tail -n 1 "$RUN/take.log")")"
    done
    return 1
}

take_once() {
    local from=TCP:$GALERA_SEED_NAME.$DOMAIN:4444
    [ ! -e "$TLS/tls.crt" ] ||
        from="OPENSSL:$GALERA_SEED_NAME.$DOMAIN:4444,cafile=$TLS/ca.crt,cert=$TLS/tls.crt,key=$TLS/tls.key,verify=1,commonname=$GALERA_SEED_NAME"
    rm -rf "${DATA:?}"
    (set -o pipefail; socat -u -T 10 "$from,connect-timeout=5" STDOUT | zstd -dqc | tar -C "$VOLUME" --no-same-owner -pxf - data) 2>"$RUN/take.log" &&
        [ -z "$(find "$DATA" ! -type f ! -type d -print -quit)" ] && [ "$(position_of "$DATA")" = "$1" ] && [ -d "$DATA/mysql" ] &&
        sync -f "$VOLUME" && stands_at "$1"
}
