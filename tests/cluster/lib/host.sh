# shellcheck shell=bash
# What the cluster changes on the machine itself, and how it is changed back:
# cgroups, kernel settings, the bridge, packet filter rules.

# --- cgroups -----------------------------------------------------------------
# Every process of the cluster lives below one cgroup, so membership answers
# "is this process ours" without a doubt: unlike a pid file it cannot be stale.
#   control/        etcd, API server, ...
#   nodeN/daemons/  kubelet, containerd and its shims
#   nodeN/pods/     containers

cgroup_v2() { [[ -e /sys/fs/cgroup/cgroup.controllers ]]; }

# The roots of all hierarchies: one in version 2, one per controller in version 1.
cgroup_roots() {
	if cgroup_v2; then
		printf '/sys/fs/cgroup\n'
	else
		awk '$3 == "cgroup" { print $2 }' /proc/mounts
	fi
}

# The hierarchy by which processes are found. Containers are in each of them.
cgroup_process_root() {
	if cgroup_v2; then printf '/sys/fs/cgroup'; else printf '/sys/fs/cgroup/pids'; fi
}

make_cgroup() {
	local group=$1 root
	while read -r root; do
		local path=$root part
		for part in ${CGROUP} ${group//\// }; do
			if cgroup_v2; then
				sed 's/[^ ]*/+&/g' "$path/cgroup.controllers" > "$path/cgroup.subtree_control"
			fi
			path=$path/$part
			[[ -d $path ]] || mkdir "$path"
			# In version 1 an empty set of processors admits no process.
			if ! cgroup_v2 && [[ -e $path/cpuset.cpus && -z $(< "$path/cpuset.cpus") ]]; then
				cat "$path/../cpuset.cpus" > "$path/cpuset.cpus"
				cat "$path/../cpuset.mems" > "$path/cpuset.mems"
			fi
		done
	done < <(cgroup_roots)
}

# Process ids in a cgroup of ours and all below it.
cgroup_pids() {
	local base
	base=$(cgroup_process_root)/$CGROUP${1:+/$1}
	[[ -d $base ]] || return 0
	# A cgroup that vanishes while it is read held no process.
	find "$base" -name cgroup.procs -exec cat {} + 2> /dev/null || true
}

cgroup_empty() { [[ -z $(cgroup_pids "${1:-}") ]]; }

kill_round() {
	local pids
	mapfile -t pids < <(cgroup_pids "${1:-}")
	((${#pids[@]})) || return 0
	# One that ended by itself in between is no error.
	kill -KILL "${pids[@]}" 2> /dev/null || true
	cgroup_empty "${1:-}"
}

# Again and again, because a process may fork while the list is read.
kill_cgroup() {
	poll 20 kill_round "${1:-}" ||
		die "processes of the cluster do not end: $(cgroup_pids "${1:-}" | tr '\n' ' ')" \
			"they may wait for a disk; look at their state with: ps -o pid,stat,wchan,cmd -p PID"
}

# From each mounted hierarchy: where both versions are mounted, runc makes
# cgroups in the second as well.
remove_cgroup() {
	local group=$1 root base
	while read -r root; do
		base=$root/$CGROUP${group:+/$group}
		[[ ! -d $base ]] || find "$base" -depth -type d -exec rmdir {} +
	done < <(awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/mounts)
}

# --- kernel settings ---------------------------------------------------------
# The ones below are set here or by kubelet; `down` puts the old values back.
SYSCTLS=(
	net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables
	vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops
	kernel.keys.root_maxkeys kernel.keys.root_maxbytes
	fs.inotify.max_user_instances fs.inotify.max_user_watches
)

save_sysctls() {
	[[ ! -e $STATE/sysctls ]] || return 0
	local name path
	for name in "${SYSCTLS[@]}"; do
		path=/proc/sys/${name//.//}
		[[ ! -e $path ]] || printf '%s %s\n' "$path" "$(cat "$path")"
	done > "$STATE/sysctls.part"
	mv "$STATE/sysctls.part" "$STATE/sysctls"
}

at_least() {
	local path=/proc/sys/$1 least=$2
	(($(cat "$path") >= least)) || printf '%s' "$least" > "$path"
}

set_sysctls() {
	printf 1 > /proc/sys/net/ipv4/ip_forward
	if [[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]]; then
		printf 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
	fi
	# Each kubelet and each containerd takes a few dozen.
	at_least fs/inotify/max_user_instances 1024
	at_least fs/inotify/max_user_watches 262144
}

restore_sysctls() {
	[[ -e $STATE/sysctls ]] || return 0
	local path value
	while read -r path value; do
		[[ $(cat "$path") == "$value" ]] || printf '%s' "$value" > "$path"
	done < "$STATE/sysctls"
}

# --- bridge ------------------------------------------------------------------
# Made before the first pod, since the name server listens on its address. Each
# node has an address of its own on it, and so may use the usual ports.
make_bridge() {
	local n
	ip link show "$BRIDGE" > /dev/null 2>&1 || ip link add "$BRIDGE" type bridge
	ip link set "$BRIDGE" up
	ip addr replace "$GATEWAY/${POD_CIDR#*/}" dev "$BRIDGE"
	for ((n = 1; n <= NODES; n++)); do
		ip addr replace "$(node_address "$n")/32" dev "$BRIDGE"
	done
}

remove_bridge() {
	! ip link show "$BRIDGE" > /dev/null 2>&1 || ip link delete "$BRIDGE"
}

# --- packet filter -----------------------------------------------------------
# Accepted first, for machines that drop what they do not know.
make_rules() {
	remove_own_rules
	iptables-restore --noflush <<EOF
*nat
:GALERACTL-POST - [0:0]
-A GALERACTL-POST -s $POD_CIDR ! -d $POD_CIDR -j MASQUERADE
-A POSTROUTING -m comment --comment galeractl-cluster -j GALERACTL-POST
COMMIT
*filter
:GALERACTL-POLICY - [0:0]
:GALERACTL-FORWARD - [0:0]
-A GALERACTL-FORWARD -j GALERACTL-POLICY
-A GALERACTL-FORWARD -s $POD_CIDR -j ACCEPT
-A GALERACTL-FORWARD -d $POD_CIDR -j ACCEPT
:GALERACTL-INPUT - [0:0]
-A GALERACTL-INPUT -i $BRIDGE -j ACCEPT
-I INPUT 1 -m comment --comment galeractl-cluster -j GALERACTL-INPUT
-I FORWARD 1 -m comment --comment galeractl-cluster -j GALERACTL-FORWARD
COMMIT
EOF
}

# remove_chains COMMAND PATTERN: chains whose name matches, and every rule that
# jumps to one; all else stays as it is.
remove_chains() {
	local command=$1 pattern=$2
	"$command-save" | awk -v pattern="^($pattern)" '
		/^\*/ { table = $0; any = 0 }
		/^:/ {
			name = substr($1, 2)
			if (name ~ pattern) {
				if (!any++) print table
				print ":" name " - [0:0]"
				drop[++count] = name
			}
		}
		/^-A/ {
			for (i = 3; i < NF; i++)
				if ($i == "-j" && $(i + 1) ~ pattern && $2 !~ pattern) {
					sub(/^-A/, "-D")
					print
				}
		}
		/^COMMIT/ {
			for (i = 1; i <= count; i++) print "-X " drop[i]
			if (any) print
			count = 0
		}' | "$command-restore" --noflush
}

remove_own_rules() { remove_chains iptables GALERACTL-; }

remove_rules() {
	remove_own_rules
	remove_chains iptables KUBE-
	# kube-proxy also makes chains for the other address family, if there is one.
	if ip6tables-save > /dev/null 2>&1; then remove_chains ip6tables KUBE-; fi
}
