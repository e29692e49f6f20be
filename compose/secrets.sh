#!/bin/sh
# Passwords and keys of the stack, made once, a file each. What is there stays as it is: delete a file to have it made anew.
#   compose/secrets.sh [FOLDER]      ./compose/secrets unless told otherwise
set -eu
folder=${1:-$(dirname "$0")/secrets}

# The folder is for its owner alone. The files in it are readable, because containers see them as they are on the host,
# and no process in them is root.
umask 022
mkdir -p "$folder"
chmod 700 "$folder"

random() {
    # 48 hex digits, 192 bits.
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

keep() {
    # A file is there as a whole or not at all.
    [ -e "$folder/$1" ] && return
    cat >"$folder/.new"
    chmod 444 "$folder/.new"
    mv "$folder/.new" "$folder/$1"
    echo "made $folder/$1"
}

for name in redis_password s3_secret_key grafana_password; do
    random | keep "$name"
done
{ printf 'operator:' && random; } | keep flower_login

# As the servers read them; made again whenever their key is another one.
rm -f "$folder/redis.conf" "$folder/s3.json"
printf 'requirepass %s\n' "$(cat "$folder/redis_password")" | keep redis.conf
cat <<JSON | keep s3.json
{"identities": [{
  "name": "troupe",
  "credentials": [{"accessKey": "${TROUPE_S3_ACCESS_KEY:-troupe}", "secretKey": "$(cat "$folder/s3_secret_key")"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]
}]}
JSON
