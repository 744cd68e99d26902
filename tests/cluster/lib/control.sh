# shellcheck shell=bash disable=SC2034,SC2153 # CONTROL is used by verbs.sh; NODES comes from the environment
# The control plane, and what serves all nodes alike: kube-proxy, name server,
# provisioner of volumes, enforcer of network policies.

CONTROL=(etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy coredns provisioner policies)
PKI=$STATE/pki

make_pki() {
	local nodes=() n
	for ((n = 1; n <= NODES; n++)); do nodes+=("$(node_name "$n")=$(node_address "$n")"); done
	"$STATE/bin/kube" pki --dir "$PKI" --server "https://127.0.0.1:$API_PORT" \
		--hosts "localhost,127.0.0.1,$GATEWAY,$KUBERNETES_SERVICE,kubernetes,kubernetes.default,kubernetes.default.svc,kubernetes.default.svc.cluster.local" \
		--nodes "$(join_by , "${nodes[@]}")"
	install -m 0600 "$PKI/admin.kubeconfig" "$KUBECONFIG_PATH"
}

join_by() {
	local IFS=$1
	shift
	printf '%s' "$*"
}

# control NAME FLAGS...: starts a component unless it runs.
control() {
	local name=$1
	daemon_alive "$name" || start_daemon "$name" control "$STATE/bin/kube" "$@"
}

start_api() {
	make_cgroup control
	# Its data is worth nothing after a crash of the machine, so it need not
	# wait for the disk; and one member elects itself at any pace.
	control etcd --name=default --data-dir="$STATE/etcd" --unsafe-no-fsync \
		--listen-client-urls="http://127.0.0.1:$ETCD_PORT" \
		--advertise-client-urls="http://127.0.0.1:$ETCD_PORT" \
		--listen-peer-urls="http://127.0.0.1:$ETCD_PEER_PORT" \
		--initial-advertise-peer-urls="http://127.0.0.1:$ETCD_PEER_PORT" \
		--initial-cluster="default=http://127.0.0.1:$ETCD_PEER_PORT" \
		--heartbeat-interval=500 --election-timeout=2500 --log-level=warn
	control kube-apiserver \
		--etcd-servers="http://127.0.0.1:$ETCD_PORT" \
		--secure-port="$API_PORT" --advertise-address="$GATEWAY" \
		--service-cluster-ip-range="$SERVICE_CIDR" \
		--allow-privileged=true --authorization-mode=Node,RBAC \
		--enable-admission-plugins=NodeRestriction \
		--cert-dir="$PKI" --client-ca-file="$PKI/ca.crt" \
		--tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
		--kubelet-certificate-authority="$PKI/ca.crt" \
		--kubelet-client-certificate="$PKI/apiserver-kubelet-client.crt" \
		--kubelet-client-key="$PKI/apiserver-kubelet-client.key" \
		--kubelet-preferred-address-types=InternalIP \
		--service-account-issuer=https://kubernetes.default.svc.cluster.local \
		--service-account-key-file="$PKI/sa.pub" \
		--service-account-signing-key-file="$PKI/sa.key" \
		--profiling=false
}

api_answers() { "$STATE/bin/kube" ready --kubeconfig "$KUBECONFIG_PATH" --api-only --timeout 5s 2> /dev/null; }

await_api() { await_daemon kube-apiserver 60 api_answers; }

start_controllers() {
	# A lost node is noticed after 16 s rather than 50 s.
	control kube-controller-manager --kubeconfig="$PKI/kube-controller-manager.kubeconfig" \
		--bind-address=127.0.0.1 --secure-port="$MANAGER_PORT" --leader-elect=false \
		--use-service-account-credentials=true \
		--service-account-private-key-file="$PKI/sa.key" --root-ca-file="$PKI/ca.crt" \
		--node-monitor-period=2s --node-monitor-grace-period=16s --profiling=false \
		--flex-volume-plugin-dir="$STATE/volume-plugins"
	control kube-scheduler --kubeconfig="$PKI/kube-scheduler.kubeconfig" \
		--bind-address=127.0.0.1 --secure-port="$SCHEDULER_PORT" --leader-elect=false --profiling=false
	proxy_config > "$STATE/kube-proxy.yaml"
	control kube-proxy --config="$STATE/kube-proxy.yaml"
	dns_config > "$STATE/Corefile"
	control coredns -conf "$STATE/Corefile"
	mkdir -p "$STATE/volumes"
	control provisioner --kubeconfig="$PKI/provisioner.kubeconfig" --root="$STATE/volumes"
	control policies --kubeconfig="$PKI/policies.kubeconfig"
}

# One for all nodes, since they share the packet filter of this machine.
proxy_config() {
	# Where bridged packets do not pass the packet filter, answers between pods
	# would come back from the wrong address unless they go through this machine.
	local masquerade_all=false
	[[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]] || masquerade_all=true
	cat <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: "$PKI/kube-proxy.kubeconfig"}
hostnameOverride: $(node_name 1)
mode: iptables
clusterCIDR: $POD_CIDR
bindAddress: 0.0.0.0
healthzBindAddress: 127.0.0.1:$PROXY_HEALTH_PORT
metricsBindAddress: 127.0.0.1:$PROXY_METRICS_PORT
iptables: {minSyncPeriod: 200ms, syncPeriod: 10m, localhostNodePorts: false, masqueradeAll: $masquerade_all}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s, udpTimeout: 0s, udpStreamTimeout: 0s}
EOF
}

# No cache: answers come from memory anyhow, and a pod's name must be there as
# soon as the pod has an address.
dns_config() {
	cat <<EOF
.:53 {
	bind $GATEWAY
	errors
	kubernetes cluster.local in-addr.arpa {
		kubeconfig $PKI/coredns.kubeconfig
		ttl 1
	}
}
EOF
}
