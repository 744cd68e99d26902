# shellcheck shell=bash
# A containerd root with the images imported and unpacked.
#
# Importing into each node anew takes 20 s per node and three times the disk.
# The unpacked layers and blobs are never written to again, so a node gets hard
# links to them, which also lets the nodes share the page cache; only the two
# small databases are copied.

STORE_DATABASES=(
	io.containerd.metadata.v1.bolt/meta.db
	io.containerd.snapshotter.v1.overlayfs/metadata.db
)

# build_store ARCHIVE... ROOT: the root comes last, as `cached` appends it.
build_store() {
	local root=${*: -1} archives=("${@:1:$#-1}")
	local state=$CACHE/work.part/containerd pid archive
	rm -rf "$state"
	mkdir -p "$state" "$root"
	containerd_config "$root" "$state" > "$state/config.toml"
	containerd --config "$state/config.toml" &
	pid=$!
	trap 'kill '"$pid"' 2> /dev/null || true' EXIT
	poll 20 containerd_answers "$state/containerd.sock"
	for archive in "${archives[@]}"; do
		ctr --address "$state/containerd.sock" --namespace k8s.io \
			images import --snapshotter overlayfs "$archive"
	done
	kill "$pid"
	# It reports the signal that ended it.
	wait "$pid" || true
	trap - EXIT
	rm -rf "$state"
}

containerd_answers() { ctr --address "$1" version > /dev/null 2>&1; }

copy_store() {
	local from=$1 to=$2 database
	mkdir -p "$(dirname "$to")"
	rm -rf "$to"
	# Links need one file system; where there are two, the price is a copy.
	if ! cp -al "$from" "$to" 2> /dev/null; then
		rm -rf "$to"
		cp -a "$from" "$to"
		return
	fi
	for database in "${STORE_DATABASES[@]}"; do
		cp --remove-destination "$from/$database" "$to/$database"
	done
}

# containerd_config ROOT STATE: of a node, and of the one that builds the store.
containerd_config() {
	cat <<EOF
version = 2
root = "$1"
state = "$2/state"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
address = "$2/containerd.sock"

[ttrpc]
address = "$2/containerd.sock.ttrpc"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "$PAUSE_IMAGE"
disable_apparmor = true
# Without CAP_SYS_RESOURCE no process may lower its score, and every sandbox
# would fail with "can't get final child's PID from pipe: EOF".
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
max_container_log_line_size = 65536

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$RUN/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
EOF
}
