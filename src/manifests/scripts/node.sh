# A permanent node: what it finds on its volume, and when it may start on it.
# shellcheck shell=bash

# Who waits for somebody's decision stays up, so that all can be looked at. What is given for one pod and for one state
# of its volume must not be used for another.
order() { [ "$(cat "$RUN/$1" 2>/dev/null)" = "$POD_UID $2" ]; }

# What is recorded and what the settings say, as a sum.
decided_elsewhere() { cat "$STATE"/* "$SCRIPTS/server.cnf" 2>/dev/null | cksum; }

# Says why this data takes no part, and stays: until somebody lets a copy take its place, or what was decided elsewhere has
# changed.
refuse() {
    local reason=$1 before
    before=$(decided_elsewhere)
    phase refused
    say "event=refused reason=$(quoted "$reason")"
    local until=$((SECONDS + 30))
    while ((SECONDS < until)) && [ ! -e "$VOLUME/HOLD" ] && [ "$(decided_elsewhere)" = "$before" ]; do
        if [ -e "$RUN/rebuild" ] && [ -n "$(component)" ]; then rebuild && break; fi
        pause 0.5
    done
    return 1
}

# Puts what is here aside, so that a copy of the running component can take its place. Only `galeractl recover` and
# `galeractl rebuild` give the order, after they have asked, and for exactly what lies here now.
rebuild() {
    local why aside part
    why=$(rebuild_objection)
    rm -f "$RUN/rebuild"
    [ -z "$why" ] || { say "event=rebuild done=no reason=$(quoted "$why")"; return 1; }
    aside=$VOLUME/aside.$EPOCHSECONDS
    mkdir -p "$aside"
    # The data goes last: as long as it is in its place, nothing takes this volume for an empty one.
    for part in identity seen view binlog data; do
        [ ! -e "$VOLUME/$part" ] || mv -T "$VOLUME/$part" "$aside/$part" || {
            say "event=rebuild done=no reason=$(quoted "$part cannot be put aside")"
            return 1
        }
    done
    sync "$VOLUME"
    say "event=rebuild done=yes aside=${aside##*/}"
}

rebuild_objection() {
    local group
    order rebuild "$(found)" || { printf 'the order is for another pod or for other data'; return; }
    group=$(component)
    [[ $group =~ ^$UUID$ ]] || { printf 'no running component has a copy to give'; return; }
    [ -z "$(recorded)" ] || [ "$(recorded)" = "$group" ] ||
        printf 'the running component follows %s, on record is %s' "$group" "$(recorded)"
}

# Why this volume must take no part, as far as that can be known without asking others.
objection() {
    local own=${HELD#database:}
    if [ -e "$VOLUME/identity" ]; then
        [ -n "$(identity group)" ] && [ -n "$(identity member)" ] && [ -n "$(identity uuid)" ] ||
            { printf 'the file identity beside the data cannot be understood'; return; }
        [ "$(identity group)" = "$GALERA_GROUP" ] && [ "$(identity member)" = "$GALERA_MEMBER" ] || {
            printf 'the volume belongs to %s of %s, and this is %s of %s' \
                "$(identity member)" "$(identity group)" "$GALERA_MEMBER" "$GALERA_GROUP"
            return
        }
    fi
    [ "$HELD" != files ] || { printf 'the volume holds files that are no database of this cluster'; return; }
    own=$(uuid_of "${own%%:*}")
    [ -z "$own" ] || [ ! -e "$VOLUME/identity" ] || [ "$own" = "$(identity uuid)" ] ||
        { printf 'the data follows %s, and the file identity beside it names %s' "$own" "$(identity uuid)"; return; }
    [ -z "$(recorded)" ] || [ -z "$HISTORY" ] || [ "$(recorded)" = "$HISTORY" ] ||
        printf 'the volume holds a copy of %s, on record is %s' "$HISTORY" "$(recorded)"
}

# Why this volume must not join the running component, which follows `$1`.
stranger() {
    [ -n "$1" ] || { printf 'no member of a running component has said which history it follows'; return; }
    [[ $1 =~ ^$UUID$ ]] || { printf 'two components run: %s' "$1"; return; }
    [ "$1" != "$ZERO" ] || { printf 'the running component has lost track of its history'; return; }
    [ -z "$(recorded)" ] || [ "$(recorded)" = "$1" ] ||
        { printf 'the running component follows %s, on record is %s' "$1" "$(recorded)"; return; }
    case $HELD in
        nothing) [ -z "$HISTORY" ] || [ "$HISTORY" = "$1" ] ;;
        # Half a copy says itself no more whose it was to be.
        unfinished) [ "${HISTORY:-$(recorded)}" = "$1" ] ;;
        *) [ "$HISTORY" = "$1" ] ;;
    esac || printf 'the volume holds a copy of %s, and the running component follows %s: joining would replace all data here' \
        "${HISTORY:-an unknown history}" "$1"
}

