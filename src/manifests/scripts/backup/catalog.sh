# Prints everything that is known about the backups of one cluster: lines of JSON with a word in front.
# shellcheck shell=bash
ROOT=/backups/$1
cat "$ROOT"/*Z-full/backup.json "$ROOT"/*Z-inc/backup.json 2>/dev/null | sed 's/^/backup /'
stat -c 'stored {"name":"%n","bytes":%s}' "$ROOT"/*Z-full/data.mb.zst "$ROOT"/*Z-inc/data.mb.zst 2>/dev/null
for file in "$ROOT"/*/verified.json; do
    [ ! -s "$file" ] || printf 'verified %s\n' "$(cat "$file")"
done
find "$ROOT/binlog" -name '*.json' ! -name '.*' -exec cat {} + 2>/dev/null | sed 's/^/log /'
[ ! -s "$ROOT/agent.json" ] || printf 'agent %s\n' "$(cat "$ROOT/agent.json")"
[ ! -e "$ROOT/owner/beat" ] || stat -c 'beat {"at":%Y}' "$ROOT/owner/beat"
printf 'clock {"now":%s,"server":"%s"}\n' "$EPOCHSECONDS" "$(mariadbd --version 2>/dev/null | grep -oE '[0-9]+[.][0-9]+[.][0-9]+' | head -n 1)"
for dir in /backups/*/*/; do
    set -- "$dir"*Z-full
    [ ! -e "$1" ] || printf 'cluster {"path":"%s"}\n' "$(cut -d / -f 3-4 <<<"$dir")"
done
