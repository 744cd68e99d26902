# Run in the agent's container: what is asked of it comes on the standard input. It has one request at a time.
# shellcheck shell=bash
OWN=${OWN:-/run/agent}
[ ! -e "$OWN/request" ] || exit 9
cat >"$OWN/request.new" && mv "$OWN/request.new" "$OWN/request" && printf '\n' 1<>"$OWN/bell"
