#!/bin/sh
# The first process of a container does not get a signal for which it has no handler yet.
trap 'exit 143' TERM INT
# HAProxy's own resolver knows no search list, so the names of the nodes have to be whole.
[ -n "$GALERA_DOMAIN" ] || GALERA_DOMAIN=$(sed -n 's/^search[[:space:]]*\([^[:space:]]*\).*/\1/p' /etc/resolv.conf)
if [ -z "$GALERA_DOMAIN" ]; then
    echo 'GALERACTL event=refused reason="/etc/resolv.conf has no search list, so the names of the nodes are unknown"'
    exit 1
fi
# Where pods have addresses of the sixth version, `::` takes connections of both.
case $POD_IP in
    *:*) GALERA_BIND='[::]' ;;
    *) GALERA_BIND='' ;;
esac
export GALERA_DOMAIN GALERA_BIND
exec haproxy -W -db -f /galeractl/haproxy.cfg
