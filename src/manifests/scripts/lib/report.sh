# Lines that programs read. They begin a line with GALERACTL, which nothing that a server prints can do: what comes from
# a server goes through `harmless`.
# shellcheck shell=bash
say() { printf 'GALERACTL at=%s member=%s %s\n' "$EPOCHREALTIME" "${GALERA_MEMBER:-}" "$*"; }

# Text that can stand as one value of a report.
quoted() { printf '"%s"' "$(printf '%s' "$1" | tr '"\n\r\t' "'   " | tr -d '[:cntrl:]' | head -c 800)"; }

# A server prints names that strangers have sent to it, with whatever they hold.
harmless() { perl -pe 'BEGIN { $| = 1 } s/^(?=GALERACTL)/ /'; }
