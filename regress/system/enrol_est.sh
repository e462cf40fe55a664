#!/bin/bash
# EST and OCSP to the letter: content types, labels, who may renew what, keys
# made by the server, requests bound to a TLS connection, a request for each
# refusal; what OCSP answers to whom.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/enrol.sh"
need_root
need ip runsv jq openssl curl pki

world_new
CA_PROFILES="$(ca_profiles)
profile \"made\" { key ecdsa-p256  valid 5 d  usage client  name text  server-keygen }
profile \"strong\" { key ecdsa-p384 rsa-3072  valid 5 d  usage both  name dns }"
ca_node ca
node_start ca
ok "ready" await_ready ca 60
ok "ca init" ca_up ca
ok "the door has its certificate" await 10 est ca cacerts
mkdir "$W/d"
M1=24:0a:c4:12:34:01 M2=24:0a:c4:12:34:02

# answer HEADER: of the last est or http with -D "$W/head"
answer() {
	sed -n "s/^$1: //Ip" "$W/head" | tr -d '\r'
}

# enroll PATH FILE CURL-ARGUMENT...: POST the request FILE.csr
enroll() {
	local path=$1 f=$2
	shift 2
	csr64 "$f.csr" | est ca "$path" --data-binary @- -D "$W/head" -H 'Content-Type: application/pkcs10' "$@"
}

# ---- what anybody may read ----------------------------------------------------

est ca cacerts -D "$W/head" >"$W/d/cacerts"
is "cacerts: the type" "$(answer Content-Type)" 'application/pkcs7-mime; smime-type=certs-only'
is "issuing CA and root" "$(p7_pem "$W/d/cacerts" | grep -c BEGIN)" 2
like "csrattrs of a profile" "$(est ca strong/csrattrs -D "$W/head" | base64 -d | openssl asn1parse -inform DER)" secp384r1
is "its type" "$(answer Content-Type)" application/csrattrs
unlike "says nothing of other keys" "$(est ca strong/csrattrs | base64 -d | openssl asn1parse -inform DER)" prime256v1
is "an unknown label" "$(est ca nobody/csrattrs | code)" CRT-006
is "an unknown operation" "$(est ca fullcmc | code)" ENR-006
is "GET of simpleenroll" "$(est ca simpleenroll | code)" ENR-007
is "is 405" "$(cat "$W/status")" 405
is "POST to cacerts" "$(est ca cacerts -d x | code)" ENR-007
is "EST without TLS" "$(http ca "http://$CA_AT:8888/.well-known/est/cacerts" | code)" ENR-024

# ---- simpleenroll, simplereenroll --------------------------------------------

key_csr "$W/d/one" $M1
T=$(ticket ca $M1)
is "no ticket" "$(enroll simpleenroll "$W/d/one" | code)" CRT-016
is "is 401" "$(cat "$W/status")" 401
like "and says what to bring" "$(answer WWW-Authenticate)" '^Basic realm='
is "a ticket under another name" "$(enroll simpleenroll "$W/d/one" -u "$M2:$T" | code)" ENR-021
is "no ticket but a password" "$(enroll simpleenroll "$W/d/one" -u "$M1:password" | code)" ENR-021
is "another type of body" "$(est ca simpleenroll -d 'MAA=' -u "$M1:$T" | code)" ENR-008
is "two types of body" "$(enroll simpleenroll "$W/d/one" -u "$M1:$T" -H 'Content-Type: text/plain' | code)" ENR-002
is "no base64" "$(est ca simpleenroll -d '{}' -u "$M1:$T" -H 'Content-Type: application/pkcs10' | code)" ENR-014
is "base64 of something else" "$(est ca simpleenroll -d 'MAA=' -u "$M1:$T" -H 'Content-Type: application/pkcs10' | code)" ENR-015
openssl req -in "$W/d/one.csr" -outform DER -out "$W/d/one.der"
last=$((0x$(tail -c 1 "$W/d/one.der" | od -An -tx1 | tr -d ' ') ^ 1))
is "a signature that is not the key's" "$({
	head -c -1 "$W/d/one.der"
	printf '%b' "\\x$(printf %02x $last)"
} | b64 | est ca simpleenroll --data-binary @- -u "$M1:$T" -H 'Content-Type: application/pkcs10' | code)" ENR-016
is "the profile of another label" "$(enroll operator/simpleenroll "$W/d/one" -u "$M1:$T" | code)" CRT-006
ok "with the ticket" enrol_est ca "$W/d/one" $M1 "$T" iot
is "certificate and key belong together" "$(openssl x509 -in "$W/d/one.crt" -noout -pubkey)" "$(openssl pkey -in "$W/d/one.key" -pubout)"

