# Run in a member's container: whether its server would take the options that come on the standard input.
# shellcheck shell=bash
RUN=${RUN:-/run/galeractl}
cat >"$RUN/wanted.cnf"
# Options of a plugin that was installed in the database.
server_knows() { [ -n "$(mariadb --defaults-file="$RUN/my.cnf" -NBe "SHOW GLOBAL VARIABLES LIKE '$1'" 2>/dev/null)" ]; }
options_objection "$RUN/wanted.cnf" server_knows
rm -f "$RUN/wanted.cnf"
