# Gives one file or one folder of the backup volume to a pod that knows the token: "TOKEN file PATH",
# "TOKEN tar PATH", or "TOKEN plan -" for what is to be restored.
# shellcheck shell=bash
read -r -t 10 token kind path || exit 1
[ -n "$token" ] && [ "$token" = "$(cat /tmp/token)" ] || exit 1
case $path in /* | *..*) exit 1 ;; esac
case $kind in
    file) exec cat "/backups/$path" ;;
    plan) exec cat /tmp/plan ;;
    tar) exec tar -C "/backups/$path" -cf - . ;;
esac
