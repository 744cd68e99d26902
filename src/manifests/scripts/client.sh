#!/bin/bash
# Runs the server's own client over its socket, for somebody elsewhere who talks to it. The password of the account comes
# as the first line, so that it stands in no list of processes and in no file. Three words are for galeractl:
# `password?`, then `ready`, or `refused: WHY`; what follows is between the client and its user.
set -u
SOCKET=${RUN:-/run/galeractl}/mysqld.sock
user=$1 settings=$2
shift 2
# A terminal shows what is typed.
[ ! -t 0 ] || stty -echo
printf 'password?\n'
IFS= read -r password
password=${password//\\/\\\\}
login() { printf '[client]\nsocket="%s"\nskip_ssl\nuser=%s\npassword="%s"\n' "$SOCKET" "$user" "${password//\"/\\\"}"; }
if ! why=$(mariadb --defaults-file=<(login) -e 'DO 0' 2>&1 </dev/null); then
    printf 'refused: %s\n' "${why//$'\n'/ }"
    exit 1
fi
[ ! -t 0 ] || stty echo
printf 'ready\n'
# Statements may hold passwords of others.
export MYSQL_HISTFILE=/dev/null
exec mariadb --defaults-file=<(login && printf '[mariadb-client]\n%s\n' "$settings") "$@"
