# The seed: an empty database, the accounts in it, and the first component. It begins a history once, on an empty volume,
# and only when all nodes have said that theirs are empty as well.
# shellcheck shell=bash

# One statement a line: the server fails a whole line when a second statement stands on it, and starts anyway.
seed_sql() {
    local name="${GALERA_DATABASE//\`/\`\`}" user=${GALERA_USER//\\/\\\\}
    user=${user//\'/\'\'}
    # Strings here are written for a server that knows backslashes, whatever the settings say. The installer leaves doors
    # without a password, one of them for the pod's own name.
    cat <<SQL
SET SESSION wsrep_on=OFF;
SET SESSION sql_log_bin=OFF;
SET SESSION sql_mode='';
DROP USER IF EXISTS root@'127.0.0.1';
DROP USER IF EXISTS root@'::1';
DROP USER IF EXISTS root@'${HOSTNAME,,}';
ALTER USER root@localhost IDENTIFIED BY $(sql_string root-password);
CREATE USER root@'%' IDENTIFIED BY $(sql_string root-password);
GRANT ALL PRIVILEGES ON *.* TO root@'%' WITH GRANT OPTION;
CREATE USER mysql@localhost IDENTIFIED VIA unix_socket;
GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, CONNECTION ADMIN ON *.* TO mysql@localhost;
CREATE USER galeractl_reader@localhost IDENTIFIED VIA unix_socket AS 'mysql';
GRANT SELECT, SHOW VIEW, SHOW DATABASES, PROCESS, BINLOG MONITOR, SLAVE MONITOR ON *.* TO galeractl_reader@localhost;
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
        [ -z "$name" ] || printf "GRANT ALL PRIVILEGES ON \`%s\`.* TO '%s'@'%%';\n" "$(sql_pattern "$GALERA_DATABASE")" "$user"
    fi
    # The last statement is the proof that none before it was skipped.
    printf "INSERT INTO galeractl.heartbeat VALUES (0, 'seeded', NOW(6));\n"
}

# A line break in a password would end its statement, and every tool reads it differently.
judge_secrets() {
    local key
    for key in root-password galeractl-password ${GALERA_USER:+user-password}; do
        [ -s "$SECRETS/$key" ] || fail "the Secret has no key $key"
        [ -z "$(LC_ALL=C tr -d -c '[:cntrl:]' <"$SECRETS/$key" | tr '\0-\37\177' x)" ] ||
            fail "the key $key of the Secret holds a line break or another control character"
    done
}

# What stands in the way of a new history, as far as the seed's own volume and the record tell.
seed_objection() {
    [ "$(state formed)" != true ] && [ -z "$(recorded)" ] || {
        printf 'the cluster is on record, with the history %s: a seed would begin another one' "$(recorded)"
        return
    }
    [ "$HELD" = nothing ] && [ ! -e "$VOLUME/identity" ] ||
        { printf 'the volume of the seed is not empty (%s): a seed never starts on existing data' "$HELD"; return; }
    ! any_primary_peer || printf 'a peer is part of a running cluster: a seed would start a second one'
}

# Whether all nodes have said that their volumes are empty. HOLDERS names those that hold something, SILENT those that
# have not answered.
nodes_are_empty() {
    local name said held
    HOLDERS='' SILENT=''
    while read -r name; do
        [ -n "$name" ] || continue
        said=$(ask_peer "$name.$DOMAIN")
        held=$(only '[a-z0-9:-]+' "$(word "$said" held)")
        case $held in
            nothing) ;;
            '' | none) SILENT+=" $name" ;;
            *) HOLDERS+=" $name holds $held;" ;;
        esac
    done < <(members)
    [ -z "$HOLDERS$SILENT" ]
}

# An empty database with all accounts, and the first position of a history: all members begin with copies of it. Made
# where nobody can connect. Both programs have been seen to hang, and then nothing that they leave is anybody's data.
make_database() {
    local left=3
    while ! { lay_out && begin_history; }; do
        ((CODE == HUNG && --left > 0)) || fail "$WHY; its log is above"
        printf 'it hangs, and begins anew: %s\n' "$WHY" >&2
    done
}

# The code of a program that `timeout` has killed.
HUNG=137

lay_out() {
    local why
    rm -rf "${DATA:?}" && mkdir -p "$DATA"
    timeout --signal=KILL 120 mariadb-install-db --defaults-file="$CNF" --auth-root-authentication-method=normal \
        --skip-test-db --skip-name-resolve >"$RUN/install.log" 2>&1
    CODE=$?
    [ "$CODE" != 0 ] || return 0
    harmless <"$RUN/install.log" >&2
    why=$(grep -a -m 1 -F '[ERROR]' "$RUN/install.log")
    WHY="mariadb-install-db failed${why:+: ${why##*\[ERROR\] }}"
    return 1
}

# No binary log may have what is done here, for it would hold the passwords.
begin_history() {
    (umask 077 && seed_sql >"$RUN/seed.sql")
    # What an earlier one has said is nothing to go by.
    : >"$RUN/first.log"
    timeout --signal=KILL 60 mariadbd --defaults-file="$CNF" --skip-networking --skip-ssl --skip-log-bin \
        --wsrep-new-cluster --wsrep-cluster-address=gcomm:// --wsrep-notify-cmd= --init-file="$RUN/seed.sql" \
        "--wsrep-provider-options=gcache.size=1M;gmcast.listen_addr=tcp://127.0.0.1:4567" >"$RUN/first.log" 2>&1 &
    SERVER=$!
    # It says the second of these also while it still makes the accounts.
    until ! kill -0 "$SERVER" 2>/dev/null || has_begun; do pause 0.05; done
    kill -TERM "$SERVER" 2>/dev/null
    wait "$SERVER"
    CODE=$?
    SERVER=''
    rm -f "$RUN/seed.sql" "$DATA"/{galera.cache,gvwstate.dat}
    harmless <"$RUN/first.log" >&2
    FIRST=$(position_of "$DATA")
    [ "$CODE" != 0 ] || ! stands_at "$FIRST" || return 0
    WHY='the server does not begin a history on its empty database'
    return 1
}

has_begun() { grep -q ': ready for connections' "$RUN/first.log" && grep -q 'Synchronized with group' "$RUN/first.log"; }

prepare_seed() {
    local why
    judge_secrets
    drop_unused
    HELD=$(held)
    printf 'none\n' >"$RUN/held"
    why=$(seed_objection)
    [ -z "$why" ] || { refuse "$why"; return 1; }
    phase initialising
    touch "$VOLUME/initialising" && sync "$VOLUME"
    make_database
    phase asking
    until nodes_are_empty; do
        [ -z "$HOLDERS" ] || { drop_unused; refuse "a seed would begin another history, but$HOLDERS nothing is started"; return 1; }
        [ "$SILENT" = "${ASKED:-}" ] || say "event=asking silent=$(quoted "${SILENT# }")"
        ASKED=$SILENT
        pause 0.2
    done
    give
    why=$(HELD=nothing seed_objection)
    [ -z "$why" ] || { drop_unused; refuse "$why"; return 1; }
    if [ -z "$WITHOUT" ]; then
        begin_together "$FIRST"
        printf '%s\n' "$FIRST" >"$RUN/begins"
    else
        # shellcheck disable=SC2034 # start.sh runs the server with them.
        ARGS+=(--wsrep-new-cluster)
    fi
    say "event=initialised"
}
