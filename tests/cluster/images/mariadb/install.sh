#!/bin/sh
# Runs in the image. Ids and paths are those of the official mariadb image, so
# that a manifest which works with one works with the other.
set -eu

# Before the package, which would take any free id.
groupadd --system --gid 999 mysql
useradd --system --uid 999 --gid mysql --home-dir /home/mysql --create-home --shell /bin/sh mysql

apt-get update
apt-get install --yes --no-install-recommends \
	mariadb-server mariadb-backup galera-4 \
	socat zstd xz-utils procps openssl gosu tzdata libjemalloc2
ln -s /usr/sbin/gosu /usr/local/bin/gosu

# The package made a database for this machine; the image has none.
rm -rf /var/lib/mysql
install -d -o mysql -g mysql -m 0755 /var/lib/mysql
install -d -o mysql -g mysql -m 1777 /run/mysqld
install -d /docker-entrypoint-initdb.d

# The official image answers on every address and logs to standard error.
find /etc/mysql -name '*.cnf' -exec \
	sed -i -E 's/^(bind-address|log_error|log-error|user)([[:space:]]*=)/#\1\2/' {} +
printf '[mariadb]\nhost-cache-size=0\nskip-name-resolve\n' > /etc/mysql/mariadb.conf.d/05-skipcache.cnf
