#!/bin/bash
# Tells what a data volume holds, without changing it: one line that galeractl reads.
DATA=/var/lib/mysql/data
value() { sed -n "s/^$1:[[:space:]]*//p" "$DATA/grastate.dat" 2>/dev/null; }
holds=empty
[ -z "$(find /var/lib/mysql -mindepth 1 ! -name lost+found -print -quit 2>/dev/null)" ] || holds=other
[ ! -d "$DATA/mysql" ] || holds=database
written=$(find /var/lib/mysql -type f -printf '%T@\n' 2>/dev/null | sort -n | tail -n 1)
printf 'GALERACTL at=%s member=%s event=volume holds=%s uuid=%s seqno=%s safe=%s bytes=%s written=%s\n' "$EPOCHREALTIME" \
    "$GALERA_MEMBER" "$holds" "$(value uuid)" "$(value seqno)" "$(value safe_to_bootstrap)" \
    "$(du -sb /var/lib/mysql 2>/dev/null | cut -f 1)" "${written%%.*}"
# Stays until it is deleted, so that its log can be read; dies at once when asked to.
trap 'exit 0' TERM
sleep infinity &
wait $!
