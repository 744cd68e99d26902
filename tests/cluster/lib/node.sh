# shellcheck shell=bash
# A node: a containerd and a kubelet in a mount namespace of their own.
#
# The namespace makes a node end as a whole: with its last process all of its
# mounts are gone, as after a power cut. It also gives each kubelet its own copy
# of the few places that neither program lets us choose.

PRIVATE_PLACES=(/run/containerd /var/lib/cni /var/lib/kubelet /var/log/containers)

make_private_places() {
	local place
	for place in "${PRIVATE_PLACES[@]}"; do
		[[ ! -d $place ]] || continue
		mkdir -p "$place"
		printf '%s\n' "$place" >> "$STATE/made-places"
	done
}

remove_private_places() {
	[[ -e $STATE/made-places ]] || return 0
	local place
	while read -r place; do
		# Not ours any more if somebody has put something in.
		[[ ! -d $place ]] || rmdir --ignore-fail-on-non-empty "$place"
	done < "$STATE/made-places"
}

make_network_config() {
	mkdir -p "$RUN/cni/net.d"
	cat > "$RUN/cni/net.d/10-galeractl.conflist" <<EOF
{
  "cniVersion": "0.4.0",
  "name": "galeractl",
  "plugins": [{
    "type": "bridge",
    "bridge": "$BRIDGE",
    "isGateway": true,
    "hairpinMode": true,
    "ipam": {
      "type": "host-local",
      "dataDir": "$RUN/cni/leases",
      "ranges": [[{"subnet": "$POD_CIDR", "rangeStart": "$POD_RANGE_START", "gateway": "$GATEWAY"}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
EOF
}

start_runtime() {
	local node
	node=$(node_name "$1")
	! daemon_alive "containerd-$node" || return 0
	# What is left of an earlier life: containers without their containerd, and
	# the state that a machine loses when it is switched off.
	kill_cgroup "$node"
	remove_cgroup "$node"
	rm -rf "${RUN:?}/$node"
	mkdir -p "$RUN/$node" "$STATE/$node"
	make_cgroup "$node/daemons"
	make_cgroup "$node/pods"
	if [[ ! -e $STATE/$node/containerd ]]; then
		copy_store "$STORE" "$STATE/$node/containerd.part"
		mv "$STATE/$node/containerd.part" "$STATE/$node/containerd"
	fi
	containerd_config "$STATE/$node/containerd" "$RUN/$node" > "$RUN/$node/containerd.toml"
	# shellcheck disable=SC2016 # the inner shell expands these
	start_daemon "containerd-$node" "$node/daemons" \
		unshare --mount --propagation slave -- \
		bash -euc 'mount --make-rshared /
			for place in "${@:2}"; do mount -t tmpfs galeractl-cluster "$place"; done
			exec containerd --config "$1"' \
		containerd "$RUN/$node/containerd.toml" "${PRIVATE_PLACES[@]}"
}

start_kubelet() {
	local node runtime
	node=$(node_name "$1")
	! daemon_alive "kubelet-$node" || return 0
	await_daemon "containerd-$node" 20 containerd_answers "$RUN/$node/containerd.sock"
	runtime=$(daemon_pid "containerd-$node")
	kubelet_config "$1" > "$STATE/$node/kubelet.yaml"
	start_daemon "kubelet-$node" "$node/daemons" \
		nsenter --target "$runtime" --mount -- \
		"$STATE/bin/kube" kubelet --config="$STATE/$node/kubelet.yaml" \
		--kubeconfig="$PKI/$node.kubeconfig" --hostname-override="$node" \
		--node-ip="$(node_address "$1")" \
		--root-dir="$STATE/$node/kubelet" --cert-dir="$STATE/$node/pki"
}

# Thresholds at zero: a disk that is fairly full is no reason to evict the pods
# of a test. Nodes are not held to their share either, as each of them believes
# it has the whole machine.
kubelet_config() {
	local node
	node=$(node_name "$1")
	cat <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $(node_address "$1")
port: 10250
readOnlyPort: 0
healthzBindAddress: 127.0.0.1
healthzPort: $(node_health_port "$1")
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: "$PKI/ca.crt"}
authorization: {mode: Webhook}
tlsCertFile: $PKI/$node.crt
tlsPrivateKeyFile: $PKI/$node.key
containerRuntimeEndpoint: unix://$RUN/$node/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP/$node/pods
enforceNodeAllocatable: [none]
failSwapOn: false
failCgroupV1: false
clusterDomain: cluster.local
clusterDNS: [$GATEWAY]
resolvConf: ""
podLogsDir: $STATE/$node/logs
volumePluginDir: $STATE/volume-plugins
makeIPTablesUtilChains: false
serializeImagePulls: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard:
  memory.available: "0%"
  nodefs.available: "0%"
  nodefs.inodesFree: "0%"
  imagefs.available: "0%"
  imagefs.inodesFree: "0%"
nodeLeaseDurationSeconds: 16
kubeAPIQPS: 100
kubeAPIBurst: 200
eventRecordQPS: 50
eventBurst: 100
EOF
}
