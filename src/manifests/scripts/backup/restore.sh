# Fills one volume from a backup: copies, prepares, replays binary logs, and gives the data its new identity. What is
# on the volume stays as it is; the new data lies beside it, in restore.new, until somebody switches.
#
# The plan comes from the source as well. It has a line for each step: "backup PATH SHA256 full|inc", "directory PATH", "log PATH SHA256 START [gtid=…|time=…]".
#
# Backups lie where others may write as well. Here is the last look at whose they are: whoever has started this has put
# the keys into KEYS, and with SIGNED=yes nothing is taken that this key has not signed.
# shellcheck shell=bash
set -uo pipefail
: "${GALERA_MEMBER:?}" "${SOURCE:?}" "${NEW_UUID:?}" "${SERVER_OPTIONS:?}" "${NEEDED:?}"
export TZ=UTC LC_ALL=C
TARGET=$VOLUME
NEW=$TARGET/restore.new
DATA=$NEW/data
RUN=${RUN:-/run/galeractl}
SECRETS=${SECRETS:-/galeractl/secrets}
KEYS=${KEYS:-/galeractl/keys}
SERVER='' SECRET=''

tell() { say "event=restore $*"; }
phase() {
    printf 'phase=%s detail="%s"' "$1" "${2:-}" >"$RUN/phase"
    tell "$(cat "$RUN/phase")"
}
fail() {
    [ -z "$SERVER" ] || kill -TERM "$SERVER" 2>/dev/null
    tell "phase=failed reason=$(quoted "$1")"
    exit 1
}
# Something is wrong with the backup itself. A trial has then found what it was to find.
flawed() {
    [ "$MODE" = verify ] || fail "$1"
    [ -z "$SERVER" ] || kill -TERM "$SERVER" 2>/dev/null
    tell "phase=done flaw=$(quoted "$1")"
    exit 0
}
end() {
    [ -z "$SERVER" ] || kill -TERM "$SERVER" 2>/dev/null
    exit 143
}
trap end TERM INT

# Each use of a file of the source is a connection of its own.
fetch() {
    exec 3<>"/dev/tcp/$SOURCE/4445" || return 1
    printf '%s %s %s\n' "$TOKEN" "$1" "$2" >&3
    cat <&3
    local code=$?
    exec 3>&-
    return $code
}

# The sum is taken of what was read here, not of what somebody says about it.
summed() {
    local fifo=$NEW/sum.fifo
    rm -f "$fifo" "$NEW/sum"
    mkfifo "$fifo"
    openssl dgst -sha256 -r <"$fifo" >"$NEW/sum" &
    tee "$fifo"
    wait $!
    rm -f "$fifo"
}

