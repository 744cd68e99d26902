# Run in a reader: writes what comes on the standard input to a file, for this user only, whole or not at all.
# shellcheck shell=bash
umask 077
cat >"$1.new" && mv "$1.new" "$1"