key_csr "$W/d/new" $M1
is "no renewal without a certificate" "$(enroll simplereenroll "$W/d/new" | code)" ENR-021
key_csr "$W/d/other" $M2
is "nor of another's" "$(enroll simplereenroll "$W/d/other" --cert "$W/d/one.crt" --key "$W/d/one.key" | code)" CRT-010
enroll simplereenroll "$W/d/new" --cert "$W/d/one.crt" --key "$W/d/one.key" >"$W/d/new.p7"
is "a renewal" "$(cat "$W/status") $(answer Content-Type)" "200 application/pkcs7-mime; smime-type=certs-only"
p7_pem "$W/d/new.p7" >"$W/d/new.crt"
is "is of the new key" "$(openssl x509 -in "$W/d/new.crt" -noout -pubkey)" "$(openssl pkey -in "$W/d/new.key" -pubout)"

# Every kind of key and signature, through the few algorithms that enrold has.
sign() {	# sign NAME KEY-ARGUMENT... -- REQ-ARGUMENT...: $W/d/NAME.csr
	local f=$W/d/$1 key=()
	shift
	while [ "$1" != -- ]; do
		key+=("$1")
		shift
	done
	shift
	openssl genpkey "${key[@]}" -out "$f.key" 2>/dev/null &&
	    openssl req -new -key "$f.key" -subj "/CN=${f##*/}" "$@" -out "$f.csr"
}
P384=(-algorithm EC -pkeyopt ec_paramgen_curve:P-384)
RSA=(-algorithm RSA -pkeyopt rsa_keygen_bits:3072)
sign a.example.org "${P384[@]}" -- -sha384
sign b.example.org "${P384[@]}" -- -sha512
sign c.example.org "${RSA[@]}" -- -sha384 -addext subjectAltName=DNS:c.example.org
sign d.example.org "${RSA[@]}" -- -sha512 -sigopt rsa_padding_mode:pss
for n in a b c d; do
	n=$n.example.org
	ok "a certificate for $n" enrol_est ca "$W/d/$n" $n "$(ticket ca $n strong)"
done
sign e.example.org "${P384[@]}" -- -sha1
is "none for SHA-1" "$(enroll simpleenroll "$W/d/e.example.org" -u "e.example.org:$(ticket ca e.example.org strong)" | code)" ENR-016

# ---- serverkeygen --------------------------------------------------------------

key_csr "$W/d/made" thing-7 rsa
T=$(ticket ca thing-7 made)
is "no keys are made where the profile does not say so" "$(enroll iot/serverkeygen "$W/d/made" -u "thing-7:$T" | code)" ENR-028
enroll made/serverkeygen "$W/d/made" -u "thing-7:$T" >"$W/d/made.parts"
is "a key from the server" "$(cat "$W/status") $(answer Content-Type)" "200 multipart/mixed; boundary=provd-est-part"
part() {	# part TYPE: its bytes
	tr -d '\r' <"$W/d/made.parts" | sed -n "\,^Content-Type: $1,,/^--/p" | grep -v '[:-]' | base64 -d
}
ok "in PKCS#8" sh -c "openssl pkey -inform DER -out '$W/d/made.key'" < <(part application/pkcs8)
part application/pkcs7-mime | openssl pkcs7 -inform DER -print_certs -out "$W/d/made.crt"
is "is that of the certificate" "$(openssl x509 -in "$W/d/made.crt" -noout -pubkey)" "$(openssl pkey -in "$W/d/made.key" -pubout)"
unlike "and not the one of the request" "$(openssl req -in "$W/d/made.csr" -noout -pubkey)" \
    "$(openssl pkey -in "$W/d/made.key" -pubout | sed -n 2p)"
is "the same request makes no second one" "$(enroll made/serverkeygen "$W/d/made" -u "thing-7:$T" | code)" CRT-014
nok "no daemon keeps the key" grep -rqF "$(part application/pkcs8 | base64 -w 0 | cut -c 40-80)" "$W/ca/state" "$W/ca/log"

# ---- bound to the connection (RFC 9266) ---------------------------------------

# bound STEM NAME TICKET [TR-SETS]: the answer to a request whose challenge
# password is this connection's exporter, changed by tr(1) if asked
bound() {
	local f=$1 hex
	mkfifo "$f.in"
	in_ns ca openssl s_client -connect $CA_AT:8443 -CAfile "$W/ca/root.pem" -ign_eof \
	    -keymatexport EXPORTER-Channel-Binding -keymatexportlen 32 <"$f.in" >"$f.out" 2>&1 &
	exec 7>"$f.in"
	await 10 grep -q "Keying material: " "$f.out" || return
	hex=$(sed -n 's/.*Keying material: //p' "$f.out")
	[ -z "${4:-}" ] || hex=$(tr 0-9A-F 1-9A-F0 <<<"$hex")
	cat >"$f.cnf" <<-EOF
	[req]
	prompt = no
	distinguished_name = name
	attributes = attributes
	[name]
	CN = $2
	[attributes]
	challengePassword = $(basenc -d --base16 <<<"$hex" | base64 -w 0)
	EOF
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$f.key" -config "$f.cnf" \
	    -outform DER 2>/dev/null | base64 >"$f.b64"
	{
		printf 'POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: ca\r\nConnection: close\r\n'
		printf 'Authorization: Basic %s\r\n' "$(printf '%s' "$2:$3" | base64 -w 0)"
		printf 'Content-Type: application/pkcs10\r\nContent-Length: %s\r\n\r\n' "$(stat -c %s "$f.b64")"
		cat "$f.b64"
	} >&7
	wait $!
	exec 7>&-
	sed -n '/^HTTP/,$p' "$f.out"
}
T=$(ticket ca $M2)
like "a request bound to another connection is refused" "$(bound "$W/d/wrong" $M2 "$T" changed)" ENR-020
like "one bound to this is not" "$(bound "$W/d/right" $M2 "$T")" '^HTTP/1.1 200 OK'
is "nor can it go by another door" "$(http ca --json "{\"csr\":\"$(tr -d '\n' <"$W/d/wrong.b64")\",\"ticket\":\"$T\"}" \
    "http://$CA_AT:8888/req_client_cert" | code)" ENR-020

