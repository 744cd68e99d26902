#!/bin/sh
# Runs in the image. Ids and paths are those of the official haproxy image.
set -eu

apt-get update
apt-get install --yes --no-install-recommends haproxy

# Afterwards: the package wants a user in Debian's range for system users,
# which begins at 100.
groupmod --gid 99 haproxy
usermod --uid 99 --gid 99 haproxy

ln -s /usr/sbin/haproxy /usr/local/sbin/haproxy
rm -rf /var/lib/haproxy
install -d -o haproxy -g haproxy /var/lib/haproxy
install -d /usr/local/etc/haproxy/errors
cp /etc/haproxy/errors/*.http /usr/local/etc/haproxy/errors/
