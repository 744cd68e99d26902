# The first process of a reader: gives files of the backup volume to pods that know its token.
# shellcheck shell=bash
printf '%s' "$SERVE" >/tmp/serve.sh
trap 'exit 0' TERM
case $POD_IP in *:*) on=TCP6-LISTEN:4445,ipv6only=0 ;; *) on=TCP4-LISTEN:4445 ;; esac
socat -T 60 "$on,fork,reuseaddr,max-children=64" 'EXEC:bash /tmp/serve.sh' &
wait $!
