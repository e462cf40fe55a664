# shellcheck shell=bash
# A node with the certificate service, and those who ask it for certificates.
# Sourced after world.sh.
#
# The doors of a node that ca_node made, all at 192.0.2.1 in its namespace:
# 8443 TLS, 8444 with a client certificate only, 8888 plain, 8080 status.

CA_AT=192.0.2.1

# ca_node NAME [LINE...]: a node with the service and a namespace of its own;
# the lines go to the end of its provd.conf. NODE_BACKEND is soft unless set.
# CA_PROFILES replaces its profiles, CA_MAKER is a manufacturer's root.
ca_node() {
	local n=$1 d=$W/$1
	shift
	[ -e "/run/netns/$(ns_of "$n")" ] || {
		ip netns add "$(ns_of "$n")"
		WORLD_NS="$WORLD_NS $(ns_of "$n")"
		ip -n "$(ns_of "$n")" link set lo up
		ip -n "$(ns_of "$n")" link add eth1 type veth peer name eth1p
		ip -n "$(ns_of "$n")" link set eth1p up
		address "$n" "$CA_AT/24"
	}
	[ -d "$W/acme" ] || authority "$W/acme" ACME
	NODE_BACKEND=${NODE_BACKEND:-soft} node_new "$n" "$W/acme/root.pem"
	{
		cat <<-EOF2
		ca "ACME" {
			url "http://$CA_AT:8080"
			server "ca.example.org" "$CA_AT" "127.0.0.1"
		}
		listen enrol port 8443
		listen enrol mutual port 8444
		listen enrol plain port 8888
		listen status port 8080
		EOF2
		printf '%s\n' "${CA_PROFILES:-$(ca_profiles)}" "$@"
	} >>"$d/conf"
	service "$n" enrold "$O/bin/enrold -d ${NODE_VERBOSE:--v} -f $d/conf"
}

ca_profiles() {
	cat <<-EOF
	profile "iot" {
		key rsa-2048 ecdsa-p256
		valid 30 d
		usage client
		name mac
		renew 30 d
		${CA_MAKER:+manufacturer root "$CA_MAKER"}
	}
	profile "operator" { key ecdsa-p256  valid 1 d  usage client  name text  operators }
	EOF
}

# ca_up NODE: an authority, and its certificates in $W/NODE: root.pem,
# issuing.pem, chain.pem (both)
ca_up() {
	ctl "$1" ca init && ca_files "$1"
}

ca_files() {
	local d=$W/$1
	ca_pem "$1" issuing >"$d/issuing.pem" && ca_pem "$1" root >"$d/root.pem" &&
	    cat "$d/issuing.pem" "$d/root.pem" >"$d/chain.pem" &&
	    [ -s "$d/root.pem" ] && [ -s "$d/issuing.pem" ]
}

# ca_field NODE KIND FIELD: of the current one in 'ca show'
ca_field() {
	ctl "$1" --json ca show | jq -rs "flatten | map(select(.row == \"ca\" and .kind == \"$2\" and .state == \"current\"))[0].$3"
}

ca_pem() {
	ctl "$1" --json ca show --pem | jq -rs "flatten | map(select(.row == \"ca\" and .kind == \"$2\" and .state == \"current\"))[0].pem // empty"
}

# ticket NODE NAME [PROFILE]: lists the device, prints a ticket
ticket() {
	ctl "$1" --json device add "$2" --profile "${3:-iot}" --ticket |
	    jq -rs 'flatten | map(select(.row == "device"))[0].ticket // empty'
}

# mac NUMBER: a name
mac() {
	printf '02:00:%02x:%02x:%02x:%02x\n' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255))
}

# tickets NODE FIRST COUNT: lists so many devices; lines "NAME TICKET"
tickets() {
	local i
	for ((i = $2; i < $2 + $3; i++)); do
		echo "$(mac "$i"),${CA_PROFILE:-iot}"
	done >"$W/$1/import.csv"
	ctl "$1" --json device import "$W/$1/import.csv" --ticket 2>>"$W/$1/log/import" |
	    jq -rs 'flatten | map(select(.row == "device"))[] | "\(.name) \(.ticket)"'
}

# key_csr DIR/STEM NAME [rsa|p256] [OPENSSL ARGUMENT...]: STEM.key, STEM.csr (PEM)
key_csr() {
	local f=$1 name=$2 kind=${3:-p256}
	shift 2
	[ $# -eq 0 ] || shift
	case $kind in
	rsa) set -- -newkey rsa:2048 "$@" ;;
	*) set -- -newkey ec -pkeyopt ec_paramgen_curve:P-256 "$@" ;;
	esac
	openssl req -new -nodes -keyout "$f.key" -out "$f.csr" -subj "/CN=$name" "$@" 2>/dev/null
}

b64() {	# of standard input, in one line
	base64 -w 0
}

