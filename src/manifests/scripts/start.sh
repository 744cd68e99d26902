#!/bin/bash
# Starts and supervises the mariadbd of one Galera member.
#
# Nothing outside of this pod is needed for a restart: the script finds its own position in the group's history and joins
# the component that follows the history of its data. It never starts a new component except in the two cases that
# bootstrap_allowed and prepare_seed name, and it never lets a copy of another history take the place of what is here.
#
# The first process of a container does not get a signal for which it has no handler yet, and nobody sends another: a pod
# that is deleted as soon as it runs would stay for its whole grace period.
trap 'exit 143' TERM INT
set -uo pipefail

: "${GALERA_MEMBER:?}" "${GALERA_NODE_NAME:?}" "${GALERA_SEED_NAME:?}" "${GALERA_GROUP:?}" "${POD_IP:?}" "${POD_UID:?}"
RUN=${RUN:-/run/galeractl}
STATE=${STATE:-/galeractl/state}
SCRIPTS=${SCRIPTS:-/galeractl/scripts}
SECRETS=${SECRETS:-/galeractl/secrets}
for part in report options volume sql peers first node seed; do
    # shellcheck source=/dev/null # they lie beside this file
    source "$SCRIPTS/$part.sh"
done
DATA=$VOLUME/data
CNF=$RUN/my.cnf
# Where the children of the server report: its own output is not to be trusted.
export VOLUME RUN STATE SCRIPTS REPORTS=/proc/$$/fd/1

# The phase file is what the health endpoint and peers see while SQL is closed.
phase() {
    printf '%s\n' "$1" >"$RUN/phase"
    say "event=phase phase=$1"
}

# Nothing that could be looked at is left to be done here.
fail() {
    say "event=refused reason=$(quoted "$1")"
    exit 1
}

pause() {
    sleep "$1" &
    wait $!
}