# A member that has everything can serve one joiner at a time; more joiners than donors leave zombies. Members of lower
# number go first, so everyone comes to the same order without talking about it. While the group is formed, a member
# that gives no answer is on its way; later it may be gone, and nobody waits for it. GROUP is the history that the
# running component follows. Who is still in its view, from before a crash, is another for Galera until it is dropped:
# two of one name have kept a living majority from coming to a view.
released() {
    local host said group serving=0 ahead=0 mine=below
    GROUP=''
    for host in $(hosts); do
        if [ "${host%%.*}" = "$GALERA_NODE_NAME" ]; then
            mine=above
            continue
        fi
        said=$(ask_peer "$host")
        if [[ $said == *primary=yes* ]]; then
            [[ ",$(word "$said" members)," != *",$GALERA_NODE_NAME,"* ]] || return 1
            group=$(uuid_of "$(word "$said" uuid)")
            [[ -z $group || " $GROUP " == *" $group "* ]] || GROUP+=${GROUP:+ }$group
        fi
        if [[ $said == *serves=yes* ]]; then
            serving=$((serving + 1))
        elif [ "${host%%.*}" = "$GALERA_SEED_NAME" ]; then
            continue
        elif formed; then
            if ((SECONDS < PATIENT_UNTIL)) && [[ $said =~ phase=(starting|joining) || ($mine = below && $said == *phase=waiting*) ]]; then
                ahead=$((ahead + 1))
            fi
        elif [ "$mine" = below ] && [[ $said != *phase=refused* ]]; then
            ahead=$((ahead + 1))
            # Nobody behind this one can be further: asking on would only cost time.
            ((ahead < serving)) || return 1
        fi
    done
    [ -n "$GROUP" ] && ((ahead < serving))
}

# With a remembered view a server finds the others of that view by itself. Any other can only join a Primary component;
# started without one it would die and start again, and tell nobody where it stands.
remembers_view() { [ -s "$DATA/gvwstate.dat" ]; }

wait_for_release() {
    local why
    if remembers_view; then
        GROUP=$(component)
        [ -z "$GROUP" ] || why=$(stranger "$GROUP")
        [ -z "${why:-}" ] || { refuse "$why"; return 1; }
        return 0
    fi
    # Others of a remembered view may take minutes to come; a Primary component that was there when this one was let go
    # is there at once, or has ended meanwhile. Then this one waits again, and says where it stands.
    wait_for_others PT30S
    # A member that never gets through must not keep the others of a running cluster out.
    PATIENT_UNTIL=$((SECONDS + 300))
    phase waiting
    until released; do
        ! first_copy || return 0
        [ ! -e "$VOLUME/HOLD" ] || return 1
        if order bootstrap "${POSITION%%,*}"; then
            rm -f "$RUN/bootstrap"
            bootstrap_allowed
            return
        fi
        pause 0.2
    done
    # Its data is not to be joined, but to make room.
    if [ -e "$RUN/rebuild" ]; then
        rebuild
        return 1
    fi
    # Much may have happened while it waited.
    [ "$(held)" = "$HELD" ] || return 1
    why=$(objection)
    [ -n "$why" ] || why=$(stranger "$GROUP")
    [ -z "$why" ] || { refuse "$why"; return 1; }
    # Written before the first byte arrives: half a copy must know whose it was to be.
    [ "$HELD" = unfinished ] || [ "$HELD" = nothing ] || return 0
    keep_identity "$GALERA_GROUP" "$GALERA_MEMBER" "$GROUP" || { refuse "the file identity cannot be written beside the data"; return 1; }
    begin_anew
}

