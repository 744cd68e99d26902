#!/usr/bin/env bash
# Builds one image as a docker-archive.
# usage: build.sh NAME REFERENCE WORK ARCHIVE [SUITE MIRROR]
#
# NAME is a folder beside this file: config.json is the image's configuration,
# install.sh runs inside of it. WORK is kept between images of one run: the
# Debian base in it is shared. Started in a mount namespace of its own (by the
# caller), so that nothing stays mounted when it is interrupted.
set -euo pipefail

name=$1 reference=$2 work=$3 archive=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$work/$name.root
image=$work/$name.image

debian_root() {
	local suite=$1 mirror=$2
	if [[ ! -d $work/base ]]; then
		rm -rf "$work/base.part"
		"$here/base.sh" "$work/base.part" "$suite" "$mirror"
		mv "$work/base.part" "$work/base"
	fi
	cp -a "$work/base" "$root"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	local script
	for script in "$name/install.sh" trim.sh; do
		DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
			chroot "$root" sh -c "$(cat "$here/$script")" < /dev/null
	done
	umount -R "$root/dev" "$root/proc"
}

pause_root() {
	mkdir -p "$root"
	gcc -Os -static -s -Wall -Wextra -Werror -o "$root/pause" "$here/pause/pause.c"
}

# One layer, its configuration and the list of both: what `docker save` writes.
pack() {
	mkdir -p "$image"
	tar --numeric-owner --sort=name -C "$root" -cf "$image/layer.tar" .
	local layer config
	layer=$(sha256sum "$image/layer.tar" | cut -d' ' -f1)
	printf '{"architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}\n' \
		"$(dpkg --print-architecture)" "$(cat "$here/$name/config.json")" "$layer" > "$image/config.json"
	config=$(sha256sum "$image/config.json" | cut -d' ' -f1)
	mv "$image/config.json" "$image/$config.json"
	printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["layer.tar"]}]\n' \
		"$config" "$reference" > "$image/manifest.json"
	tar -C "$image" -cf "$archive" manifest.json "$config.json" layer.tar
}

rm -rf "$root" "$image"
if [[ -f $here/$name/install.sh ]]; then
	debian_root "$5" "$6"
else
	pause_root
fi
pack
rm -rf "$root" "$image"
