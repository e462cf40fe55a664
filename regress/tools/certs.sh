# shellcheck shell=bash
# Node CAs and TLS leafs for tests of the peer channel, in $W/c. Sourced after
# world.sh, called after world_new.

certs_new() {
	mkdir -p "$W/c"
	cat >"$W/c/conf" <<-'EOC'
	[req]
	distinguished_name = dn
	x509_extensions = ca
	prompt = no
	[dn]
	[ca]
	basicConstraints = critical,CA:TRUE,pathlen:0
	keyUsage = critical,keyCertSign
	subjectKeyIdentifier = hash
	authorityKeyIdentifier = keyid:always
	EOC
}

# cert_ca NAME
cert_ca() {
	openssl req -x509 -config "$W/c/conf" -newkey ec \
	    -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
	    -subj "/CN=provd node CA $1" -keyout "$W/c/$1.key" \
	    -out "$W/c/$1.pem" 2>/dev/null
}

# cert_leaf CA NAME SAN [EKU]
cert_leaf() {
	cat >"$W/c/$2.ext" <<-EOC
	basicConstraints = critical,CA:FALSE
	keyUsage = critical,digitalSignature
	extendedKeyUsage = ${4:-serverAuth,clientAuth}
	subjectAltName = $3
	subjectKeyIdentifier = hash
	authorityKeyIdentifier = keyid:always
	EOC
	openssl req -new -config "$W/c/conf" -newkey ec \
	    -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" \
	    -keyout "$W/c/$2.key" 2>/dev/null |
	    openssl x509 -req -CA "$W/c/$1.pem" -CAkey "$W/c/$1.key" \
	    -set_serial "0x$(openssl rand -hex 15)" -days 90 \
	    -extfile "$W/c/$2.ext" -out "$W/c/$2.pem" 2>/dev/null
}

urn() {
	echo "URI:urn:provd:node:$1"
}
