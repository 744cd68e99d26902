# Tells what the image that it runs in is, before any node runs with it: one line that galeractl reads. OPTIONS is what
# its server would be started with, PLUGINS are the libraries that servers have loaded.
# shellcheck shell=bash
RUN=${RUN:-/tmp}
missing=''
for program in mariadbd mariadb mariadb-backup mariadb-upgrade mbstream wsrep_sst_mariabackup socat perl; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
for library in /usr/lib/galera/libgalera_smm.so /usr/lib/libgalera_smm.so /usr/lib64/galera-4/libgalera_smm.so ''; do
    [ -e "${ROOT:-}$library" ] && break
done
[ -n "$library" ] || missing="$missing libgalera_smm.so"
if [ -n "$missing" ]; then
    say "event=image missing=$(quoted "${missing# }")"
    exit 0
fi
version=$(mariadbd --version 2>/dev/null | grep -oE 'Ver [^ ]*-MariaDB' | head -n 1)
# The library says it to whoever has loaded it, and to nobody else.
provider=$(LC_ALL=C grep -aoE '([0-9]+[.])?[0-9]+[.][0-9]+[(]r[0-9A-Za-z]+[)]' "${ROOT:-}$library" | head -n 1)
# Plugins that were installed in the database bring options of their own, and have to be in the image as well.
{
    printf '[mysqld]\n'
    for plugin in ${PLUGINS:-}; do
        grep -qE "^plugin[_-]load.*${plugin%.so}" <<<"${OPTIONS:-}" || printf 'plugin_load_add=%s\n' "$plugin"
    done
    printf '%s\n' "${OPTIONS:-}"
} >"$RUN/wanted.cnf"
objection=$(options_objection "$RUN/wanted.cnf" false)
say "event=image server=$(quoted "${version#Ver }") provider=$(quoted "$provider") objection=$(quoted "$objection")"