csr64() {	# csr64 FILE: base64 of the DER of a PEM request
	openssl req -in "$1" -outform DER | b64
}

# http NODE CURL-ARGUMENT...: body to standard output, status to $W/status
http() {
	local n=$1
	shift
	in_ns "$n" curl -sS --max-time 20 --cacert "$W/$n/root.pem" -o "$W/body" \
	    -w '%{http_code}' "$@" >"$W/status"
	local rc=$?
	[ ! -e "$W/body" ] || cat "$W/body"
	return $rc
}

# json NODE PATH|- JSON [CURL-ARGUMENT...]: to the TLS door
json() {
	local n=$1 path=$2 body=$3
	shift 3
	[ "$path" != - ] || path=
	rm -f "$W/body"
	http "$n" --json "$body" "$@" "https://$CA_AT:${DOOR:-8443}/$path"
}

code() {	# of the error object in standard input
	jq -r '.error.code // "none"' 2>/dev/null || echo "no JSON"
}

# enrol_json NODE DIR/STEM TICKET [MORE-JSON]: with STEM.csr; STEM.crt, STEM.json
enrol_json() {
	local f=$2 t=
	[ -z "$3" ] || t=",\"ticket\":\"$3\""
	json "$1" - "{\"operation\":\"req_client_cert\",\"csr\":\"$(csr64 "$f.csr")\"$t${4:-}}" >"$f.json" || return
	jq -er .certificate "$f.json" >"$f.crt" 2>/dev/null || { cat "$f.json"; return 1; }
}

# renew_json NODE OLD NEW: over mutual TLS with OLD.crt, a certificate for NEW.csr
renew_json() {
	json "$1" - "{\"operation\":\"renew_client_cert\",\"csr\":\"$(csr64 "$3.csr")\"}" \
	    --cert "$2.crt" --key "$2.key" >"$3.json" || return
	jq -er .certificate "$3.json" >"$3.crt" 2>/dev/null || { cat "$3.json"; return 1; }
}

# est NODE PATH CURL-ARGUMENT...
est() {
	local n=$1 path=$2
	shift 2
	rm -f "$W/body"
	http "$n" "$@" "https://$CA_AT:${DOOR:-8443}/.well-known/est/$path"
}

# enrol_est NODE DIR/STEM USER TICKET [LABEL]: simpleenroll; STEM.crt
enrol_est() {
	local f=$2
	csr64 "$f.csr" | est "$1" "${5:+$5/}simpleenroll" -u "$3:$4" --data-binary @- \
	    -H 'Content-Type: application/pkcs10' -H 'Content-Transfer-Encoding: base64' >"$f.p7" &&
	    p7_pem "$f.p7" >"$f.crt" && [ -s "$f.crt" ] || { cat "$f.p7"; return 1; }
}

p7_pem() {	# the certificates of an answer of EST
	base64 -d "$1" | openssl pkcs7 -inform DER -print_certs 2>/dev/null |
	    sed -n '/-----BEGIN/,/-----END/p'
}

serial_of() {	# serial_of FILE.crt: hex, lower case, as provctl writes it
	openssl x509 -in "$1" -noout -serial | sed 's/^serial=//' | tr 'A-F' 'a-f'
}

crl() {	# crl NODE [GENERATION]: $W/NODE/crl.pem from the status door
	in_ns "$1" curl -sS --max-time 20 -o "$W/$1/crl.der" \
	    "http://$CA_AT:8080/crl/issuing-${2:-1}.crl" &&
	    openssl crl -inform DER -in "$W/$1/crl.der" -out "$W/$1/crl.pem"
}

# strict NODE FILE.crt: its chain and revocation by OpenSSL, strictly
strict() {
	openssl verify -x509_strict -crl_check -CAfile "$W/$1/root.pem" \
	    -untrusted "$W/$1/issuing.pem" -CRLfile "$W/$1/crl.pem" "$2"
}

# ocsp NODE FILE.crt [ARGUMENT...]: what openssl ocsp says, response verified
ocsp() {
	local n=$1 f=$2
	shift 2
	in_ns "$n" openssl ocsp -issuer "$W/$n/issuing.pem" -cert "$f" \
	    -url "http://$CA_AT:8080/ocsp" -CAfile "$W/$n/root.pem" \
	    -verify_other "$W/$n/issuing.pem" "$@" 2>&1
}

cert_field() {	# cert_field NODE SERIAL FIELD: of 'cert show'
	ctl "$1" --json cert show "$2" | jq -rs "flatten | map(select(.row == \"cert\"))[0].$3"
}

# count_of NODE ROLE CODE: how often that daemon refused for this reason
count_of() {
	ctl "$1" --json status | jq -rs "[flatten[] | select(.row == \"counter\" and .role == \"$2\" and (.reason.code | startswith(\"$3\"))) | .count] | add // 0"
}