# Reads a description, `described NAME FILE WHAT-IT-MUST-SAY…`, and finds the secret of what it describes. Who signs writes
# no quotes inside of a value, so these words stand there only as what they are.
described() {
    local name=$1 file=$2 text signature word
    shift 2
    text=$(fetch file "$file" | head -c 8192) signature=$(fetch file "$file.sig" | head -c 8192)
    if [ -n "$signature" ]; then
        is_signed "$text" "$signature" || flawed "$name is damaged: its description is not signed by the key of these backups"
    else
        [ "${SIGNED:-yes}" = no ] || flawed "$name is damaged: nobody has signed its description"
    fi
    # A genuine description of something else is none of this.
    for word; do
        [ -z "$signature" ] || [[ $text == *"\"${word%%=*}\":\"${word#*=}\""* ]] ||
            flawed "$name is damaged: its description says another ${word%%=*} than ${word#*=}"
    done
    # shellcheck disable=SC2034 # What decrypts reads it.
    SECRET=''
    [[ $text =~ \"key\":\"([^\"]+)\" ]] || return 0
    find_secret "${BASH_REMATCH[1]}" || fail "$name is encrypted for another key than the one that was given"
}

# What is built upon comes before what builds on it.
BELOW='' BELOW_SUM=''
copy_backup() {
    local path=$1 sum=$2 kind=$3 into=$4 id=${1##*/} folder=${1%/*} codes
    if [ "$kind" = full ]; then BELOW='' BELOW_SUM=''; fi
    described "backup $id" "$path/backup.json" "id=$id" "kind=$kind" "namespace=${folder%/*}" "cluster=${folder#*/}" \
        "sha256=$sum" "base=$BELOW" "base_sum=$BELOW_SUM"
    BELOW=$id BELOW_SUM=$sum
    mkdir -p "$into"
    fetch file "$path/data.mb.zst" | summed | decrypted | zstd -q -dc 2>"$NEW/error" | mbstream -x -C "$into" 2>>"$NEW/error"
    codes=${PIPESTATUS[*]}
    [ "$(cut -d ' ' -f 1 "$NEW/sum" 2>/dev/null)" = "$sum" ] ||
        flawed "backup $id is damaged: its checksum is not the one that was recorded when it was taken"
    [ "$codes" = '0 0 0 0 0' ] || flawed "backup $id cannot be unpacked: $(tail -n 1 "$NEW/error")"
}

# Nothing of it reaches a server before all of it is what it was.
copy_log() {
    local path=$1 sum=$2 into=$3 name=${1##*/} codes
    described "the binary log $name" "$path.json" "name=$name" "sha256=$sum"
    fetch file "$path" | summed | decrypted | zstd -q -dc >"$into" 2>"$NEW/error"
    codes=${PIPESTATUS[*]}
    [ "$(cut -d ' ' -f 1 "$NEW/sum" 2>/dev/null)" = "$sum" ] || flawed "the binary log $name is damaged: its checksum is not the recorded one"
    [ "$codes" = '0 0 0 0' ] || flawed "the binary log $name cannot be unpacked: $(tail -n 1 "$NEW/error")"
}

# What a joiner's report is for a state transfer: bytes are the sign of life.
report() {
    while :; do
        tell "$(cat "$RUN/phase") bytes=$(du -sb "$NEW" 2>/dev/null | cut -f 1)"
        sleep 1
    done
}

copy() {
    local kind path sum rest number=0 logs=0
    while read -r kind path sum rest; do
        case $kind in
            backup)
                phase copy "${path##*/}"
                if [ "$rest" = full ]; then copy_backup "$path" "$sum" full "$DATA"; else
                    number=$((number + 1))
                    copy_backup "$path" "$sum" inc "$NEW/inc.$number"
                fi
                ;;
            directory)
                phase copy "$path"
                [ "${SIGNED:-yes}" = no ] || fail "the folder $path is one that nobody has signed"
                mkdir -p "$DATA"
                fetch tar "$path" | tar -C "$DATA" -xf - || fail "the folder $path cannot be copied"
                ;;
            log)
                mkdir -p "$NEW/logs"
                logs=$((logs + 1))
                copy_log "$path" "$sum" "$(printf '%s/logs/%06d' "$NEW" "$logs")"
                ;;
        esac
    done <<<"$PLAN"
}

prepare() {
    local number
    phase prepare
    ls "$DATA"/*_checkpoints >/dev/null 2>&1 || fail "there is no backup of mariadb-backup in it"
    mariadb-backup --prepare --target-dir="$DATA" --use-memory=256M >"$NEW/prepare.log" 2>&1 ||
        { tail -n 20 "$NEW/prepare.log" >&2; flawed "mariadb-backup cannot prepare it: $(grep -i error "$NEW/prepare.log" | tail -n 1)"; }
    for ((number = 1; ; number++)); do
        [ -d "$NEW/inc.$number" ] || break
        phase prepare "increment $number"
        mariadb-backup --prepare --target-dir="$DATA" --incremental-dir="$NEW/inc.$number" --use-memory=256M >"$NEW/prepare.log" 2>&1 ||
            { tail -n 20 "$NEW/prepare.log" >&2; flawed "mariadb-backup cannot apply increment $number: $(grep -i error "$NEW/prepare.log" | tail -n 1)"; }
        rm -rf "$NEW/inc.$number"
    done
}

configure() {
    mkdir -p "$RUN" "$NEW/binlog"
    {
        printf '%s\n' "$SERVER_OPTIONS"
        cat <<CNF

[mysqld]
datadir=$DATA
socket=$RUN/mysqld.sock
pid_file=$RUN/mysqld.pid
tmpdir=/tmp
skip_networking=ON
skip_ssl
skip_slave_start=ON
event_scheduler=OFF
wsrep_cluster_name=restore
wsrep_node_address=127.0.0.1
wsrep_sst_method=mariabackup
wsrep_provider=none
wsrep_on=OFF

[client]
socket=$RUN/mysqld.sock
skip_ssl
CNF
    } | sed -E 's/^(loose[-_])?(log[-_]bin|log[-_]slave[-_]updates|wsrep[-_]gtid[-_]mode|wsrep[-_]notify[-_]cmd)(=.*)?$//' >"$RUN/my.cnf"
}

start() {
    mariadbd --defaults-file="$RUN/my.cnf" "$@" >"$NEW/server.log" 2>&1 &
    SERVER=$!
    until mariadb --defaults-file="$RUN/my.cnf" -u galeractl_restore -e 'DO 0' 2>/dev/null; do
        kill -0 "$SERVER" 2>/dev/null || { tail -n 30 "$NEW/server.log" >&2; flawed "the server does not start on the restored data: $(grep 'ERROR' "$NEW/server.log" | tail -n 1)"; }
        sleep 0.1
    done
}
stop() {
    kill -TERM "$SERVER" && wait "$SERVER" || { tail -n 30 "$NEW/server.log" >&2; fail "the server does not stop cleanly on the restored data"; }
    SERVER=''
}
query() { mariadb --defaults-file="$RUN/my.cnf" -u galeractl_restore -NB; }

# An account for this pod only, by the user that it runs as. The passwords of the data are not known here.
tool_account() {
    cat <<'SQL'
CREATE OR REPLACE USER galeractl_restore@localhost IDENTIFIED VIA unix_socket AS 'mysql';
GRANT ALL PRIVILEGES ON *.* TO galeractl_restore@localhost WITH GRANT OPTION;
SQL
}

# The accounts that galeractl and the cluster need, with the passwords of the Secret. The fixed time keeps what is
# stored with a password the same on every node.
accounts() {
    local name="${GALERA_DATABASE//\`/\`\`}" user=${GALERA_USER//\\/\\\\} host
    user=${user//\'/\'\'}
    cat <<SQL
SET SESSION sql_mode='';
SET timestamp=$RESTORED_AT;
CREATE USER IF NOT EXISTS root@localhost IDENTIFIED BY $(sql_string root-password);
CREATE USER IF NOT EXISTS root@'%' IDENTIFIED BY $(sql_string root-password);
GRANT ALL PRIVILEGES ON *.* TO root@localhost WITH GRANT OPTION;
GRANT ALL PRIVILEGES ON *.* TO root@'%' WITH GRANT OPTION;
CREATE OR REPLACE USER mysql@localhost IDENTIFIED VIA unix_socket;
GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, CONNECTION ADMIN ON *.* TO mysql@localhost;
CREATE OR REPLACE USER galeractl_reader@localhost IDENTIFIED VIA unix_socket AS 'mysql';
GRANT SELECT, SHOW VIEW, SHOW DATABASES, PROCESS, BINLOG MONITOR, SLAVE MONITOR ON *.* TO galeractl_reader@localhost;
CREATE OR REPLACE USER galeractl@'%' IDENTIFIED BY $(sql_string galeractl-password);
GRANT PROCESS, BINLOG MONITOR ON *.* TO galeractl@'%';
CREATE DATABASE IF NOT EXISTS galeractl;
GRANT ALL PRIVILEGES ON galeractl.* TO galeractl@'%';
CREATE TABLE IF NOT EXISTS galeractl.heartbeat (id INT PRIMARY KEY, token VARCHAR(64) NOT NULL, written_at TIMESTAMP(6) NOT NULL);
SQL
    # Whatever accounts of root there are, such as one without a password for 127.0.0.1, there is one password. Those of
    # hosts by name are dead: servers here do not look up names.
    while read -r host; do
        printf "ALTER USER root@'%s' IDENTIFIED BY %s;\n" "$host" "$(sql_string root-password)"
    done < <(query <<<"SELECT Host FROM mysql.user WHERE User = 'root' AND Host REGEXP '^[0-9a-f.:%/_]+\$' UNION SELECT 'localhost' UNION SELECT '%'")
    [ -z "$name" ] || printf "CREATE DATABASE IF NOT EXISTS \`%s\`;\n" "$name"
    if [ -n "$user" ]; then
        printf "CREATE USER IF NOT EXISTS '%s'@'%%' IDENTIFIED BY %s;\n" "$user" "$(sql_string user-password)"
        printf "ALTER USER '%s'@'%%' IDENTIFIED BY %s;\n" "$user" "$(sql_string user-password)"
        [ -z "$name" ] || printf "GRANT ALL PRIVILEGES ON \`%s\`.* TO '%s'@'%%';\n" "$(sql_pattern "$GALERA_DATABASE")" "$user"
    fi
}

# Binary logs from where the backup ends, each from where the one before it ended; the last one up to the wanted point.
replay() {
    local kind path sum start stop number=0 file options codes
    [ -d "$NEW/logs" ] || return 0
    while read -r kind path sum start stop; do
        [ "$kind" = log ] || continue
        number=$((number + 1))
        file=$(printf '%s/logs/%06d' "$NEW" "$number")
        phase replay "${path##*/}"
        options=(--do-domain-ids=0)
        [ "$start" = - ] || options+=("--start-position=$start")
        case $stop in
            gtid=*) options+=("--stop-position=${stop#gtid=}") ;;
            time=*) options+=("--stop-datetime=$(date -u -d "@${stop#time=}" '+%F %T')") ;;
        esac
        mariadb-binlog "${options[@]}" "$file" 2>"$NEW/error" |
            mariadb --defaults-file="$RUN/my.cnf" -u galeractl_restore --binary-mode 2>>"$NEW/error"
        codes=${PIPESTATUS[*]}
        [ "$codes" = '0 0' ] || fail "the binary log ${path##*/} cannot be replayed: $(grep -v WARNING "$NEW/error" | tail -n 1)"
        rm -f "$file"
    done <<<"$PLAN"
}

# Starts a group of one for a moment, so that the data carries the new history and a position in it. Every volume that
# is filled from the same backup comes to the same position.
identify() {
    local line provider group
    phase identity
    printf '# GALERA saved state\nversion: 2.1\nuuid:    %s\nseqno:   0\nsafe_to_bootstrap: 1\n' "$NEW_UUID" >"$DATA/grastate.dat"
    rm -f "$DATA/gvwstate.dat"
    for provider in /usr/lib/galera/libgalera_smm.so /usr/lib/libgalera_smm.so /usr/lib64/galera-4/libgalera_smm.so; do
        [ -e "$provider" ] && break
    done
    group=(--wsrep-on=ON "--wsrep-provider=$provider" --wsrep-cluster-address=gcomm://)
    start "${group[@]}" --wsrep-new-cluster "--wsrep-start-position=$NEW_UUID:0" \
        --wsrep-provider-options='gcache.size=16M;gmcast.listen_addr=tcp://127.0.0.1:4567'
    until [ "$(query <<<"SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'wsrep_local_state'")" = 4 ]; do
        kill -0 "$SERVER" 2>/dev/null || fail "the server does not become a group of one"
        sleep 0.1
    done
    # The table is there once a server has been part of a group, which one outside of Galera never was.
    query <<<"SET SESSION wsrep_on=OFF; SET timestamp=$RESTORED_AT; GRANT SELECT ON mysql.wsrep_cluster_members TO galeractl@'%';
        DROP USER galeractl_restore@localhost;" || fail "the last accounts cannot be set"
    stop
    rm -f "$DATA"/gvwstate.dat "$DATA"/galera.cache
    mariadbd --defaults-file="$RUN/my.cnf" "${group[@]}" --wsrep-recover --log-error="$NEW/recover.log" >/dev/null 2>&1
    line=$(grep -oE 'Recovered position:[[:space:]]*[0-9a-f-]{36}:-?[0-9]+' "$NEW/recover.log" | tail -n 1)
    POSITION=${line##*[[:space:]]}
    [[ $POSITION == "$NEW_UUID:"* ]] || fail "the data does not carry its new identity: ${POSITION:-nothing} in place of $NEW_UUID"
    [ "$(sed -n 's/^seqno:[[:space:]]*//p' "$DATA/grastate.dat")" = "${POSITION##*:}" ] || fail "the data and grastate.dat name two positions"
}

check() {
    local result
    phase check
    result=$(mariadb-check --defaults-file="$RUN/my.cnf" -u galeractl_restore --all-databases --medium-check 2>&1) ||
        fail "the tables cannot be checked: $(tail -n 1 <<<"$result")"
    ! grep -q '^error' <<<"$result" || flawed "a table is damaged: $(grep -B 1 '^error' <<<"$result" | tr '\n' ' ')"
    tell "phase=checked tables=$(grep -c ' OK$' <<<"$result")"
}

[ -d "$TARGET" ] && [ -w "$TARGET" ] || fail "the volume cannot be written to by user 999"
if [ "$MODE" != verify ]; then
    why=$(expected "${EXPECT:-}") || fail "$why; nothing was changed"
fi
[ ! -e "$TARGET/restore.old" ] || fail "an earlier restore has kept data aside on this volume, and was not finished"
# An earlier run of this Job may have been broken off.
# What is half removed must not pass for complete.
rm -f "$NEW/COMPLETE"
rm -rf "$NEW" "$TARGET/restore.failed"
if [ "$MODE" != verify ]; then
    exec 9>>"$TARGET/lock" && flock -n 9 || fail "a server has just taken the volume; nothing was changed"
fi
if [ "${DISCARD:-no}" = yes ]; then
    phase discard
    # The data goes last: as long as it is in its place, nothing takes this volume for an empty one.
    rm -rf "$TARGET/binlog"
    rm -f "$TARGET"/{identity,seen,view}
    rm -rf "$TARGET/data"
fi
BESIDE=$(held)
FREE=$(df -B1 --output=avail "$TARGET" | tail -n 1)
((FREE > NEEDED)) || fail "no room: ${FREE// /} bytes are free on the volume, $NEEDED are needed beside what is there"
mkdir -p "$NEW"
# What the source wants to hear is written here by whoever has started this.
WAITED=0
until [ -s "$RUN/token" ]; do
    ((WAITED++ < ${GALERA_PATIENCE:-300} * 5)) || fail "nobody has given this pod the token of the source"
    sleep 0.2
done
TOKEN=$(cat "$RUN/token")
PLAN=$(fetch plan -)
[ -n "$PLAN" ] || fail "the source of the backup does not answer"
phase copy
report &
REPORTER=$!
copy
prepare
phase start
configure
tool_account >"$RUN/init.sql"
# Old positions say nothing about this data any more.
rm -f "$DATA"/grastate.dat "$DATA"/gvwstate.dat "$DATA"/galera.cache "$DATA"/incarnation
start --init-file="$RUN/init.sql"
POINT=$(cut -d ' ' -f 1 "$DATA"/{mariadb_backup,xtrabackup}_galera_info 2>/dev/null)
replay
if [ "$MODE" = verify ]; then
    check
else
    phase accounts
    (umask 077 && accounts >"$RUN/accounts.sql")
    mariadb --defaults-file="$RUN/my.cnf" -u galeractl_restore <"$RUN/accounts.sql" 2>"$NEW/error" || fail "the accounts cannot be set: $(tail -n 1 "$NEW/error")"
    rm -f "$RUN/accounts.sql"
fi
stop
if [ "$MODE" = verify ]; then
    rm -rf "$NEW"
    POSITION=$POINT
else
    identify
    rm -rf "$NEW"/{logs,sum,error,prepare.log,server.log,recover.log} "$DATA"/{mariadb_backup_,xtrabackup_}* "$DATA"/{backup-my.cnf,donor_galera_info} "$DATA"/bin.[0-9]*
    rm -rf "$NEW/binlog"
    sync -f "$NEW"
    # Who switches later sees whether the data has moved on since.
    printf '%s\n' "$BESIDE" >"$NEW/BESIDE"
    printf 'group=%s\nmember=%s\nuuid=%s\n' "$GALERA_GROUP" "$GALERA_MEMBER" "$NEW_UUID" >"$NEW/identity"
    sync -f "$NEW"
    printf '%s\n' "$POSITION" >"$NEW/COMPLETE"
    sync -f "$NEW"
fi
kill "$REPORTER" 2>/dev/null
tell "phase=done position=$POSITION found=$(found)"
