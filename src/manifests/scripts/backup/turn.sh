#!/bin/bash
# Turns a volume to the data that a restore has put beside it, keeps the old data aside, or brings it back. Every step
# is one renaming, and the script goes on from wherever an earlier run of it was broken off.
set -euo pipefail
cd /target
say() { printf 'GALERACTL at=%s member=%s event=restore %s\n' "$EPOCHREALTIME" "$GALERA_MEMBER" "$*"; }
fail() {
    say "phase=failed reason=\"$1\""
    exit 1
}

# Whether what lies at data is the old data: it has not been moved aside yet.
old_is_in_place() { [ ! -e restore.old/data ] && [ ! -e restore.old/EMPTY ]; }

aside() {
    mkdir -p restore.old
    old_is_in_place || return 0
    [ ! -d binlog ] || [ -e restore.old/binlog ] || mv binlog restore.old/binlog
    if [ -e data ]; then mv data restore.old/data; else touch restore.old/EMPTY; fi
}

case $TURN in
    switch)
        if [ -d restore.new/data ]; then
            [ -s restore.new/COMPLETE ] || fail "the volume has not been filled completely"
            aside
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
                [ ! -e data ] || { rm -rf restore.failed && mv data restore.failed; }
                rm -rf binlog
                [ ! -e restore.old/data ] || mv restore.old/data data
            fi
            [ ! -d restore.old/binlog ] || { rm -rf binlog && mv restore.old/binlog binlog; }
        fi
        rm -rf restore.old restore.failed restore.new
        ;;
esac
sync -f .
say "phase=done position=-"
