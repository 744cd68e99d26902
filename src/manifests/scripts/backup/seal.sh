# Backups that only their owner can read, and that nobody else can have made: what whoever takes them and whoever brings
# them back have in common. KEYS is a folder: `sign.key` and `encrypt.pub` are for the one, `decrypt.key` for the other, and
# `verify.pub` for both. No key of a single file touches a disk or a command line.
# shellcheck shell=bash disable=SC2034 # Others use these.

# What openssl makes, on one line: the public half of a pair, and a signature.
PUBLIC_KEY='[A-Za-z0-9+/]{120,124}={0,2}'
SIGNATURE='[A-Za-z0-9+/]{80,100}={0,2}'
CIPHER=(openssl enc -aes-256-ctr -pbkdf2 -pass fd:4)

# The secret that a private and a public key have in common, bound to the pair that was made for one file: `common PRIVATE
# PUBLIC PAIR`. Both halves come to the same.
common() {
    { openssl pkeyutl -derive -inkey "$1" -peerkey "$2" && printf '%s' "$3"; } 2>/dev/null | sha256sum | cut -d ' ' -f 1
    [[ "${PIPESTATUS[*]}" = '0 0 0' ]]
}

# Makes a key for one file: PAIR goes beside it, SECRET is forgotten. Who has only these keys cannot find it again.
new_secret() {
    local once
    SECRET='' PAIR=''
    once=$(openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null) || return 1
    PAIR=$(printf '%s\n' "$once" | openssl pkey -pubout -outform DER 2>/dev/null | base64 -w 0)
    [[ $PAIR =~ ^$PUBLIC_KEY$ ]] && SECRET=$(common <(printf '%s\n' "$once") "$KEYS/encrypt.pub" "$PAIR")
}

# Finds the SECRET of a file again, by what lies beside it.
find_secret() {
    SECRET=''
    [[ $1 =~ ^$PUBLIC_KEY$ ]] && [ -s "$KEYS/decrypt.key" ] &&
        SECRET=$(common "$KEYS/decrypt.key" <(printf -- '-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n' "$1") "$1")
}

# Both pass through what has no secret.
encrypted() { if [ -n "$SECRET" ]; then "${CIPHER[@]}" -e 4< <(printf '%s\n' "$SECRET"); else cat; fi; }
decrypted() { if [ -n "$SECRET" ]; then "${CIPHER[@]}" -d 4< <(printf '%s\n' "$SECRET"); else cat; fi; }

# The signature of a line of text.
signature_of() {
    printf '%s\n' "$1" | openssl dgst -sha256 -sign "$KEYS/sign.key" 2>/dev/null | base64 -w 0
    [[ "${PIPESTATUS[*]}" = '0 0 0' ]]
}

# Whether a line of text is signed by whom these keys name: `is_signed TEXT SIGNATURE`.
is_signed() {
    [[ $2 =~ ^$SIGNATURE$ ]] && [ -s "$KEYS/verify.pub" ] &&
        printf '%s\n' "$1" | openssl dgst -sha256 -verify "$KEYS/verify.pub" -signature <(printf '%s' "$2" | base64 -d) >/dev/null 2>&1
}
