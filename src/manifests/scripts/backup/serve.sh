# Gives one file or one folder of the backup volume to a pod that knows the token: "TOKEN file PATH",
# "TOKEN tar PATH", or "TOKEN plan -" for what is to be restored.
# shellcheck shell=bash
read -r -t 10 token kind path || exit 1
[ -n "$token" ] && [ "$token" = "$(cat /tmp/token)" ] || exit 1
# Nothing outside of the volume, and nothing through a link that somebody has planted on it.
inside() {
    local at=/backups part parts
    IFS=/ read -r -a parts <<<"$1"
    ((${#parts[@]} > 0)) || return 1
    for part in "${parts[@]}"; do
        at=$at/$part
        case $part in '' | . | ..) return 1 ;; esac
        [ ! -L "$at" ] || return 1
    done
}
case $kind in
    plan) exec cat /tmp/plan ;;
    file) inside "$path" && [ -f "/backups/$path" ] && exec cat "/backups/$path" ;;
    # Folders and files only: a link would lead elsewhere in the database, and a pipe would be waited for.
    tar) inside "$path" && cd "/backups/$path" && find . \( -type d -o -type f \) -print0 | tar --null --no-recursion -T - -cf - ;;
esac
