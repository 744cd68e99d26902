#!/bin/bash
# Tells what a data volume holds, without changing it: one line that galeractl reads.
DATA=/var/lib/mysql/data
value() { sed -n "s/^$1:[[:space:]]*//p" "$DATA/grastate.dat" 2>/dev/null; }
holds=empty
[ -z "$(find /var/lib/mysql -mindepth 1 ! -type d -print -quit 2>/dev/null)" ] || holds=other
[ ! -d "$DATA/mysql" ] || holds=database
# What a restore has left: filled beside the old data, or the old data kept aside.
restore=none
[ ! -s /var/lib/mysql/restore.new/COMPLETE ] || restore=filled
[ ! -e /var/lib/mysql/restore.old ] || restore=switched
[ "$restore" = none ] || [ "$holds" != other ] || [ -n "$(find "$DATA" -mindepth 1 ! -type d -print -quit 2>/dev/null)" ] || holds=empty
written=$(find /var/lib/mysql -type f -printf '%T@\n' 2>/dev/null | sort -n | tail -n 1)
printf 'GALERACTL at=%s member=%s event=volume holds=%s uuid=%s seqno=%s safe=%s restore=%s bytes=%s written=%s\n' "$EPOCHREALTIME" \
    "$GALERA_MEMBER" "$holds" "$(value uuid)" "$(value seqno)" "$(value safe_to_bootstrap)" "$restore" \
    "$(du -sb /var/lib/mysql 2>/dev/null | cut -f 1)" "${written%%.*}"
# Stays until it is deleted, so that its log can be read; dies at once when asked to.
trap 'exit 0' TERM
sleep infinity &
wait $!