write_config() {
    local provider addresses threads number=0 address=$POD_IP everywhere='tcp://0.0.0.0:4567'
    # An address with colons stands in brackets wherever a port may follow it.
    if [[ $POD_IP == *:* ]]; then address="[$POD_IP]" everywhere='tcp://[::]:4567'; fi
    for provider in /usr/lib/galera/libgalera_smm.so /usr/lib/libgalera_smm.so /usr/lib64/galera-4/libgalera_smm.so ''; do
        [ -e "${ROOT:-}$provider" ] && break
    done
    [ -n "$provider" ] || fail "the image has no libgalera_smm.so; images from 12.3 on need the package mariadb-server-galera"
    addresses=$(hosts | paste -sd , -)
    threads=$(($(nproc) * 2))
    ((threads <= 8)) || threads=8
    [ "$GALERA_MEMBER" = seed ] || number=${GALERA_MEMBER#node}
    {
        sed "s|tcp://0\.0\.0\.0:4567|$everywhere|" "$SCRIPTS/server.cnf"
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
wsrep_node_address=$address
wsrep_slave_threads=$threads
wsrep_sst_method=galeractl
wsrep_sst_auth=mysql:
wsrep_notify_cmd=$SCRIPTS/notify.sh

[client]
socket=$RUN/mysqld.sock
user=mysql
connect_timeout=1
# On a socket it only costs time, three times what the question does, and hides why a server says no.
skip_ssl
CNF
    } >"$CNF"
}

# A server that finds no component ends after this time, and everything is looked at anew.
wait_for_others() { sed -i 's/pc.wait_prim_timeout=[^;"]*/pc.wait_prim_timeout='"$1/" "$CNF"; }

# A state transfer replaces all data of its joiner, so the script that does it asks first whether it may. The stock
# method also sleeps ten seconds on the donor to let the joiner re-open its listener; here the donor retries its
# connection instead. An image whose script looks different keeps the sleep.
derive_sst_method() {
    local stock shorter='' derived=$RUN/bin/wsrep_sst_galeractl
    stock=$(command -v wsrep_sst_mariabackup) || fail "the image has no wsrep_sst_mariabackup"
    [ "$(grep -cE '^[[:space:]]*sleep 10$' "$stock")" != 1 ] || shorter='s/^([[:space:]]*)sleep 10$/\1sleep 0.2/'
    mkdir -p "$RUN/bin"
    {
        head -n 1 "$stock"
        # shellcheck disable=SC2016 # it is for the derived script
        printf 'bash "%s/overwrite.sh" "$@" || exit 1\n' "$SCRIPTS"
        tail -n +2 "$stock" | sed -E "$shorter"
    } >"$derived.new"
    chmod 755 "$derived.new"
    mv "$derived.new" "$derived"
    ln -sf "$(dirname "$stock")/wsrep_sst_common" "$RUN/bin/"
    PATH=$RUN/bin:$PATH
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
    local address=0.0.0.0
    [[ $POD_IP != *:* ]] || address=::
    while :; do
        perl "$SCRIPTS/health.pl" "$address" >&2
        sleep 0.2
    done
}

# `clients WHAT` asks for something of the connections of clients.
clients() {
    mariadb --defaults-file="$CNF" -NBe "SELECT $1 FROM information_schema.PROCESSLIST
        WHERE USER NOT IN ('system user', 'event_scheduler', 'mysql', 'galeractl', 'unauthenticated user') ${2:-}" 2>/dev/null
}

# Whether a proxy has asked lately if clients may come.
is_led_to() { (($(modified "$RUN/led") + 3 >= EPOCHSECONDS)); }

# Proxies see the closing door within a second, and lead everybody who comes to another server. Who is here may end what
# was begun; a connection on which nothing goes on is closed, and its client connects anew when it has something to say.
drain() {
    local deadline=$((SECONDS + ${GALERA_DRAIN_SECONDS:-5}))
    touch "$RUN/draining"
    # No proxy leads to a server without a majority.
    ! is_led_to || ! grep -q primary=yes "$RUN/wsrep" 2>/dev/null || pause 1.2
    while ((SECONDS < deadline)) && [ "$(clients 'COUNT(*)')" -gt 0 ] 2>/dev/null; do
        clients "CONCAT('KILL ', ID, ';')" "AND COMMAND = 'Sleep' AND ID NOT IN
            (SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX)" |
            mariadb --defaults-file="$CNF" --force >/dev/null 2>&1
        sleep 0.1
    done
}

# What the server said last must be in the log before this container ends; a child that outlives it may keep the pipe.
last_words() {
    local left=50
    while [ -n "${LOG:-}" ] && kill -0 "$LOG" 2>/dev/null && ((left-- > 0)); do
        sleep 0.1
    done
}

stop() {
    trap '' TERM INT
    say "event=stopping"
    if [ -n "${SERVER:-}" ]; then
        # Asked politely, a server that is part of no component can take its whole grace period, and has nothing to say
        # goodbye to; what it has committed is on the disk.
        if ! grep -q primary=yes "$RUN/wsrep" 2>/dev/null; then
            (sleep "${GALERA_PATIENCE:-5}" && kill -KILL "$SERVER") 2>/dev/null &
        fi
        drain
        kill -TERM "$SERVER" 2>/dev/null
        wait "$SERVER" 2>/dev/null
        last_words
    fi
    say "event=stopped"
    exit 0
}

# Whether there is a database, which may bring plugins with options of their own.
may_have_plugins() { [ "$(held)" != nothing ]; }

# For people: with this file the container stays up without a server, to look at the volume or to repair it. Only here may
# data be put aside that is no stranger's; a copy takes its place at once.
hold_if_wanted() {
    [ -e "$VOLUME/HOLD" ] || [ -e "$RUN/HOLD" ] || return 0
    phase held
    say "event=volume $(describe_volume)"
    say "event=hold by=$(only '[A-Za-z0-9@._-]+' "$(value "$VOLUME/HOLD" by)") since=$(number_of "$(value "$VOLUME/HOLD" at)")"
    while [ -e "$VOLUME/HOLD" ] || [ -e "$RUN/HOLD" ]; do
        if [ -e "$RUN/rebuild" ] && rebuild; then rm -f "$VOLUME/HOLD" "$RUN/HOLD"; fi
        pause 0.5
    done
    rm -f "$RUN/draining"
}

# One server at a time: a pod that is only just ending, or one that should not be, may still have the volume.
take_volume() {
    exec 9>>"$VOLUME/lock" || fail "the volume cannot be written to by user $(id -u)"
    flock -n 9 && return
    phase locked
    until flock -n 9; do pause 0.5; done
}

run_server() {
    phase starting
    rm -f "$RUN/joined" "$RUN/log"
    mkfifo "$RUN/log"
    harmless <"$RUN/log" >&2 &
    LOG=$!
    STARTED=$SECONDS
    mariadbd --defaults-file="$CNF" "${ARGS[@]}" >"$RUN/log" 2>&1 &
    SERVER=$!
    printf '%s\n' "$SERVER" >"$RUN/server"
    [ "$GALERA_MEMBER" = seed ] || report_transfer &
    wait "$SERVER"
    CODE=$?
    SERVER=''
    # Deleted as soon as it is of no use, for it holds the passwords.
    rm -f "$RUN/seed.sql" "$RUN/wsrep" "$RUN/server"
    last_words
}

main() {
    local why sum
    mkdir -p "$RUN"
    rm -f "$RUN/draining" "$RUN/wsrep" "$RUN/standby" "$RUN/held"
    SERVER=''
    trap stop TERM INT
    DOMAIN=${GALERA_DOMAIN:-$(domain)}
    [ -n "$DOMAIN" ] || fail "/etc/resolv.conf has no search list, so the names of the peers are unknown"
    derive_sst_method
    serve_health &
    take_volume
    CRASHES=0
    while :; do
        hold_if_wanted
        write_config
        sum=$(cksum <"$CNF")
        # A server that comes back with the options of before need not wait for the same judgement.
        if [ "$sum" != "${TAKEN:-}" ]; then
            why=$(options_objection "$CNF" may_have_plugins)
            [ -z "$why" ] || { refuse "$why"; continue; }
            TAKEN=$sum
        fi
        ! grep -q '^log_bin=' "$CNF" || mkdir -p "$VOLUME/binlog"
        if [ "$GALERA_MEMBER" = seed ]; then prepare_seed; else prepare_node; fi || continue
        run_server
        # Somebody who compares all positions wants this one to wait with its own.
        [ ! -e "$RUN/standby" ] || continue
        # It has left because somebody wants to look.
        [ ! -e "$VOLUME/HOLD" ] || continue
        # A transfer that was not let in is looked at anew, and said why.
        [ ! -e "$RUN/overwrite" ] || continue
        CRASHES=$((CRASHES + 1))
        LIVED=$((SECONDS - STARTED))
        printf '%s\n' "$CRASHES" >"$RUN/crashes"
        say "event=crash code=$CODE lived=$LIVED count=$CRASHES"
        # The seed bootstraps once and never again; a server that dies young is left to Kubernetes and its back-off.
        if [ "$GALERA_MEMBER" = seed ] || ((LIVED < 10)); then exit 1; fi
    done
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then main; fi
