# galeractl: `make demo` shows it, `make test` proves it.
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test compiled unit alone lanes e2e proof bench cluster cluster-down kubeconfig build release check shellcheck

CARGO ?= cargo
BIN := target/debug/galeractl
# Set CONTEXT to use your own cluster; without it a local one is started.
ifdef CONTEXT
CLUSTER_FLAGS := --context $(CONTEXT)
E2E := GALERACTL_E2E_CONTEXT=$(CONTEXT)
else
CLUSTER_FLAGS = --kubeconfig "$$(tests/cluster/cluster kubeconfig)"
E2E = GALERACTL_E2E_KUBECONFIG="$$(tests/cluster/cluster kubeconfig)"
endif

BEGINNING := On two cores, a machine where nothing is built yet needs about 15 minutes and 8 GB of disk before it begins.

help:
	@echo 'make demo                 form a cluster of three nodes and verify it, on a local Kubernetes'
	@echo 'make demo CONTEXT=name    the same on your own cluster'
	@echo 'make demo-down            remove what the demo made'
	@echo 'make test                 all tests: unit, API server, end to end'
	@echo 'make proof                tests that take long by nature, with all their cases'
	@echo 'make release              build galeractl as it is installed, in target/release'
	@echo 'make bench                measure how fast clusters form, and backups and restores are'
	@echo 'make cluster              start the local Kubernetes (or use the one that runs)'
	@echo 'make cluster-down         remove every trace of it'
	@echo 'make -s kubeconfig        print the path of its kubeconfig'

# With one of the tests, so that dependencies get the features that these need, and nothing is built again for them.
build:
	@echo 'building galeractl ...'
	@$(CARGO) build --quiet --bin galeractl --test architecture
	@echo 'galeractl is built'

release:
	$(CARGO) build --release

cluster:
ifndef CONTEXT
	@tests/cluster/cluster up
endif

cluster-down:
	@tests/cluster/cluster down

kubeconfig:
	@tests/cluster/cluster kubeconfig

demo:
	@echo '$(BEGINNING)'
	@$(MAKE) --no-print-directory -j2 build cluster
	$(BIN) up --nodes 3 --name demo -n galera-demo $(CLUSTER_FLAGS)
	$(BIN) verify --name demo -n galera-demo $(CLUSTER_FLAGS)
	@echo
	@$(BIN) credentials --name demo -n galera-demo $(CLUSTER_FLAGS)
	@echo
	@echo 'Remove the demo with all its data:  make demo-down$(if $(CONTEXT), CONTEXT=$(CONTEXT))'
	@$(if $(CONTEXT),true,echo 'Remove the local Kubernetes as well: make cluster-down')

demo-down:
	$(BIN) teardown --name demo -n galera-demo --delete-volumes --confirm demo $(CLUSTER_FLAGS)

check:
	@echo 'clippy ...'
	@$(CARGO) fmt --check
	@$(CARGO) clippy --quiet --all-targets -- -D warnings

# The scripts that run in pods are judged by it, in the tests of the scripts.
shellcheck:
	@command -v shellcheck >/dev/null || { apt-get update -qq && apt-get install -y -qq shellcheck; }

# The same values in every run; `make proof` looks for others.
PROPERTIES := --lib --test settings --test settings_inventory
unit: shellcheck
	PROPTEST_RNG_SEED=1 tests/timed $(CARGO) test $(PROPERTIES) --bins --test architecture --test cli --test manifests --test docs --test scripts --

# Those that touch hosts or classes keep all others waiting, and mostly wait themselves. The others come two at a time:
# every test owns a namespace.
LANES ?= 2
ALONE := alone:: the_pks_example
alone: cluster
	$(E2E) tests/timed $(CARGO) test --test kube -- --test-threads=1
	$(E2E) tests/timed $(CARGO) test --test e2e -- --test-threads=1 $(ALONE)
lanes: cluster
	$(E2E) tests/timed $(CARGO) test --test e2e -- --test-threads=$(LANES) $(addprefix --skip ,$(ALONE))
e2e:
	@$(MAKE) --no-print-directory alone
	@$(MAKE) --no-print-directory lanes

test:
	@echo '$(BEGINNING)'
	@$(MAKE) --no-print-directory -j2 compiled cluster
	@$(MAKE) --no-print-directory -j2 --output-sync=line unit alone
	@$(MAKE) --no-print-directory lanes

# What can be built while the local Kubernetes is. Tests do not run beside it: they would have half a machine.
compiled: check
	@echo 'building the tests ...'
	@$(CARGO) test --quiet --no-run
	@echo 'the tests are built'

# What takes long by nature: other values for every property, every case of the scripts' tables, half a gigabyte restored,
# a server that is full for a minute, all servers killed ten times.
proof: shellcheck cluster
	PROPTEST_CASES=5000 tests/timed $(CARGO) test $(PROPERTIES) --
	EVERY_CASE=1 tests/timed $(CARGO) test --test scripts --
	$(E2E) EVERY_CASE=1 tests/timed $(CARGO) test --test e2e -- --test-threads=1 restore:: restore_refused:: alone:: full::

bench: cluster
	$(E2E) $(CARGO) bench --bench formation
	$(E2E) $(CARGO) bench --bench backups
