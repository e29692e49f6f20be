#!/bin/sh
# Makes the passwords and keys of the stack, one file each. A file that exists is kept: delete it to have a new one made.
#   compose/secrets.sh [FOLDER]      default: ./compose/secrets; needs openssl
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

certificate() {
    # A self-signed certificate in the file $2, its key in the file $1.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj "/CN=$3" \
        -keyout "$1" -out "$2" 2>/dev/null
}

command -v openssl >/dev/null || { echo "secrets.sh: openssl is missing: install it (Debian: apt-get install openssl)" >&2; exit 1; }

for name in redis_password s3_secret_key grafana_password; do
    random | keep "$name"
done
{ printf 'operator:' && random; } | keep flower_login

# The gRPC port of SeaweedFS' S3 API takes identities from anybody who reaches it. With these it asks for a certificate of
# an authority whose key is thrown away here, so it answers nobody.
if ! [ -e "$folder/s3_grpc.key" ]; then
    certificate /dev/null "$folder/.ca" nobody
    certificate "$folder/.key" "$folder/.crt" s3
    keep s3_grpc_ca.crt <"$folder/.ca"
    keep s3_grpc.crt <"$folder/.crt"
    keep s3_grpc.key <"$folder/.key"
    rm -f "$folder/.ca" "$folder/.crt" "$folder/.key"
fi
keep s3_security.toml <<'TOML'
[grpc]
ca = "/run/secrets/s3_grpc_ca.crt"
[grpc.s3]
cert = "/run/secrets/s3_grpc.crt"
key = "/run/secrets/s3_grpc.key"
TOML

# Signs pictures (C2PA). Its issuer is made here and forgotten: readers see that a picture is unchanged, not who vouches for
# it. Put the chain and the key of a certificate of your own in these two files instead where readers shall know the issuer.
# Extensions: C2PA specification 2.2, section 14.5.1.
if ! [ -e "$folder/c2pa_key.pem" ] || ! [ -e "$folder/c2pa_chain.pem" ]; then
    rm -f "$folder/c2pa_key.pem" "$folder/c2pa_chain.pem"
    cat >"$folder/.openssl" <<'CONF'
[req]
distinguished_name = name
[name]
[issuer]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[signer]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = emailProtection
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
CONF
    owner="/O=Troupe (self-made certificate)"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -days 3650 -config "$folder/.openssl" \
        -extensions issuer -subj "$owner/CN=Troupe, issuer of this stack" -keyout "$folder/.key" -out "$folder/.ca" 2>/dev/null
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -config "$folder/.openssl" \
        -subj "$owner/CN=Troupe, this stack" -keyout "$folder/.c2pa" -out "$folder/.request" 2>/dev/null
    openssl x509 -req -in "$folder/.request" -CA "$folder/.ca" -CAkey "$folder/.key" -set_serial "0x$(random | cut -c1-32)" \
        -sha256 -days 3650 -extfile "$folder/.openssl" -extensions signer -out "$folder/.crt" 2>/dev/null
    keep c2pa_key.pem <"$folder/.c2pa"
    cat "$folder/.crt" "$folder/.ca" | keep c2pa_chain.pem
    rm -f "$folder/.openssl" "$folder/.key" "$folder/.ca" "$folder/.c2pa" "$folder/.request" "$folder/.crt"
fi

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
