# Whether the server takes its options, before anything is touched.
# shellcheck shell=bash

# Why the server does not take the options in file `$1`: it reads them, prints what it would use, and ends. It is kept away
# from the data, which another server may have open. A plugin that was installed in the database brings options that
# only a server with this database knows, so `$2 NAME` says whether an unknown one may be such.
options_objection() {
    local try=${RUN:?}/try.cnf said code name before
    cp "$1" "$try"
    while :; do
        said=$(timeout 30 mariadbd --defaults-file="$try" --datadir="$RUN" --help --verbose 2>&1 >/dev/null)
        code=$?
        [[ $said =~ \[ERROR\]\ [^$'\n']*unknown\ (variable|option)\ \'(--)?([A-Za-z0-9_.-]+) ]] || break
        name=${BASH_REMATCH[3]//[-_]/[-_]}
        "$2" "${BASH_REMATCH[3]//-/_}" || break
        before=$(cksum <"$try")
        sed -i -E "/^[[:space:]]*${name//./[.]}[[:space:]]*(=|\$)/d" "$try"
        [ "$(cksum <"$try")" != "$before" ] || break
    done
    rm -f "$try"
    # One that takes too long says nothing about its options.
    [ $code != 124 ] || return 0
    said=$(LC_ALL=C sed -nE 's/^.*\[ERROR\] //; T other; s/^Buffered error: //; s/^[^ ]*mariadbd: //; p; d; :other; s/^[^ ]*mariadbd: //p' <<<"$said" |
        LC_ALL=C awk '!told[$0]++ && NR < 9 { printf "%s%s", between, $0; between = "; " }')
    [ $code = 0 ] && [ -z "$said" ] || printf 'the server does not take its options: %s' "${said:-it ended with code $code and said nothing}"
}
