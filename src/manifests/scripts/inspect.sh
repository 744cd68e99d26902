# Tells what a data volume holds, without changing it: one line that galeractl reads.
# shellcheck shell=bash
open=no
! in_use || open=yes
say "event=volume $(describe_volume) open=$open"
# Stays until it is deleted, so that its log can be read; dies at once when asked to.
trap 'exit 0' TERM
sleep infinity &
wait $!
