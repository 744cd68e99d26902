# shellcheck shell=bash disable=SC2034 # most of it is used by the other files
# Places, numbers and words that every part uses.

KUBERNETES_VERSION=1.34.4
SUITE=trixie

STATE=/var/lib/galeractl-cluster
RUN=/run/galeractl-cluster
LOCK=/run/galeractl-cluster.lock
CACHE=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/galeractl/cluster
KUBECONFIG_PATH=$STATE/kubeconfig
CGROUP=galeractl-cluster

BRIDGE=galeractl0
POD_CIDR=10.244.0.0/16
POD_RANGE_START=10.244.1.1
GATEWAY=10.244.0.1
SERVICE_CIDR=10.245.0.0/16
KUBERNETES_SERVICE=10.245.0.1

API_PORT=16443
ETCD_PORT=12379
ETCD_PEER_PORT=12380
MANAGER_PORT=20257
SCHEDULER_PORT=20259
PROXY_HEALTH_PORT=20256
PROXY_METRICS_PORT=20258
MAX_NODES=9

PAUSE_IMAGE=galeractl.local/pause:1
MARIADB_IMAGE=docker.io/library/mariadb:11.8
HAPROXY_IMAGE=docker.io/library/haproxy:3.0

say() { printf '%s\n' "$*" >&2; }

die() {
	say "error: $1"
	shift
	local hint
	for hint in "$@"; do say "  $hint"; done
	exit 1
}

# Ends with the part of a log that is likely to tell why.
die_with_log() {
	local message=$1 log=$2
	say "error: $message"
	if [[ -s $log ]]; then
		say "  the end of $log:"
		tail -n 15 "$log" | sed 's/^/  | /' >&2
	else
		say "  its log $log is empty"
	fi
	exit 1
}

node_name() { printf 'node%d' "$1"; }
node_address() { printf '10.244.0.%d' $((10 + $1)); }
node_health_port() { printf '%d' $((20240 + $1)); }

# poll SECONDS COMMAND...: asks each 0.1 s until COMMAND says yes.
poll() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.1
	done
}

# One command at a time. The file is removed by `down` while others may wait
# for it, so whoever gets the lock looks whether it is still the file in place.
take_lock() {
	while :; do
		exec 9> "$LOCK"
		if ! flock -n 9; then
			say "another cluster command is running; waiting for it to end"
			flock 9
		fi
		[[ /proc/self/fd/9 -ef $LOCK ]] && return
	done
}

# build_step LABEL LOG COMMAND...: runs something long, says that it is alive.
build_step() {
	local label=$1 log=$2 start=$SECONDS next rc=0
	shift 2
	next=$((SECONDS + 30))
	say "$label ..."
	mkdir -p "$(dirname "$log")"
	# Job control gives the job its own process group, so that all of it can be
	# ended when this script is interrupted.
	set -m
	(
		set -e
		"$@"
	) > "$log" 2>&1 < /dev/null 9>&- &
	BUILD_GROUP=$!
	set +m
	while kill -0 "$BUILD_GROUP" 2> /dev/null; do
		sleep 0.2
		if ((SECONDS >= next)); then
			say "$label ... $((SECONDS - start)) s: $(tail -n 1 "$log" | cut -c 1-100)"
			next=$((SECONDS + 30))
		fi
	done
	wait "$BUILD_GROUP" || rc=$?
	BUILD_GROUP=
	((rc == 0)) || die_with_log "$label failed (exit $rc)" "$log"
	say "$label done in $((SECONDS - start)) s"
}

# Called on the way out: what is being built must not outlive its builder.
end_build() {
	if [[ -n ${BUILD_GROUP:-} ]]; then
		kill -TERM -- "-$BUILD_GROUP" 2> /dev/null || true
		BUILD_GROUP=
	fi
}
