# What the other members say over their health port.
# shellcheck shell=bash

state() { [ -r "$STATE/$1" ] && cat "$STATE/$1"; }
recorded() { uuid_of "$(state uuid)"; }
formed() {
    local is=''
    read -r is 2>/dev/null <"$STATE/formed"
    [ "$is" = true ] || outlived_seed
}

# Manifests that are applied by hand are never told that the group is formed; a node with data knows it by the seed's end.
outlived_seed() { [ -d "$DATA/mysql" ] && ! getent hosts "$GALERA_SEED_NAME.$DOMAIN" >/dev/null; }

# Host names must be whole: a resolver with few dots would ask the search list first, for every peer.
domain() {
    local word rest
    while read -r word rest; do
        [ "$word" = search ] && { printf '%s' "${rest%% *}"; return; }
    done </etc/resolv.conf
}

# Those who have become members; before that, those who are wanted.
members() {
    local name those=$STATE/wanted
    [ ! -s "$STATE/members" ] || those=$STATE/members
    while read -r name || [ -n "$name" ]; do
        [ -z "$name" ] || printf '%s\n' "$name"
    done 2>/dev/null <"$those"
}

hosts() {
    local name
    formed || printf '%s.%s\n' "$GALERA_SEED_NAME" "$DOMAIN"
    while read -r name; do
        printf '%s.%s\n' "$name" "$DOMAIN"
    done < <(members)
}

# What a peer says of itself, such as "phase=up serves=yes primary=yes"; nothing where nobody answers.
ask_peer() {
    # shellcheck disable=SC2016 # the inner shell expands it
    timeout 1 bash -c 'exec 3<>"/dev/tcp/$1/9200" && printf "GET /state HTTP/1.0\r\n\r\n" >&3 || exit
        IFS= read -r -d "" -n 2000 said <&3; printf "%s" "$said"' _ "$1" 2>/dev/null
}

# One word of such an answer: `word ANSWER KEY`.
word() { [[ " ${1//$'\n'/ } " =~ \ $2=([^ ]*)\  ]] && printf '%s' "${BASH_REMATCH[1]}"; }

any_primary_peer() {
    local host
    for host in $(hosts); do
        [ "${host%%.*}" != "$GALERA_NODE_NAME" ] || continue
        [[ $(ask_peer "$host") != *primary=yes* ]] || return 0
        # shellcheck disable=SC2016 # the inner shell expands it
        timeout 1 bash -c 'exec 3<>"/dev/tcp/$1/4567"' _ "$host" 2>/dev/null && return 0
    done
    return 1
}

# The history that the running component follows, as its members say; nothing while there is none, and two words where
# they do not agree.
component() {
    local host said
    for host in $(hosts); do
        [ "${host%%.*}" != "$GALERA_NODE_NAME" ] || continue
        said=$(ask_peer "$host")
        [[ $said != *primary=yes* ]] || uuid_of "$(word "$said" uuid)" && echo
    done | sort -u | grep . | paste -sd ' '
}
