# What the agent and the tools that read backups have in common. ROOT is the folder of one cluster.
# shellcheck shell=bash

# A value of a file that holds one line of JSON, written by this program.
field() { sed -nE -e "s/.*\"$2\":\"([^\"]*)\".*/\1/p" -e "s/.*\"$2\":([^\",}]+)[,}].*/\1/p" "$1" 2>/dev/null; }

# Text that can stand between quotes in JSON and in a line of the log.
plain() { printf '%s' "$1" | tr -d '\\"' | tr -c '[:print:]' ' ' | cut -c 1-400; }

checkpoint() { cat "$1"/*_checkpoints 2>/dev/null | sed -n "s/^$2 = //p"; }

sql() { timeout 20 mariadb --defaults-file="$SERVER/my.cnf" -NBe "$1" 2>/dev/null; }

# Complete backups, oldest first: their names begin with the time.
backups() {
    local dir
    for dir in "$ROOT"/*Z-full "$ROOT"/*Z-inc; do
        [ ! -s "$dir/backup.json" ] || printf '%s\n' "${dir##*/}"
    done | sort
}
