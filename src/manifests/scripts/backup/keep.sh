# Keeping backups: what they build on, binary logs beside them, and what may go. Part of the agent.
# shellcheck shell=bash disable=SC2153 # `describe` sets what is written in capitals.

# The newest backup that can be read, also where its name lies in the future: the clock was ahead then. One that cannot
# be read hides none of the others.
newest() {
    local ids i
    mapfile -t ids < <(backups)
    for ((i = ${#ids[@]} - 1; i >= 0; i--)); do
        if describe "${ids[i]}"; then printf '%s' "${ids[i]}"; return; fi
    done
}

# A name that no other backup has: the time in seconds, and the kind. Names stay in the order in which backups are taken,
# also when the clock has been set back since the newest one.
new_id() {
    local id at=$EPOCHSECONDS last time
    last=$(newest)
    if [ -n "$last" ]; then
        time="${last:0:4}-${last:4:2}-${last:6:2} ${last:9:2}:${last:11:2}:${last:13:2}"
        last=$(number "$(date -d "$time" +%s 2>/dev/null)")
        # A year has four digits.
        ((at > last || last >= 253402300799)) || at=$((last + 1))
    fi
    while :; do
        printf -v id '%(%Y%m%dT%H%M%SZ)T-%s' "$at" "$1"
        [ -e "$ROOT/$id" ] || [ -L "$ROOT/$id" ] || break
        at=$((at + 1))
    done
    printf '%s' "$id"
}

# --- What makes a backup the agent's own ---

seals() { [ "${ENCRYPTION:-off}" = own ]; }

# A key for the next file, where files are encrypted.
new_key() { SECRET='' PAIR='' && { ! seals || new_secret; }; }

# Writes the description of the file for which the last key was made, and signs it. Where files are encrypted, none is
# ever described without both.
describe_to() {
    local file=$1 text signature
    shift
    if ! seals; then object "$@" >"$file"; return; fi
    [ -n "$SECRET" ] && text=$(object "$@" key "$PAIR" key_id "$(cat "$KEYS/id")") && signature=$(signature_of "$text") &&
        printf '%s\n' "$text" >"$file" && printf '%s\n' "$signature" >"$file.sig"
}

# Whether the description that was read last, from this file, is one that only this cluster's agent can have written.
is_own() {
    local text=$LINE signature
    seals || return 0
    read_line "$1.sig" && signature=$LINE LINE=$text && is_signed "$text" "$signature"
}

damaged() { read_line "$ROOT/$1/verified.json" && [[ $LINE == *'"ok":false'* ]]; }

# The newest backup, if an incremental may build on it: of the same data, with a whole chain in which nothing is known
# to be damaged. Log sequence numbers belong to one copy of the data: after a state transfer they mean something else. And
# a backup is made consistent by the series that took it, so a chain is of one.
base_of() {
    local id next sum=''
    id=$(newest)
    [ -n "$id" ] && describe "$id" && [[ $LINE == *'"version":"'"${SERIES:-}"* ]] && is_own "$ROOT/$id/backup.json" &&
        [ "$INCARNATION" = "$1" ] || return 0
    # mariadb-backup reads what lies there.
    is_folder "$ROOT/$id/lsn" && [ -z "$(find "$ROOT/$id/lsn" -mindepth 1 ! -type f -print -quit)" ] || return 0
    next=$id
    while [ -n "$next" ]; do
        describe "$next" && is_file "$ROOT/$next/data.mb.zst" && [ -s "$ROOT/$next/data.mb.zst" ] && ! damaged "$next" || return 0
        # What is signed names the sum of what it builds on.
        [ -z "$sum" ] || [ "$SUM" = "$sum" ] || return 0
        next=$BASE sum=$BASE_SUM
    done
    printf '%s' "$id"
}

# --- Binary logs ---

# Where the server stood when a binary log began: `0-1-4711,101-1-5`, or nothing at its very start.
log_start() { only "$GTIDS" "$(sql "SHOW BINLOG EVENTS IN '$1' LIMIT 3" | awk -F '\t' '$3 == "Gtid_list" { print $6 }' | tr -d '[] ')"; }
# When a binary log was begun, by the clock in its first event.
log_time() { number "$(od -An -tu4 -j4 -N4 "$1" | tr -d ' ')"; }
# The number of the group's newest transaction in such a list. The other domains are a node's own affairs.
sequence() { if [[ ,$1 =~ ,0-[0-9]+-([0-9]+)(,|$) ]]; then number "${BASH_REMATCH[1]}"; else printf 0; fi; }

# How far the binary logs of this history have been copied, by those that are there. None of them leads further than the
# history itself.
shipped_to() {
    local uuid=$1 end=$2 to file
    while read -r to file; do
        read_line "$file.json" && is_own "$file.json" && [ "$(leads_to "$uuid")" = "$to" ] || continue
        printf '%s' "$to"
        return
    done < <(
        for file in "$ROOT"/binlog/*.zst; do
            is "$LOG" "${file##*/}" && is_file "$file" && read_line "$file.json" || continue
            to=$(leads_to "$uuid")
            ((to > end)) || printf '%s %s\n' "$to" "$file"
        done | sort -rn
    )
    printf 0
}
# How far the binary log of the description that was read last leads in this history.
leads_to() {
    if [[ $LINE == *"\"uuid\":\"$1\""* && $LINE =~ \"to\":\"([0-9,-]*)\" ]]; then sequence "${BASH_REMATCH[1]}"; else printf 0; fi
}

logs_state() { printf '%s' "$1" >"$OWN/logs.new" && mv "$OWN/logs.new" "$OWN/logs"; }

server_logs() { sql 'SHOW BINARY LOGS' | cut -f 1 | grep -xE -e "$SERVER_LOG"; }

# Closes the present binary log if anything is in it, and copies those that are closed and not yet copied.
ship_logs() {
    local files name next i uuid from to incarnation end
    if [ "$(sql 'SELECT @@log_bin')" != 1 ]; then logs_state off; return 0; fi
    [ ! -L "$ROOT/binlog" ] && mkdir -p "$ROOT/binlog" || { logs_state 'binary logs cannot be written to the backup volume'; return 1; }
    rm -rf "$ROOT"/binlog/.partial-*
    incarnation=$(incarnation)
    uuid=$(only "$UUID" "$(status_of wsrep_cluster_state_uuid)")
    [ -n "$incarnation" ] && [ -n "$uuid" ] || return 0
    mapfile -t files < <(server_logs)
    ((${#files[@]} > 0)) || return 0
    end=$(sequence "$(sql 'SELECT @@gtid_binlog_pos')")
    # Only for this node: the others need not rotate because of it.
    if ((end > $(sequence "$(log_start "${files[-1]}")"))); then
        sql 'FLUSH LOCAL BINARY LOGS' || { logs_state 'the binary log cannot be rotated'; return 1; }
        mapfile -t files < <(server_logs)
    fi
    if [ "$uuid" != "${SHIPPED_OF:-}" ]; then SHIPPED_OF=$uuid SHIPPED_TO=$(shipped_to "$uuid" "$end"); fi
    for ((i = 0; i < ${#files[@]} - 1; i++)); do
        name=${files[i]} next=${files[i + 1]}
        from=$(log_start "$name") to=$(log_start "$next")
        (($(sequence "$to") > $(sequence "$from"))) && (($(sequence "$to") > SHIPPED_TO)) || continue
        copy_log "$name" "$incarnation" "$uuid" "$from" "$to" "$(log_time "$LOGS/$name")" "$(log_time "$LOGS/$next")" ||
            { logs_state "the binary log $name cannot be copied to the backup volume"; return 1; }
        SHIPPED_TO=$(sequence "$to")
    done
    logs_state on
}

copy_log() {
    local name=$1 target=${7}-${2%%-*}-$1.zst part=$ROOT/binlog/.partial-$1 gaps
    # A folder that was not there before holds no links.
    mkdir "$part" || return 1
    gaps=$(perl "$SCRIPTS/gaps.pl" "$LOGS/$name" "$(sequence "$4")" "$(sequence "$5")") && is "$GAPS" "$gaps" || { rm -rf "$part"; return 1; }
    new_key || { rm -rf "$part"; return 1; }
    zstd -q -3 -c "$LOGS/$name" | encrypted | tee "$part/log" | sha256sum >"$part/sum"
    [[ "${PIPESTATUS[*]}" = '0 0 0 0' ]] || { rm -rf "$part"; return 1; }
    describe_to "$part/json" name "$target" incarnation "$2" uuid "$3" from "$4" to "$5" gaps "$gaps" begin# "$6" end# "$7" \
        bytes# "$(stat -c %s "$part/log")" sha256 "$(cut -d ' ' -f 1 "$part/sum")" &&
        sync -f "$part" && replace "$part/log" "$ROOT/binlog/$target" &&
        { ! seals || replace "$part/json.sig" "$ROOT/binlog/$target.json.sig"; } &&
        replace "$part/json" "$ROOT/binlog/$target.json" && rm -rf "$part"
}

# --- What may go ---

# All backups that can be read, a line each: id, chain, when it began, when it ended.
ledger() {
    local id
    while read -r id; do
        ! describe "$id" || printf '%s %s %s %s\n' "$id" "$CHAIN" "$BEGAN" "$ENDED"
    done < <(backups)
}

# The chain as a whole is as old as its newest member: before that member is out of time, nothing of it goes.
chain_age() { awk -v chain="$1" -v now="$EPOCHSECONDS" '$2 == chain && $4 > newest { newest = $4 } END { printf "%d", now - newest }' <<<"$LEDGER"; }

newest_verified_chain() {
    local id verified=''
    while read -r id; do
        ! read_line "$ROOT/$id/verified.json" || [[ $LINE != *'"ok":true'* ]] || verified=$id
    done < <(cut -d ' ' -f 1 <<<"$LEDGER")
    awk -v id="$verified" '$1 == id { print $2 }' <<<"$LEDGER"
}

# Whole chains that are older than the retention, beyond the newest ones that are kept in any case.
expired_chains() {
    local chains chain verified i
    mapfile -t chains < <(awk '$1 == $2 { print $1 }' <<<"$LEDGER")
    verified=$(newest_verified_chain)
    for ((i = 0; i < ${#chains[@]} - KEEP; i++)); do
        chain=${chains[i]}
        [ "$chain" != "$verified" ] || continue
        (($(chain_age "$chain") <= RETENTION_DAYS * 86400)) || printf '%s\n' "$chain"
    done
}

# In the order in which they go, the last member first: what is left after an interruption is a shorter chain, and still
# a whole one.
members_of() { awk -v chain="$1" '$2 == chain { print $1 }' <<<"$LEDGER" | sort -r; }

# Binary logs that end before the first kept chain begins can be replayed onto nothing. A log's name begins with its end.
expired_logs() {
    local oldest file name
    oldest=$(awk 'NR == FNR { gone[$1]; next } $1 == $2 && !($1 in gone) { print $3 }' <(printf '%s\n' "$1") - <<<"$LEDGER" |
        sort -n | head -n 1)
    [ -n "$oldest" ] && is_folder "$ROOT/binlog" || return 0
    for file in "$ROOT"/binlog/*.zst; do
        name=${file##*/}
        ! is "$LOG" "$name" || ((${name%%-*} >= oldest)) || printf '%s\n' "$name"
    done
}

# All that may go, in the order in which it goes. Logs first: which of them are needed follows from the chains that are
# there.
expired() {
    local LEDGER chains chain
    LEDGER=$(ledger)
    chains=$(expired_chains)
    expired_logs "$chains" | sed 's/^/binlog /'
    while read -r chain; do [ -z "$chain" ] || members_of "$chain"; done <<<"$chains"
}

tidy() {
    local id name
    while read -r id name; do
        if [ "$id" = binlog ]; then
            rm -rf "$ROOT/binlog/$name.json" "$ROOT/binlog/$name.json.sig" "$ROOT/binlog/$name" || continue
            say "event=removed log=$name"
        else
            rm -rf "$ROOT/.trash-$id"
            mv -T "$ROOT/$id" "$ROOT/.trash-$id" || continue
            rm -rf "$ROOT/.trash-$id"
            say "event=removed backup=$id"
        fi
    done < <(expired)
    return 0
}
