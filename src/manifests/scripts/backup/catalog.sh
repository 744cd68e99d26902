# Prints everything that is known about the backups of one cluster: a line for each file, with a word and a name in front
# that are made here. After them comes one line of that file at most, so no file can pass for another.
# shellcheck shell=bash
export LC_ALL=C
ROOT=/backups/$1
[ -L "$ROOT" ] || [ -L "${ROOT%/*}" ] || {
    for dir in "$ROOT"/*Z-full "$ROOT"/*Z-inc; do
        id=${dir##*/}
        is "$BACKUP" "$id" || continue
        ! read_line "$dir/backup.json.sig" || printf 'signature %s %s\n' "$id" "$LINE"
        if read_line "$dir/backup.json"; then printf 'backup %s %s\n' "$id" "$LINE"; else printf 'backup %s\n' "$id"; fi
        ! is_file "$dir/data.mb.zst" || printf 'stored %s %s\n' "$id" "$(stat -c %s "$dir/data.mb.zst")"
        ! read_line "$dir/verified.json" || printf 'verified %s %s\n' "$id" "$LINE"
    done
    for log in "$ROOT"/binlog/*.zst; do
        name=${log##*/}
        is "$LOG" "$name" && is_file "$log" || continue
        ! read_line "$log.json.sig" || printf 'signature %s %s\n' "$name" "$LINE"
        ! read_line "$log.json" || printf 'log %s %s\n' "$name" "$LINE"
    done
    # What the agent tells here, in its own container, it may have been unable to write to the volume.
    told=$ROOT/agent.json
    [ "$1" != "${GALERA_NAMESPACE:-}/${GALERA_CLUSTER:-}" ] || ! is_file /run/agent/agent.json || told=/run/agent/agent.json
    ! read_line "$told" || printf 'agent %s\n' "$LINE"
    ! is_file "$ROOT/owner/beat" || stat -c 'beat %Y' "$ROOT/owner/beat"
}
printf 'clock %s %s\n' "$EPOCHSECONDS" "$(mariadbd --version 2>/dev/null | grep -oE '[0-9]+[.][0-9]+[.][0-9]+' | head -n 1)"
for dir in /backups/*/*/; do
    dir=${dir#/backups/} dir=${dir%/}
    is "$CLUSTER" "$dir" && is_folder "/backups/${dir%/*}" && is_folder "/backups/$dir" || continue
    set -- "/backups/$dir"/*Z-full
    [ ! -e "$1" ] || printf 'cluster %s\n' "$dir"
done
