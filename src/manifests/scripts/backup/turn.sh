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
    # Without old data it is the rest of an undo that has come to its end; with it, of one that has not.
    [ -e restore.old ] || rm -rf restore.failed
    [ ! -e restore.failed ] || fail "bringing back the old data has begun, and has to come to its end"
    mkdir -p restore.old
    old_is_in_place || return 0
    for part in $PARTS; do
        [ ! -e "$part" ] || [ -e "restore.old/$part" ] || mv -T "$part" "restore.old/$part"
    done
    [ -e restore.old/data ] || touch restore.old/EMPTY
}

# Puts one part of the old data back. Two of it mean that a server has started in between.
back() {
    [ -e "restore.old/$1" ] || return 0
    [ ! -e "$1" ] || fail "there is a second $1 beside the one that was kept; neither was removed"
    mv -T "restore.old/$1" "$1"
}

# What is half removed must not pass for complete.
discard() {
    rm -f restore.new/COMPLETE
    rm -rf restore.new
}

# The data has moved on since the copy was prepared beside it: writes would be lost that nobody was asked about.
moved_on() {
    local beside now
    beside=$(only '[a-z0-9:-]+' "$(head -c 200 restore.new/BESIDE 2>/dev/null)") || beside=''
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
            ! any_file data || fail "a server has started on the volume since the old data was moved aside; nothing was switched"
            [ ! -e restore.new/identity ] || mv -T restore.new/identity identity
            mv -T restore.new/data data
        fi
        [ -d restore.old ] && ! old_is_in_place || fail "there is nothing to switch to"
        [ ! -e restore.failed ] || fail "bringing back the old data has begun, and has to come to its end"
        discard
        ;;
    clear)
        aside
        discard
        ;;
    undo)
        if [ -d restore.old ]; then
            if ! old_is_in_place; then
                mkdir -p restore.failed
                if [ ! -e restore.failed/DONE ]; then
                    for part in $PARTS; do
                        [ ! -e "$part" ] || { rm -rf "restore.failed/$part" && mv -T "$part" "restore.failed/$part"; }
                    done
                    touch restore.failed/DONE
                fi
            fi
            for part in $PARTS; do back "$part"; done
        fi
        rm -rf restore.old restore.failed
        discard
        ;;
    drop)
        discard
        ;;
    *) fail "no such turn" ;;
esac
sync -f .
tell "phase=done position=- found=$(found)"
