# Turns a volume to the data that a restore has put beside it, keeps the old data aside, or brings it back. Every step
# is one renaming, and it goes on from wherever an earlier run of it was broken off. It does nothing unless the volume
# holds what EXPECT says, and does not switch to data that was prepared beside another position than the present one.
# shellcheck shell=bash
tell() { say "event=restore $*"; }
fail() {
    tell "phase=failed reason=$(quoted "$1")"
    exit 1
}
# All that belongs to one copy of the data. The data goes last: it is what tells whose turn it is.
PARTS='binlog identity seen view data'

# Whether what lies at data is the old data: it has not been moved aside yet.
old_is_in_place() { [ ! -e restore.old/data ] && [ ! -e restore.old/EMPTY ]; }

aside() {
    local part
    mkdir -p restore.old
    old_is_in_place || return 0
    for part in $PARTS; do
        [ ! -e "$part" ] || [ -e "restore.old/$part" ] || mv "$part" "restore.old/$part"
    done
    [ -e restore.old/data ] || touch restore.old/EMPTY
}

# The data has moved on since the copy was prepared beside it: writes would be lost that nobody was asked about.
moved_on() {
    local beside now
    beside=$(only '[a-z0-9:-]{1,100}' "$(head -c 200 restore.new/BESIDE 2>/dev/null)")
    now=$(held)
    [ "$beside" = "$now" ] || fail "the new data was prepared beside ${beside:-nothing known}, and the volume now holds $now"
}

cd "$VOLUME" || fail "there is no volume"
set -euo pipefail
why=$(expected "${EXPECT:-}") || fail "$why; nothing was changed"
exec 9>>lock
flock -n 9 || fail "a server has just taken the volume; nothing was changed"
case $TURN in
    switch)
        if [ -d restore.new/data ]; then
            [ -s restore.new/COMPLETE ] || fail "the volume has not been filled completely"
            ! old_is_in_place || moved_on
            aside
            [ ! -e restore.new/identity ] || mv restore.new/identity identity
            mv restore.new/data data
        fi
        [ -d restore.old ] && ! old_is_in_place || fail "there is nothing to switch to"
        rm -rf restore.new
        ;;
    clear)
        aside
        rm -rf restore.new
        ;;
    undo)
        if [ -d restore.old ]; then
            if ! old_is_in_place; then
                mkdir -p restore.failed
                if [ ! -e restore.failed/DONE ]; then
                    for part in $PARTS; do
                        [ ! -e "$part" ] || { rm -rf "restore.failed/$part" && mv "$part" "restore.failed/$part"; }
                    done
                    touch restore.failed/DONE
                fi
            fi
            for part in $PARTS; do
                [ ! -e "restore.old/$part" ] || mv "restore.old/$part" "$part"
            done
        fi
        rm -rf restore.old restore.failed restore.new
        ;;
    drop)
        rm -rf restore.new
        ;;
    *) fail "no such turn" ;;
esac
sync -f .
tell "phase=done position=- found=$(found)"
