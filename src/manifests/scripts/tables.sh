# Run in a member's container: brings the system tables of its server to the version of the server. The password of root
# comes on the standard input. Nothing of it reaches the others: each member has this done for itself. The first word
# is what was found, or done; anything else is an error.
# shellcheck shell=bash
RUN=${RUN:-/run/galeractl}
IFS= read -r MYSQL_PWD
export MYSQL_PWD LC_ALL=C
# Whoever asked before may be gone while what was asked for goes on.
exec 9>"$RUN/tables.lock" && flock 9 || exit 1
upgrade() { mariadb-upgrade --no-defaults --socket="$RUN/mysqld.sock" --user=root --skip-ssl --tmpdir=/tmp "$@" 2>&1; }
# Its code says the same of a server that needs nothing and of one that does not answer.
said=$(upgrade --check-if-upgrade-is-needed)
code=$?
if [ $code != 0 ]; then
    case $said in
        *'already upgraded'*) echo current && exit 0 ;;
    esac
    printf '%s\n' "${said:-mariadb-upgrade ended with code $code and said nothing}" | tail -n 5 >&2
    exit 1
fi
if ! said=$(upgrade --skip-write-binlog); then
    printf '%s\n' "$said" | tail -n 5 >&2
    exit 1
fi
case $(upgrade --check-if-upgrade-is-needed) in
    *'already upgraded'*) echo upgraded ;;
    *) echo 'mariadb-upgrade has ended, and still says that it is needed' >&2 && exit 1 ;;
esac
