# shellcheck shell=bash disable=SC2153 # NODES comes from the environment
# What the user can ask for.

boot_id() { cat /proc/sys/kernel/random/boot_id; }

node_list() {
	local nodes=() n
	for ((n = 1; n <= NODES; n++)); do nodes+=("$(node_name "$n")"); done
	join_by , "${nodes[@]}"
}

all_daemons() {
	printf '%s\n' "${CONTROL[@]}"
	local n
	for ((n = 1; n <= NODES; n++)); do
		printf '%s\n' "containerd-$(node_name "$n")" "kubelet-$(node_name "$n")"
	done
}

ask_ready() {
	"$STATE/bin/kube" ready --kubeconfig "$KUBECONFIG_PATH" --dns "$GATEWAY" --nodes "$(node_list)" "$@"
}

healthy() {
	[[ -e $STATE/up && -x $STATE/bin/kube ]] && ! dead_daemon > /dev/null && ask_ready 2> /dev/null
}

up() {
	local start=$SECONDS
	need_root
	need_machine
	take_lock
	if healthy; then
		say "the cluster is running already: $(node_list) ready"
		tell_changes
		return
	fi
	need_packages
	fill_cache
	if [[ -e $STATE/owned ]] && ! same_boot; then
		say "the machine was restarted since; starting a new cluster"
		remove_all
	elif [[ -e $STATE/owned && ! -e $STATE/up ]]; then
		say "an earlier start did not end; starting a new cluster"
		remove_all
	elif [[ -e $STATE/owned ]]; then
		say "parts of the cluster are down; starting them"
	fi
	[[ -e $STATE/up ]] || refuse_conflicts
	start_all
	say "the cluster is up after $((SECONDS - start)) s: $(node_list) ready"
	say "KUBECONFIG=$KUBECONFIG_PATH"
}

same_boot() { [[ -e $STATE/owned && $(< "$STATE/owned") == "$(boot_id)" ]]; }

# A running cluster is not replaced behind the back of those who use it.
tell_changes() {
	local binary
	command -v go > /dev/null || return 0
	binary=kube-$(binary_key)
	[[ $(< "$STATE/bin/source") == "$binary" ]] ||
		say "it was built from other sources than those here; to get a new one: $0 down && $0 up"
}

# A copy, since the cache may be pruned while the cluster runs. What runs keeps
# the old one; these scripts and what they start need the one they came with.
install_binary() {
	local source=$STATE/bin/source
	[[ ! -e $source || $(< "$source") != "$(basename "$KUBE")" ]] || return 0
	cp "$KUBE" "$STATE/bin/kube.part"
	mv "$STATE/bin/kube.part" "$STATE/bin/kube"
	basename "$KUBE" > "$source"
}

start_all() {
	local since n name
	since=$(date +%s%3N)
	mkdir -p "$STATE/bin" "$RUN"
	boot_id > "$STATE/owned"
	load_modules
	save_sysctls
	set_sysctls
	install_binary
	make_bridge
	make_rules
	make_pki
	start_api
	make_network_config
	make_private_places
	for ((n = 1; n <= NODES; n++)); do start_runtime "$n"; done
	await_api
	start_controllers
	for ((n = 1; n <= NODES; n++)); do start_kubelet "$n"; done
	await_ready "$since"
	touch "$STATE/up"
}

dead_daemon() {
	local name
	while read -r name; do
		daemon_alive "$name" || {
			printf '%s\n' "$name"
			return
		}
	done < <(all_daemons)
	return 1
}

await_ready() {
	local since=$1 deadline=$((SECONDS + 60)) answer='' dead
	until answer=$(ask_ready --since "$since" --timeout 3s 2>&1); do
		if dead=$(dead_daemon); then die_with_log "$dead has ended" "$STATE/log/$dead.log"; fi
		((SECONDS < deadline)) || die "the cluster did not become ready within 60 s: $answer" \
			"logs: $STATE/log" "to begin anew: $0 down && $0 up"
	done
	if dead=$(dead_daemon); then die_with_log "$dead has ended" "$STATE/log/$dead.log"; fi
}

down() {
	need_root
	take_lock
	remove_all
	if [[ ${1:-} == --cache ]]; then
		rm -rf "$CACHE"
		say "the cluster and its build cache are gone"
	else
		say "the cluster is gone; its build cache stays in $CACHE (remove it with: $0 down --cache)"
	fi
	rm -f "$LOCK"
}

remove_all() {
	kill_cgroup
	remove_cgroup ''
	# Without the mark these may be somebody else's; and after a restart of the
	# machine they are, as it has forgotten ours.
	if same_boot; then
		remove_bridge
		remove_rules
		restore_sysctls
	fi
	remove_private_places
	rm -rf --one-file-system "$RUN" "$STATE"
}

status() {
	if [[ ! -e $STATE/owned ]]; then
		say "no cluster (start one with: $0 up)"
		return 1
	fi
	local name pid bad=0
	while read -r name; do
		if pid=$(daemon_pid "$name"); then
			printf '%-28s pid %s\n' "$name" "$pid"
		else
			printf '%-28s down\n' "$name"
			bad=1
		fi
	done < <(all_daemons)
	if ask_ready; then printf '%-28s %s\n' nodes "$(node_list) ready"; else bad=1; fi
	printf '%-28s %s\n' kubeconfig "$KUBECONFIG_PATH" logs "$STATE/log" cache "$CACHE"
	return "$bad"
}

need_node() {
	[[ ${1:-} =~ ^[1-9]$ ]] || die "which node? a number from 1 to $MAX_NODES"
	[[ -d $STATE/$(node_name "$1") ]] || die "there is no node $1" "nodes are made with: NODES=$1 $0 up"
}

node_stop() {
	need_root
	take_lock
	need_node "${1:-}"
	kill_cgroup "$(node_name "$1")"
	say "$(node_name "$1") is off: kubelet, containerd and all containers were killed"
}

node_start() {
	need_root
	take_lock
	need_node "${1:-}"
	local since start=$SECONDS
	since=$(date +%s%3N)
	start_runtime "$1"
	start_kubelet "$1"
	"$STATE/bin/kube" ready --kubeconfig "$KUBECONFIG_PATH" --dns "$GATEWAY" \
		--nodes "$(node_name "$1")" --since "$since" --timeout 60s ||
		die_with_log "$(node_name "$1") did not become ready within 60 s" "$STATE/log/kubelet-$(node_name "$1").log"
	say "$(node_name "$1") is ready after $((SECONDS - start)) s"
}
