# Empties a data volume completely, hidden files included, and proves it: but only if it holds exactly what EXPECT says,
# which whoever asks for it has looked at. Without that nothing is done.
# shellcheck shell=bash
tell() { say "event=purge $*"; }
why=$(expected "${EXPECT:-}") || { tell "refused=yes reason=$(quoted "$why; nothing was removed")"; exit 3; }
# No server of ours starts on it from here on.
exec 9>>"$VOLUME/lock" && flock -n 9 || { tell "refused=yes reason=$(quoted 'a server has just taken the volume; nothing was removed')"; exit 3; }
# The file system's own folder stays: it is part of every new ext4, and belongs to root.
left() { find "$VOLUME" -mindepth 1 ! -path "$VOLUME/lost+found" -printf x 2>/dev/null | wc -c; }
bytes() { du -sb "$VOLUME" 2>/dev/null | cut -f 1; }
tell "left=$(left) bytes=$(bytes)"
while sleep 1; do tell "bytes=$(bytes)"; done &
REPORTER=$!
trap 'kill "$REPORTER" 2>/dev/null; exit 143' TERM
find "$VOLUME" -mindepth 1 -maxdepth 1 ! -name lost+found ! -name lock -exec rm -rf -- {} + &
wait $!
kill "$REPORTER" 2>/dev/null
rm -f "$VOLUME/lock"
sync -f "$VOLUME"
LEFT=$(left)
tell "left=$LEFT bytes=$(bytes)"
[ "$LEFT" = 0 ]
