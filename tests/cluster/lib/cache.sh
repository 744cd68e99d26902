# shellcheck shell=bash
# What is built once and kept: the Kubernetes binary, the images, and a
# containerd root that holds the images already.
#
# Every thing lies in $CACHE/KIND-KEY, where the key is a hash of all that went
# into it. It is made under another name and renamed when it is complete.

# hash_of FILE...: of names and contents, so that a renamed file counts.
hash_of() {
	local file
	for file in "$@"; do
		printf '%s ' "${file#"$HERE"/}"
		sha256sum < "$file"
	done | sha256sum | cut -c 1-16
}

with_words() { { cat && printf '%s\n' "$@"; } | sha256sum | cut -c 1-16; }

go_flags() {
	local version=k8s.io/component-base/version
	# Without a version, kubelet and clients take themselves for v0.0.0 and
	# refuse to talk to each other.
	printf '%s ' -s -w "-X $version.gitVersion=v$KUBERNETES_VERSION" \
		"-X $version.gitMajor=${KUBERNETES_VERSION%%.*}" \
		"-X $version.gitMinor=$(cut -d. -f2 <<< "$KUBERNETES_VERSION")" \
		"-X k8s.io/client-go/pkg/version.gitVersion=v$KUBERNETES_VERSION"
}

binary_key() {
	hash_of "$HERE"/kube/*.go "$HERE"/kube/go.mod "$HERE"/kube/go.sum |
		with_words "$SLOW_LOOK $QUICK_LOOK" "$(cd "$HERE/kube" && go env GOVERSION GOARCH)" "$(go_flags)"
}

image_key() {
	hash_of "$HERE"/images/build.sh "$HERE"/images/base.sh "$HERE"/images/trim.sh "$HERE/images/$1"/* |
		with_words "$SUITE" "$(dpkg --print-architecture)"
}

# The layout of containerd's root is its own matter: another version, another key.
store_key() {
	with_words "$(image_key pause)" "$(image_key haproxy)" "$(image_key mariadb)" \
		"$(containerd --version)" < "$HERE/lib/store.sh"
}

SLOW_LOOK='genericPlegRelistPeriod    = time.Second \* 1'
QUICK_LOOK='genericPlegRelistPeriod    = time.Second / 5'

# Writes WORK/go.mod, by which kubelet looks at its containers five times a second instead of once. Pods start and end as
# they do elsewhere, and are known to have done so up to a second earlier, for which tests wait a thousand times.
quicker_kubelet() {
	local work=$1 source kubelet=pkg/kubelet/kubelet.go
	go mod download k8s.io/kubernetes
	source=$(go list -mod=readonly -m -f '{{.Dir}}' k8s.io/kubernetes)
	rm -rf "$work"
	mkdir -p "$work"
	cp -r --no-preserve=mode "$source" "$work/kubernetes"
	sed -i "s|$SLOW_LOOK|$QUICK_LOOK|" "$work/kubernetes/$kubelet"
	# A version that calls it otherwise would be left as it is without a word.
	! cmp -s "$source/$kubelet" "$work/kubernetes/$kubelet"
	cp go.mod go.sum "$work"
	go mod edit -replace "k8s.io/kubernetes=$work/kubernetes" "$work/go.mod"
}

build_binary() {
	local part=$1 work=$CACHE/work.part/kubelet
	cd "$HERE/kube" || return
	quicker_kubelet "$work"
	# A seventh of the time: no symbols that the linker would throw away, and a compiler that collects its garbage rarely.
	GOGC=400 GOFLAGS='' CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -v \
		-modfile "$work/go.mod" -gcflags all=-dwarf=false -ldflags "$(go_flags)" -o "$part" .
	# A binary that does not start must not get into the cache.
	[[ $("$part" version) == "v$KUBERNETES_VERSION" ]]
}

# The mirror this machine installs from, whatever it is called here.
mirror() {
	local uri
	# shellcheck disable=SC2016 # apt-get fills it in
	uri=$(apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' | head -n 1)
	[[ -n $uri ]] || die "apt knows no Debian mirror with the component main" \
		"on Debian, run: apt-get update" "elsewhere: $OWN_CLUSTER"
	printf '%s\n' "$uri"
}

# debootstrap knows nothing of apt's configuration.
export_proxy() {
	local http='' https=''
	eval "$(apt-config shell http Acquire::http::Proxy https Acquire::https::Proxy)"
	if [[ -n $http && $http != DIRECT ]]; then export http_proxy=$http; fi
	if [[ -n $https && $https != DIRECT ]]; then export https_proxy=$https; fi
}

build_image() {
	local name=$1 reference=$2 part=$3 source
	source=$(mirror)
	export_proxy
	unshare --mount --propagation private -- \
		"$HERE/images/build.sh" "$name" "$reference" "$CACHE/work.part" "$part" "$SUITE" "$source"
}

# cached LABEL FINAL COMMAND...: makes FINAL by `COMMAND... TEMPORARY-NAME`.
cached() {
	local label=$1 final=$2
	shift 2
	[[ ! -e $final ]] || return 0
	rm -rf "$final.part"
	build_step "$label" "$CACHE/log/$(basename "$final").log" "$@" "$final.part"
	mv "$final.part" "$final"
}

# Sets KUBE (the binary) and STORE (the containerd root to copy).
fill_cache() {
	need_compilers
	local binary pause haproxy mariadb store
	binary=$CACHE/kube-$(binary_key)
	pause=$CACHE/image-pause-$(image_key pause).tar
	haproxy=$CACHE/image-haproxy-$(image_key haproxy).tar
	mariadb=$CACHE/image-mariadb-$(image_key mariadb).tar
	store=$CACHE/store-$(store_key)
	mkdir -p "$CACHE"
	cached "[1/5] Kubernetes $KUBERNETES_VERSION from Go modules (8 to 12 minutes with cold caches)" \
		"$binary" build_binary
	cached "[2/5] image pause" "$pause" build_image pause "$PAUSE_IMAGE"
	cached "[3/5] image ${HAPROXY_IMAGE##*/}" "$haproxy" build_image haproxy "$HAPROXY_IMAGE"
	cached "[4/5] image ${MARIADB_IMAGE##*/}" "$mariadb" build_image mariadb "$MARIADB_IMAGE"
	cached "[5/5] containerd root with all images" "$store" build_store "$pause" "$haproxy" "$mariadb"
	rm -rf "$CACHE/work.part"
	# shellcheck disable=SC2034 # used by node.sh and verbs.sh
	KUBE=$binary STORE=$store
	prune_cache "$binary" "$pause" "$haproxy" "$mariadb" "$store"
}

# Removes what was made from other inputs, and what was left half-made.
prune_cache() {
	local entry kept
	for entry in "$CACHE"/{kube,image,store}-*; do
		[[ -e $entry ]] || continue
		for kept in "$@"; do
			[[ $entry != "$kept" ]] || continue 2
		done
		rm -rf "$entry"
	done
}
