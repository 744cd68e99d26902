# Text of settings and Secrets in statements.
# shellcheck shell=bash

# What a Secret holds, for a server that knows backslashes.
sql_string() {
    local text
    text=$(cat "$SECRETS/$1")
    text=${text//\\/\\\\}
    printf "'%s'" "${text//\'/\'\'}"
}

# In a GRANT the name of a database is a pattern.
sql_pattern() {
    local text=${1//\`/\`\`}
    text=${text//_/\\_}
    printf '%s' "${text//%/\\%}"
}
