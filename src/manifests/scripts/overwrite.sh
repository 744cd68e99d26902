#!/bin/bash
# Asked by the script that receives a state transfer, before it removes anything: may what lies here be replaced by what
# the running component has? Only by a copy of the same history. Nothing else in the way of a transfer asks.
# shellcheck disable=SC2034 # What is written in capitals is for the parts that are read here.
set -uo pipefail
[[ " $* " =~ \ --role\ joiner\  ]] || exit 0
for part in report volume peers node; do
    # shellcheck source=/dev/null # they lie beside this file
    source "$SCRIPTS/$part.sh"
done
DATA=$VOLUME/data
DOMAIN=${GALERA_DOMAIN:-$(domain)}
# A server has emptied the state file by now; what was there before it started is known.
HELD=$(cat "$RUN/held" 2>/dev/null)
HISTORY=$(history "${HELD:-unknown}")
deadline=$((SECONDS + 10))
# The component is there, or no transfer would begin; its members may be a moment behind with saying so.
until group=$(component) && [ -n "$group" ]; do
    ((SECONDS < deadline)) || break
    sleep 0.2
done
own=$(objection)
why=$own
# Where nothing lies nothing can be lost: whom it was let go to join was judged then, and members under load answer late.
[ -n "$why" ] || [ "$HELD$group" = nothing ] || why=$(stranger "$group")
[ -n "$why" ] || exit 0
printf '%s\n' "$why" >"$RUN/overwrite"
# Silence is no judgement: this start comes to nothing, and all is looked at anew.
[ -z "$own$group" ] || say "event=refused reason=$(quoted "$why")" >>"$REPORTS"
exit 1
