#!/bin/bash
# Starts and supervises the mariadbd of one Galera member.
#
# Nothing outside of this pod is needed for a restart: the script finds its own position in the group's history,
# joins a Primary component where there is one, and never starts a new one except in the two cases that
# bootstrap_allowed names. Lines that begin with GALERACTL are read by programs.
set -uo pipefail

: "${GALERA_MEMBER:?}" "${GALERA_NODE_NAME:?}" "${GALERA_SEED_NAME:?}" "${GALERA_GROUP:?}" "${POD_IP:?}" "${POD_UID:?}"
RUN=/run/galeractl
STATE=/galeractl/state
SCRIPTS=/galeractl/scripts
SECRETS=/galeractl/secrets
VOLUME=/var/lib/mysql
DATA=$VOLUME/data
CNF=$RUN/my.cnf
ZERO=00000000-0000-0000-0000-000000000000

say() { printf 'GALERACTL at=%s member=%s %s\n' "$EPOCHREALTIME" "$GALERA_MEMBER" "$*"; }

# The phase file is what the health endpoint and peers see while SQL is closed.
phase() {
    printf '%s\n' "$1" >"$RUN/phase"
    say "event=phase phase=$1"
}

fail() {
    say "event=refused reason=\"$1\""
    exit 1
}

state() { [ -r "$STATE/$1" ] && cat "$STATE/$1"; }
formed() { [ "$(state formed)" = true ] || outlived_seed; }

# Manifests that are applied by hand are never told that the group is formed; a node with data knows it by the seed's end.
outlived_seed() { [ -d "$DATA/mysql" ] && ! getent hosts "$GALERA_SEED_NAME.$DOMAIN" >/dev/null; }

# Host names must be whole: a resolver with few dots would ask the search list first, for every peer.
domain() {
    local word rest
    while read -r word rest; do
        [ "$word" = search ] && { printf '%s' "${rest%% *}"; return; }
    done </etc/resolv.conf
}

hosts() {
    local name
    formed || printf '%s.%s\n' "$GALERA_SEED_NAME" "$DOMAIN"
    while read -r name; do
        [ -n "$name" ] && printf '%s.%s\n' "$name" "$DOMAIN"
    done < <(state members)
}

