#!/bin/bash
# Empties a data volume completely, hidden files included, and proves it.
VOLUME=/var/lib/mysql
say() { printf 'GALERACTL at=%s member=%s event=purge %s\n' "$EPOCHREALTIME" "$GALERA_MEMBER" "$*"; }
# The file system's own folder stays: it is part of every new ext4, and belongs to root.
left() { find "$VOLUME" -mindepth 1 ! -path "$VOLUME/lost+found" -printf x 2>/dev/null | wc -c; }
bytes() { du -sb "$VOLUME" 2>/dev/null | cut -f 1; }
say "left=$(left) bytes=$(bytes)"
while sleep 1; do say "bytes=$(bytes)"; done &
REPORTER=$!
trap 'kill "$REPORTER" 2>/dev/null; exit 143' TERM
find "$VOLUME" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf -- {} + &
wait $!
kill "$REPORTER" 2>/dev/null
sync -f "$VOLUME"
LEFT=$(left)
say "left=$LEFT bytes=$(bytes)"
[ "$LEFT" = 0 ]
