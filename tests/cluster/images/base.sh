#!/bin/sh
# Makes the Debian root file system that the images start from.
# usage: base.sh ROOT SUITE MIRROR
set -eu
root=$1 suite=$2 mirror=$3

debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror"

cat > "$root/etc/dpkg/dpkg.cfg.d/trim" <<'EOF'
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/lintian/*
force-unsafe-io
EOF
# A package that starts its service while it is installed would start it on
# this machine: a chroot is not a container.
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"