# ---- OCSP ------------------------------------------------------------------------

S=$(serial_of "$W/d/one.crt")
like "OCSP: good" "$(ocsp ca "$W/d/one.crt")" 'one.crt: good'
like "with SHA-256" "$(in_ns ca openssl ocsp -sha256 -issuer "$W/ca/issuing.pem" -cert "$W/d/one.crt" \
    -url "http://$CA_AT:8080/ocsp" -CAfile "$W/ca/root.pem" 2>&1)" 'one.crt: good'
unlike "with a nonce, which comes back" "$(ocsp ca "$W/d/one.crt")" '[Nn]once|[Ff]ailure'
ok "cert revoke" ctl ca cert revoke "$S" --reason superseded
out=$(ocsp ca "$W/d/one.crt" -no_nonce)
like "OCSP: revoked" "$out" 'one.crt: revoked'
like "and why" "$out" superseded
like "its response verifies" "$out" 'Response verify OK'
like "a serial that was never given" "$(in_ns ca openssl ocsp -issuer "$W/ca/issuing.pem" -serial 77 \
    -url "http://$CA_AT:8080/ocsp" -CAfile "$W/ca/root.pem" 2>&1)" '77: unknown'
like "another CA's" "$(in_ns ca openssl ocsp -issuer "$W/ca/root.pem" -serial 77 -url "http://$CA_AT:8080/ocsp" 2>&1)" 'unauthorized'
like "two at once" "$(ocsp ca "$W/d/one.crt" -serial 7)" malformedrequest

openssl ocsp -issuer "$W/ca/issuing.pem" -cert "$W/d/one.crt" -no_nonce -reqout "$W/d/req"
path=$(base64 -w 0 "$W/d/req" | sed 's,+,%2B,g; s,/,%2F,g; s,=,%3D,g')
http ca -D "$W/head" "http://$CA_AT:8080/ocsp/$path" >"$W/d/resp"
is "by GET" "$(answer Content-Type)" application/ocsp-response
like "it is the same" "$(openssl ocsp -respin "$W/d/resp" -issuer "$W/ca/issuing.pem" -cert "$W/d/one.crt" \
    -CAfile "$W/ca/root.pem" -no_nonce 2>&1)" 'one.crt: revoked'
http ca "http://$CA_AT:8080/ocsp/nonsense" >"$W/d/resp"
like "GET of nonsense" "$(openssl ocsp -respin "$W/d/resp" 2>&1)" malformedrequest
is "POST of another type" "$(http ca -d x "http://$CA_AT:8080/ocsp" | code)" ENR-008
ok "each refusal is counted" await 10 eval '[ "$(count_of ca enrold ENR-022)" -ge 2 ]'

# ---- the examples of provd-enrol(7), as they stand there ------------------------

mkdir "$W/page"
cp "$W/ca/root.pem" "$W/ca/issuing.pem" "$W/page"
echo 'libtls { version_max = 1.3 }' >"$W/page/strongswan.conf"
M=24:0a:c4:12:34:56
key_csr "$W/page/new" $M
n=0 block=
example() {
	TICKET=$T in_ns ca env STRONGSWAN_CONF=strongswan.conf bash -o pipefail -ec "cd '$W/page'; $1"
}
T=$(ticket ca $M)
while IFS= read -r line; do
	case $line in
	.Bd*) block= ;;
	.Ed)
		n=$((n + 1))
		[[ $block != *"pki --est"* ]] || T=$(ticket ca $M)
		ok "example $n: $(head -n 1 <<<"$block" | cut -c 1-50)" example "$block"
		;;
	*) block+=$line$'\n' ;;
	esac
done < <(sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "$TOP/man/provd-enrol.7" | sed 's/\\e/\\/g; s/ca\.example\.org/192.0.2.1/g')
is "all of them" $n 7
is "of the same name" "$(openssl x509 -in "$W/page/new.crt" -noout -subject -nameopt RFC2253)" "subject=CN=$M"

node_stop ca
ok "no sanitizer spoke" world_sanitized_clean
done_testing || diag "$(node_logs ca)"
[ "$TAP_FAILED" -eq 0 ]
