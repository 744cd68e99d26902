# Run in a member's container: which of these ports of a host can be reached from here. The host is the first argument.
# shellcheck shell=bash
host=$1
shift
for port in "$@"; do
    # shellcheck disable=SC2016 # the inner shell expands it
    if timeout 2 bash -c 'exec 3<>"/dev/tcp/$1/$2"' knock "$host" "$port" 2>/dev/null; then
        echo "$port open"
    else
        echo "$port closed"
    fi
done
