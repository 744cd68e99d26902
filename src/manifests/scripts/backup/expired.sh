# Run in the agent's container: what it would remove, by its own rules.
# shellcheck shell=bash disable=SC2034 # What is read here uses them.
export TZ=UTC LC_ALL=C
ROOT=${ROOT:-/backups/$GALERA_NAMESPACE/$GALERA_CLUSTER}
SCRIPTS=${SCRIPTS:-/galeractl/scripts}
# shellcheck source=src/manifests/scripts/backup/common.sh
. "$SCRIPTS/common.sh"
# shellcheck source=src/manifests/scripts/backup/keep.sh
. "$SCRIPTS/keep.sh"
expired
