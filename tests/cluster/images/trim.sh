#!/bin/sh
# Runs in the image as the last step: removes what only an installer needs.
set -eu
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/* \
	/usr/share/doc /usr/share/info /usr/share/man /usr/share/locale \
	/usr/share/lintian /tmp/* /var/tmp/* \
	/usr/sbin/policy-rc.d /etc/dpkg/dpkg.cfg.d/trim /etc/machine-id
# Names and addresses are given by kubelet.
: > /etc/resolv.conf
: > /etc/hostname
