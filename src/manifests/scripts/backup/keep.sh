# Keeping backups: what they build on, binary logs beside them, and what may go. Part of the agent.
# shellcheck shell=bash

# A name that no other backup has: the time in seconds, and the kind.
new_id() {
    local id
    while :; do
        printf -v id '%(%Y%m%dT%H%M%SZ)T-%s' -1 "$1"
        [ -e "$ROOT/$id" ] || break
        pause 0.3
    done
    printf '%s' "$id"
}

newest_of() {
    local id newest=''
    while read -r id; do [[ $id != *-"$1" ]] || newest=$id; done < <(backups)
    printf '%s' "$newest"
}

damaged() { [ "$(field "$ROOT/$1/verified.json" ok)" = false ]; }

# The newest backup, if an incremental may build on it: of the same data, with a whole chain in which nothing is known
# to be damaged. Log sequence numbers belong to one copy of the data: after a state transfer they mean something else.
base_of() {
    local id base
    id=$(backups | tail -n 1)
    [ -n "$id" ] && [ "$(field "$ROOT/$id/backup.json" incarnation)" = "$1" ] || return 0
    base=$id
    while :; do
        [ -s "$ROOT/$base/backup.json" ] && [ -s "$ROOT/$base/data.mb.zst" ] && ! damaged "$base" || return 0
        [[ $base != *-full ]] || break
        base=$(field "$ROOT/$base/backup.json" base)
        [ -n "$base" ] || return 0
    done
    printf '%s' "$id"
}

# --- Binary logs ---

# Where the server stood when a binary log began: `1-1-4711,101-1-5`, or nothing at its very start.
log_start() { sql "SHOW BINLOG EVENTS IN '$1' LIMIT 3" | awk -F '\t' '$3 == "Gtid_list" { print $6 }' | tr -d '[] '; }
# When a binary log was begun, by the clock in its first event.
log_time() { od -An -tu4 -j4 -N4 "$1" | tr -d ' '; }
# The number of the group's newest transaction in such a list. The other domains are a node's own affairs.
sequence() {
    local number
    number=$(tr , '\n' <<<"$1" | sed -nE 's/^1-[0-9]+-([0-9]+)$/\1/p')
    printf '%s' "${number:-0}"
}

