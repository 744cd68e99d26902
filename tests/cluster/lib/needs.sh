# shellcheck shell=bash disable=SC2153 # NODES comes from the environment
# What this machine must have and must not have.

OWN_CLUSTER="use a cluster of your own instead: name it by KUBECONFIG or --context"
# What is asked for is the program, not the package: another package that ships
# it (Docker's containerd.io) is as good, and would be removed by ours.
PROGRAMS=(
	containerd:/usr/bin/containerd runc:/usr/sbin/runc containernetworking-plugins:/usr/lib/cni/bridge
	iptables:/usr/sbin/iptables-restore conntrack:/usr/sbin/conntrack
	debootstrap:/usr/sbin/debootstrap iproute2:/usr/bin/ip kmod:/usr/sbin/modprobe
)

need_root() {
	[[ $(id -u) == 0 ]] || die "the test cluster needs root: it makes cgroups, mounts and a bridge" \
		"run it as root, or $OWN_CLUSTER"
}

need_machine() {
	[[ $(uname -s) == Linux ]] || die "the test cluster needs Linux" "$OWN_CLUSTER"
	command -v apt-get > /dev/null ||
		die "the test cluster takes its parts from Debian packages, and this machine has no apt-get" "$OWN_CLUSTER"
	cgroup_v2 || [[ -d /sys/fs/cgroup/pids ]] ||
		die "there is neither cgroup version 2 nor the pids controller of version 1 at /sys/fs/cgroup" "$OWN_CLUSTER"
	[[ -w $(cgroup_process_root)/cgroup.procs ]] ||
		die "/sys/fs/cgroup cannot be written: is this a container without privileges?" "$OWN_CLUSTER"
}

need_compilers() {
	command -v go > /dev/null ||
		die "Go is missing; the Kubernetes binary is built from Go modules" \
			"install Go 1.24 or newer and put it on PATH"
	# Asked inside the module, Go also tells when it is too old for it.
	(cd "$HERE/kube" && GOTOOLCHAIN=${GOTOOLCHAIN:-local} go list -m > /dev/null) ||
		die "this Go cannot build the module in $HERE/kube" "it needs Go 1.24 or newer"
	command -v gcc > /dev/null || die "gcc is missing; the pause image is a C program" "apt-get install gcc libc6-dev"
}

missing_packages() {
	local entry
	for entry in "${PROGRAMS[@]}"; do
		[[ -x ${entry#*:} ]] || { [[ $entry == *bin/* ]] && command -v "${entry##*/}" > /dev/null; } ||
			printf '%s\n' "${entry%%:*}"
	done
}

install_packages() {
	export DEBIAN_FRONTEND=noninteractive
	# Half-installed packages of an interrupted run would fail the install.
	dpkg --configure -a
	apt-get update
	apt-get install --yes --no-install-recommends --no-remove "$@"
	# The package starts a containerd of its own, in the default places.
	if [[ " $* " == *" containerd "* && -d /run/systemd/system ]]; then
		systemctl disable --now containerd.service
	fi
}

need_packages() {
	local missing
	mapfile -t missing < <(missing_packages)
	((${#missing[@]})) || return 0
	build_step "packages: ${missing[*]}" "$CACHE/log/packages.log" install_packages "${missing[@]}"
}

# Best effort: a kernel that has a feature built in has no module for it.
load_modules() {
	local module
	for module in overlay br_netfilter nf_conntrack xt_comment xt_statistic; do
		modprobe -q "$module" 2> /dev/null || true
	done
}

listeners() { ss -Hltnp "sport = :$1"; }

# Only asked when nothing of ours runs.
refuse_conflicts() {
	local port taken route n ports=("$API_PORT" "$ETCD_PORT" "$ETCD_PEER_PORT" "$MANAGER_PORT"
		"$SCHEDULER_PORT" "$PROXY_HEALTH_PORT" "$PROXY_METRICS_PORT")
	for ((n = 1; n <= NODES; n++)); do ports+=("$(node_health_port "$n")"); done
	for port in "${ports[@]}"; do
		taken=$(listeners "$port")
		[[ -z $taken ]] || die "port $port is taken: $taken" \
			"end that program, or $OWN_CLUSTER"
	done
	if ip link show "$BRIDGE" > /dev/null 2>&1 && [[ ! -e $STATE/owned ]]; then
		die "there is a network interface $BRIDGE already, and it was not made by this script" \
			"remove it with: ip link delete $BRIDGE"
	fi
	local cidr
	for cidr in "$POD_CIDR" "$SERVICE_CIDR"; do
		route=$({ ip -4 route show to root "$cidr" && ip -4 route show to match "$cidr"; } |
			grep -v -e '^default' -e " $BRIDGE " || true)
		[[ -z $route ]] || die "the network $cidr is in use: $route" \
			"the test cluster needs that range for itself; $OWN_CLUSTER"
	done
	if [[ ! -e $STATE/owned ]] && iptables-save -t nat | grep -q '^:KUBE-SERVICES'; then
		die "this machine is a node of a Kubernetes cluster already (it has the chain KUBE-SERVICES)" \
			"two kube-proxies would undo each other's rules; $OWN_CLUSTER"
	fi
}