write_config() {
    local provider addresses threads number=0
    for provider in /usr/lib/galera/libgalera_smm.so /usr/lib/libgalera_smm.so /usr/lib64/galera-4/libgalera_smm.so ''; do
        [ -e "$provider" ] && break
    done
    [ -n "$provider" ] || fail "the image has no libgalera_smm.so; images from 12.3 on need the package mariadb-server-galera"
    addresses=$(hosts | paste -sd , -)
    threads=$(($(nproc) * 2))
    ((threads <= 8)) || threads=8
    [ "$GALERA_MEMBER" = seed ] || number=${GALERA_MEMBER#node}
    ! grep -q '^log_bin=' "$SCRIPTS/server.cnf" || mkdir -p "$VOLUME/binlog"
    {
        cat "$SCRIPTS/server.cnf"
        cat <<CNF

[mysqld]
datadir=$DATA
socket=$RUN/mysqld.sock
pid_file=$RUN/mysqld.pid
wsrep_provider=$provider
gtid_domain_id=$((100 + number))
wsrep_cluster_name=$GALERA_GROUP
wsrep_cluster_address=gcomm://$addresses
wsrep_node_name=$GALERA_NODE_NAME
wsrep_node_address=$POD_IP
wsrep_slave_threads=$threads
wsrep_sst_method=$SST_METHOD
wsrep_sst_auth=mysql:
wsrep_notify_cmd=$SCRIPTS/notify.sh

[client]
socket=$RUN/mysqld.sock
user=mysql
connect_timeout=1
CNF
    } >"$CNF"
}

# The stock method sleeps ten seconds on the donor to let the joiner re-open its listener; here the donor
# retries its connection instead. An image whose script looks different keeps the stock method.
derive_sst_method() {
    local stock
    SST_METHOD=mariabackup
    stock=$(command -v wsrep_sst_mariabackup) || fail "the image has no wsrep_sst_mariabackup"
    [ "$(grep -cE '^[[:space:]]*sleep 10$' "$stock")" = 1 ] || return 0
    mkdir -p "$RUN/bin"
    sed -E 's/^([[:space:]]*)sleep 10$/\1sleep 0.2/' "$stock" >"$RUN/bin/wsrep_sst_galeractl"
    chmod 755 "$RUN/bin/wsrep_sst_galeractl"
    ln -sf "$(dirname "$stock")/wsrep_sst_common" "$RUN/bin/"
    PATH=$RUN/bin:$PATH
    SST_METHOD=galeractl
}

# What a peer says of itself, such as "phase=up serves=yes primary=yes"; nothing where nobody answers.
ask_peer() {
    # shellcheck disable=SC2016 # the inner shell expands it
    timeout 1 bash -c 'exec 3<>"/dev/tcp/$1/9200" && printf "GET /state HTTP/1.0\r\n\r\n" >&3 && cat <&3' _ "$1" 2>/dev/null
}

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

# A member that has everything can serve one joiner at a time; more joiners than donors leave zombies. Members of lower
# number go first, so everyone comes to the same order without talking about it. While the group is formed, a member
# that gives no answer is on its way; later it may be gone, and nobody waits for it.
released() {
    local host said serving=0 ahead=0 mine=below
    for host in $(hosts); do
        if [ "${host%%.*}" = "$GALERA_NODE_NAME" ]; then
            mine=above
            continue
        fi
        said=$(ask_peer "$host")
        if [[ $said == *serves=yes* ]]; then
            serving=$((serving + 1))
        elif [ "${host%%.*}" = "$GALERA_SEED_NAME" ]; then
            continue
        elif formed; then
            if ((SECONDS < PATIENT_UNTIL)) && [[ $said =~ phase=(starting|joining) || ($mine = below && $said == *phase=waiting*) ]]; then
                ahead=$((ahead + 1))
            fi
        elif [ "$mine" = below ]; then
            ahead=$((ahead + 1))
            # Nobody behind this one can be further: asking on would only cost time.
            ((ahead < serving)) || return 1
        fi
    done
    ((ahead < serving))
}

# Only a run of galeractl that has compared every volume writes this token, for this very pod.
bootstrap_token() { [ "$(cat "$RUN/bootstrap" 2>/dev/null)" = "$POD_UID" ]; }

# With a remembered view a server finds the others of that view by itself. Any other can only join a Primary component;
# started without one it would die and start again, and tell nobody where it stands.
remembers_view() { [ -s "$DATA/gvwstate.dat" ]; }

wait_for_release() {
    remembers_view && return
    # Others of a remembered view may take minutes to come; a Primary component that was there when this one was let go
    # is there at once, or has ended meanwhile. Then this one waits again, and says where it stands.
    sed -i 's/pc.wait_prim_timeout=[^;"]*/pc.wait_prim_timeout=PT30S/' "$CNF"
    # A member that never gets through must not keep the others of a running cluster out.
    PATIENT_UNTIL=$((SECONDS + 300))
    phase waiting
    until released; do
        if bootstrap_token; then
            rm -f "$RUN/bootstrap"
            bootstrap_allowed
            return
        fi
        sleep 0.2 &
        wait $!
    done
}

bootstrap_allowed() {
    any_primary_peer && fail "told to bootstrap, but a peer is part of a running cluster"
    [ "$POSITION" != none ] || fail "told to bootstrap, but this volume has no position"
    sed -i 's/^safe_to_bootstrap:.*/safe_to_bootstrap: 1/' "$DATA/grastate.dat"
    ARGS+=(--wsrep-new-cluster)
    say "event=bootstrap position=$POSITION"
}

# Without the position a restarted group silently re-forms around data that differs from node to node.
find_position() {
    local log=$RUN/recover.log line
    phase recovering
    POSITION=none
    mariadbd --defaults-file="$CNF" --wsrep-recover --log-error="$log" >/dev/null 2>&1
    line=$(grep -oE 'Recovered position:[[:space:]]*[0-9a-f-]{36}:-?[0-9]+(,[^[:space:]]+)?' "$log" | tail -n 1)
    [ -n "$line" ] || { cat "$log" >&2; fail "mariadbd --wsrep-recover found no position; its log is above"; }
    line=${line##*[[:space:]]}
    if [[ $line == "$ZERO"* || $line == *:-1* ]]; then
        # A node without a position must not help to re-form the group from a remembered view.
        rm -f "$DATA/gvwstate.dat"
    else
        POSITION=$line
        ARGS+=("--wsrep_start_position=$POSITION")
    fi
    say "event=position position=$POSITION safe=$(sed -n 's/^safe_to_bootstrap:[[:space:]]*//p' "$DATA/grastate.dat" 2>/dev/null)"
}

prepare_node() {
    # Process ids recur in a container, and a stale one makes the next transfer believe that one is running.
    rm -f "$DATA"/{sst_in_progress,wsrep_sst.pid,rsync_sst.pid,rsync_sst.conf}
    [ -s "$DATA/gvwstate.dat" ] || rm -f "$DATA/gvwstate.dat"
    mkdir -p "$DATA"
    ARGS=()
    POSITION=none
    [ ! -d "$DATA/mysql" ] || find_position
    wait_for_release
}

sql_string() {
    local text
    text=$(cat "$SECRETS/$1")
    text=${text//\\/\\\\}
    printf "'%s'" "${text//\'/\'\'}"
}

# One statement a line: the server fails a whole line when a second statement stands on it, and starts anyway.
seed_sql() {
    local name="${GALERA_DATABASE//\`/\`\`}" user="${GALERA_USER//\'/\'\'}"
    # The installer leaves doors without a password, one of them for the pod's own name.
    cat <<SQL
DROP USER IF EXISTS root@'127.0.0.1';
DROP USER IF EXISTS root@'::1';
DROP USER IF EXISTS root@'${HOSTNAME,,}';
ALTER USER root@localhost IDENTIFIED BY $(sql_string root-password);
CREATE USER root@'%' IDENTIFIED BY $(sql_string root-password);
GRANT ALL PRIVILEGES ON *.* TO root@'%' WITH GRANT OPTION;
CREATE USER mysql@localhost IDENTIFIED VIA unix_socket;
GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR ON *.* TO mysql@localhost;
CREATE USER galeractl@'%' IDENTIFIED BY $(sql_string galeractl-password);
GRANT PROCESS, BINLOG MONITOR ON *.* TO galeractl@'%';
GRANT SELECT ON mysql.wsrep_cluster_members TO galeractl@'%';
CREATE DATABASE galeractl;
GRANT ALL PRIVILEGES ON galeractl.* TO galeractl@'%';
CREATE TABLE galeractl.heartbeat (id INT PRIMARY KEY, token VARCHAR(64) NOT NULL, written_at TIMESTAMP(6) NOT NULL);
SQL
    [ -z "$name" ] || printf "CREATE DATABASE \`%s\`;\n" "$name"
    if [ -n "$user" ]; then
        printf "CREATE USER '%s'@'%%' IDENTIFIED BY %s;\n" "$user" "$(sql_string user-password)"
        [ -z "$name" ] || printf "GRANT ALL PRIVILEGES ON \`%s\`.* TO '%s'@'%%';\n" "$name" "$user"
    fi
    # The last statement is the proof that none before it was skipped.
    printf "INSERT INTO galeractl.heartbeat VALUES (0, 'seeded', NOW(6));\n"
}

prepare_seed() {
    local left key
    for key in root-password galeractl-password ${GALERA_USER:+user-password}; do
        [ -s "$SECRETS/$key" ] || fail "the Secret has no key $key"
    done
    [ "$(state formed)" != true ] || fail "the cluster has been formed; a seed is never needed again"
    left=$(find "$VOLUME" -mindepth 1 ! -type d 2>/dev/null | head -n 1)
    [ -z "$left" ] || fail "the seed's volume is not empty ($left); a seed never starts on existing data"
    any_primary_peer && fail "a peer is part of a running cluster; a seed would start a second one"
    phase initialising
    mkdir -p "$DATA"
    mariadb-install-db --defaults-file="$CNF" --auth-root-authentication-method=normal --skip-test-db \
        --skip-name-resolve >"$RUN/install.log" 2>&1 || { cat "$RUN/install.log" >&2; fail "mariadb-install-db failed; its log is above"; }
    (umask 077 && seed_sql >"$RUN/seed.sql")
    ARGS=(--wsrep-new-cluster "--init-file=$RUN/seed.sql")
    say "event=initialised"
}

# Bytes received are the only sign of life of a joiner: its SQL port stays closed during the whole transfer.
report_transfer() {
    local bytes last=-1
    while kill -0 "$SERVER" 2>/dev/null && [ ! -e "$RUN/joined" ]; do
        bytes=$(du -sb --exclude=galera.cache --exclude='ib_logfile*' "$DATA" 2>/dev/null | cut -f 1)
        [ "$bytes" = "$last" ] || say "event=transfer bytes=$bytes"
        last=$bytes
        sleep 2
    done
}

serve_health() {
    while :; do
        socat -T 5 TCP-LISTEN:9200,fork,reuseaddr,max-children=32 "EXEC:$SCRIPTS/health.sh" 2>/dev/null
        sleep 0.2
    done
}

clients() {
    mariadb --defaults-file="$CNF" -NBe "SELECT COUNT(*) FROM information_schema.PROCESSLIST
        WHERE USER NOT IN ('system user', 'event_scheduler', 'mysql', 'galeractl', 'unauthenticated user')" 2>/dev/null
}

# Load balancers see the closing door and move their clients before the server goes.
drain() {
    local deadline=$((SECONDS + ${GALERA_DRAIN_SECONDS:-5}))
    touch "$RUN/draining"
    while ((SECONDS < deadline)) && [ "$(clients)" -gt 0 ] 2>/dev/null; do
        sleep 0.2
    done
}

stop() {
    trap '' TERM INT
    say "event=stopping"
    if [ -n "${SERVER:-}" ]; then
        drain
        kill -TERM "$SERVER" 2>/dev/null
        wait "$SERVER" 2>/dev/null
    fi
    say "event=stopped"
    exit 0
}

# For people: with this file the container stays up without a server, to look at the volume or to repair it.
hold_if_wanted() {
    [ -e "$VOLUME/HOLD" ] || [ -e "$RUN/HOLD" ] || return 0
    phase held
    sleep infinity &
    wait $!
}

mkdir -p "$RUN"
rm -f "$RUN/draining" "$RUN/wsrep"
SERVER=''
trap stop TERM INT
DOMAIN=${GALERA_DOMAIN:-$(domain)}
[ -n "$DOMAIN" ] || fail "/etc/resolv.conf has no search list, so the names of the peers are unknown"
derive_sst_method
serve_health &
CRASHES=0
while :; do
    hold_if_wanted
    write_config
    if [ "$GALERA_MEMBER" = seed ]; then prepare_seed; else prepare_node; fi
    phase starting
    STARTED=$SECONDS
    mariadbd --defaults-file="$CNF" "${ARGS[@]}" &
    SERVER=$!
    [ "$GALERA_MEMBER" = seed ] || report_transfer &
    wait "$SERVER"
    CODE=$?
    # Deleted as soon as it is of no use, for it holds the passwords.
    rm -f "$RUN/seed.sql" "$RUN/wsrep"
    CRASHES=$((CRASHES + 1))
    LIVED=$((SECONDS - STARTED))
    SERVER=''
    printf '%s\n' "$CRASHES" >"$RUN/crashes"
    say "event=crash code=$CODE lived=$LIVED count=$CRASHES"
    # The seed bootstraps once and never again; a server that dies young is left to Kubernetes and its back-off.
    if [ "$GALERA_MEMBER" = seed ] || ((LIVED < 10)); then exit 1; fi
done