# Only now, with somebody there to give a copy, goes what shows that the last one was broken off: a stale mark makes the
# next transfer believe that one is running, and an empty state file says the same for as long as it takes.
begin_anew() {
    [ "$HELD" = unfinished ] || return 0
    : >"$DATA/grastate.dat" && sync "$DATA/grastate.dat"
    rm -f "$DATA/sst_in_progress" "$DATA/gvwstate.dat"
}

bootstrap_allowed() {
    local why=''
    [ "$POSITION" != none ] || why="told to bootstrap, but this volume has no position"
    ! any_primary_peer || why="told to bootstrap, but a peer is part of a running cluster"
    [ -z "$why" ] || { refuse "$why"; return 1; }
    sed -i 's/^safe_to_bootstrap:.*/safe_to_bootstrap: 1/' "$DATA/grastate.dat"
    ARGS+=(--wsrep-new-cluster)
    say "event=bootstrap position=$POSITION"
}

# Without the position a restarted group silently re-forms around data that differs from node to node.
find_position() {
    local log=$RUN/recover.log line
    phase recovering
    # Nobody connects, and a key pair for that would take as long as all the rest.
    mariadbd --defaults-file="$CNF" --skip-ssl --wsrep-recover --log-error="$log" >/dev/null 2>&1
    line=$(grep -oE "Recovered position:[[:space:]]*$UUID:-?[0-9]+(,[0-9-]+)?" "$log" 2>/dev/null | tail -n 1)
    [ -n "$line" ] || { harmless <"$log" >&2; return 1; }
    line=${line##*[[:space:]]}
    if [[ $line == "$ZERO"* || $line == *:-1* ]]; then
        # A node without a position must not help to re-form the group from a remembered view.
        rm -f "$DATA/gvwstate.dat"
    else
        POSITION=$line
        ARGS+=("--wsrep_start_position=$POSITION")
    fi
}

# Whether the server may start; otherwise everything is looked at anew.
prepare_node() {
    local why
    # Process ids recur in a container, and a stale one makes the next transfer believe that one is running.
    rm -f "$DATA"/{wsrep_sst.pid,rsync_sst.pid,rsync_sst.conf} "$RUN/overwrite"
    [ -s "$DATA/gvwstate.dat" ] || rm -f "$DATA/gvwstate.dat"
    if [ -e "$RUN/standby" ]; then
        rm -f "$DATA/gvwstate.dat" "$RUN/standby"
    fi
    ARGS=()
    POSITION=none
    drop_unused
    HELD=$(held)
    HISTORY=$(history "$HELD")
    printf '%s\n' "$HELD" >"$RUN/held"
    say "event=volume $(describe_volume)"
    why=$(objection)
    [ -z "$why" ] || { refuse "$why"; return 1; }
    mkdir -p "$DATA"
    case $HELD in
        database:*)
            find_position || { refuse "mariadbd --wsrep-recover finds no position; its log is above"; return 1; }
            [ "$POSITION" = none ] || [ -z "$HISTORY" ] || [ "${POSITION%%:*}" = "$HISTORY" ] ||
                { refuse "the data stands at $POSITION, and its state file names $HISTORY"; return 1; }
            [ -n "$HISTORY" ] || [ "$POSITION" = none ] || HISTORY=${POSITION%%:*}
            why=$(objection)
            [ -z "$why" ] || { refuse "$why"; return 1; }
            ;;
        # Half a copy must not help to re-form the group.
        unfinished) rm -f "$DATA/gvwstate.dat" ;;
    esac
    say "event=position position=$POSITION safe=$(only '[01]' "$(value "$DATA/grastate.dat" safe_to_bootstrap)")"
    wait_for_release
}