# How far the binary logs of this history have been copied.
shipped_to() {
    local most
    most=$(cat "$ROOT"/binlog/*.json 2>/dev/null | grep -F "\"uuid\":\"$1\"" |
        sed -nE 's/.*"to":"([^"]*,)?1-[0-9]+-([0-9]+)[,"].*/\2/p' | sort -n | tail -n 1)
    printf '%s' "${most:-0}"
}

logs_state() { printf '%s' "$1" >"$OWN/logs.new" && mv "$OWN/logs.new" "$OWN/logs"; }

# Closes the present binary log if anything is in it, and copies those that are closed and not yet copied.
ship_logs() {
    local files name next i uuid from to incarnation
    if [ "$(sql 'SELECT @@log_bin')" != 1 ]; then logs_state off; return 0; fi
    mkdir -p "$ROOT/binlog" || { logs_state 'binary logs cannot be written to the backup volume'; return 1; }
    rm -f "$ROOT"/binlog/.partial-*
    incarnation=$(cat "$DATA/incarnation" 2>/dev/null)
    uuid=$(status_of wsrep_cluster_state_uuid)
    [ -n "$incarnation" ] && [ -n "$uuid" ] || return 0
    mapfile -t files < <(sql 'SHOW BINARY LOGS' | cut -f 1)
    ((${#files[@]} > 0)) || return 0
    # Only for this node: the others need not rotate because of it.
    if (($(sequence "$(sql 'SELECT @@gtid_binlog_pos')") > $(sequence "$(log_start "${files[-1]}")"))); then
        sql 'FLUSH LOCAL BINARY LOGS' || { logs_state 'the binary log cannot be rotated'; return 1; }
        mapfile -t files < <(sql 'SHOW BINARY LOGS' | cut -f 1)
    fi
    if [ "$uuid" != "${SHIPPED_OF:-}" ]; then SHIPPED_OF=$uuid SHIPPED_TO=$(shipped_to "$uuid"); fi
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
    local name=$1 target=${7}-${2%%-*}-$1 part=$ROOT/binlog/.partial-$1
    zstd -q -3 -c "$LOGS/$name" | tee "$part" | sha256sum >"$part.sum"
    [[ "${PIPESTATUS[*]}" = '0 0 0' ]] || { rm -f "$part" "$part.sum"; return 1; }
    printf '{"name":"%s","incarnation":"%s","uuid":"%s","from":"%s","to":"%s","begin":%s,"end":%s,"bytes":%s,"sha256":"%s"}\n' \
        "$target.zst" "$2" "$3" "$4" "$5" "$6" "$7" "$(stat -c %s "$part")" "$(cut -d ' ' -f 1 "$part.sum")" >"$part.json" &&
        rm -f "$part.sum" && sync -f "$part" && mv "$part" "$ROOT/binlog/$target.zst" && mv "$part.json" "$ROOT/binlog/$target.zst.json"
}

# --- What may go ---

# All backups, a line each: id, chain, when it began, when it ended. One look at many files is cheap.
ledger() {
    cat "$ROOT"/*Z-full/backup.json "$ROOT"/*Z-inc/backup.json 2>/dev/null |
        sed -nE 's/.*"id":"([^"]*)","kind":"[^"]*","chain":"([^"]*)".*"began":([0-9]+),"ended":([0-9]+).*/\1 \2 \3 \4/p' | sort
}

# The chain as a whole is as old as its newest member: before that member is out of time, nothing of it goes.
chain_age() { ledger | awk -v chain="$1" -v now="$EPOCHSECONDS" '$2 == chain && $4 > newest { newest = $4 } END { print now - newest }'; }

newest_verified_chain() {
    local file
    file=$(grep -l '"ok":true' "$ROOT"/*/verified.json 2>/dev/null | sort | tail -n 1)
    [ -z "$file" ] || field "${file%/*}/backup.json" chain
}

# Whole chains that are older than the retention, beyond the newest ones that are kept in any case.
expired_chains() {
    local chains chain verified i
    mapfile -t chains < <(backups | grep -e '-full$')
    verified=$(newest_verified_chain)
    for ((i = 0; i < ${#chains[@]} - KEEP; i++)); do
        chain=${chains[i]}
        [ "$chain" != "$verified" ] || continue
        (($(chain_age "$chain") <= RETENTION_DAYS * 86400)) || printf '%s\n' "$chain"
    done
}

members_of() { ledger | awk -v chain="$1" '$2 == chain { print $1 }'; }

# Binary logs that end before the oldest kept chain begins can be replayed onto nothing.
expired_logs() {
    local ended name oldest='' id gone
    gone=$(expired_chains)
    while read -r id; do
        grep -qx "$id" <<<"$gone" && continue
        oldest=$(field "$ROOT/$id/backup.json" began)
        break
    done < <(backups | grep -e '-full$')
    [ -n "$oldest" ] || return 0
    cat "$ROOT"/binlog/*.json 2>/dev/null | sed -nE 's/.*"name":"([^"]*)".*"end":([0-9]+).*/\2 \1/p' |
        while read -r ended name; do ((ended >= oldest)) || printf '%s\n' "$name"; done
}

tidy() {
    local chain id name
    # Before the chains: which logs are needed follows from the chains that are there.
    while read -r name; do
        rm -f "$ROOT/binlog/$name.json" "$ROOT/binlog/$name"
        say "event=removed log=$name"
    done < <(expired_logs)
    while read -r chain; do
        # The last member first: what is left after an interruption is a shorter chain, and still a whole one.
        while read -r id; do
            mv "$ROOT/$id" "$ROOT/.trash-$id" && rm -rf "$ROOT/.trash-$id"
            say "event=removed backup=$id"
        done < <(members_of "$chain" | sort -r)
    done < <(expired_chains)
    return 0
}
