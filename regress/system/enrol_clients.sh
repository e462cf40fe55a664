#!/bin/bash
# Other people's clients, unmodified: strongSwan's pki over EST, curl and
# openssl one-liners of provd-enrol(7), GnuTLS as client, as verifier and as
# asker of OCSP, openssl ocsp by GET and POST, openssl crl. And every
# certificate that the service makes, strictly, by OpenSSL and by GnuTLS, with
# the extensions of our own rules, field by field.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/enrol.sh"
need_root
need ip runsv jq openssl curl pki gnutls-cli certtool ocsptool

world_new
ca_node ca "listen enrol port 8445 key rsa-2048" "profile \"web\" { key ecdsa-p256 rsa-2048  valid 7 d  usage server  name dns }"
node_start ca
ok "ready" await_ready ca 60
ok "ca init" ca_up ca
mkdir "$W/d"

# ---- strongSwan -------------------------------------------------------------

# Its TLS 1.3 is off unless a file of its own says otherwise.
printf 'pki {\n\ttls {\n\t\tversion_max = 1.3\n\t}\n}\n' >"$W/strongswan.conf"
swan() {
	in_ns ca env STRONGSWAN_CONF="$W/strongswan.conf" timeout 20 pki "$@" 2>"$W/swan.err" || {
		grep -v plugin "$W/swan.err"
		return 1
	}
}
M=24:0a:c4:5a:00:01
ok "pki --estca" swan --estca --url "https://$CA_AT:8443" --cacert "$W/ca/root.pem" --caout "$W/d/swanca.pem" --outform pem
ok "has the root" cmp <(for f in "$W/d"/swanca*.pem; do openssl x509 -in "$f" -outform DER 2>/dev/null | sha256sum; done | sort -u) \
    <(for f in root issuing; do openssl x509 -in "$W/ca/$f.pem" -outform DER | sha256sum; done | sort -u)
for kind in ecdsa rsa; do
	M=24:0a:c4:5a:00:$([ $kind = rsa ] && echo 02 || echo 01)
	pki --gen --type $kind --size "$([ $kind = rsa ] && echo 2048 || echo 256)" --outform pem >"$W/d/swan.key" 2>/dev/null
	pki --req --in "$W/d/swan.key" --type priv --dn "CN=$M" >"$W/d/swan.csr" 2>/dev/null
	T=$(ticket ca $M)
	swan --est --url "https://$CA_AT:8443" --in "$W/d/swan.csr" --cacert "$W/ca/root.pem" --cacert "$W/ca/issuing.pem" \
	    --userpass "$M:$T" --outform pem >"$W/d/swan-$kind.crt"
	ok "pki --est, $kind" openssl x509 -in "$W/d/swan-$kind.crt" -noout || diag "$(cat "$W/d/swan-$kind.crt")"
	cp "$W/d/swan.key" "$W/d/swan-$kind.key"
done
pki --gen --type ecdsa --size 256 --outform pem >"$W/d/swan.key" 2>/dev/null
pki --req --in "$W/d/swan.key" --type priv --dn "CN=$M" >"$W/d/swan.csr" 2>/dev/null
swan --est --url "https://$CA_AT:8443" --in "$W/d/swan.csr" --cacert "$W/ca/root.pem" --cacert "$W/ca/issuing.pem" \
    --cert "$W/d/swan-rsa.crt" --key "$W/d/swan-rsa.key" --outform pem >"$W/d/swan-new.crt"
ok "pki --est renews with its certificate" openssl x509 -in "$W/d/swan-new.crt" -noout || diag "$(cat "$W/d/swan-new.crt")"

# ---- curl and openssl -------------------------------------------------------

M=24:0a:c4:5a:00:03
key_csr "$W/d/curl" $M rsa
T=$(ticket ca $M)
ok "JSON, one line of curl" enrol_json ca "$W/d/curl" "$T"
is "the RSA listener, RSASSA-PSS" "$(in_ns ca openssl s_client -connect $CA_AT:8445 -CAfile "$W/ca/root.pem" \
    -verify_return_error </dev/null 2>/dev/null | sed -n 's/^Peer signature type: //p')" RSA-PSS
M=24:0a:c4:5a:00:04
key_csr "$W/d/wrap" $M
T=$(ticket ca $M)
openssl req -in "$W/d/wrap.csr" -outform DER | base64 -w 64 | sed 's/$/\r/' >"$W/d/wrap.b64"
est ca simpleenroll -u "$M:$T" --data-binary "@$W/d/wrap.b64" -H 'Content-Type: application/pkcs10' >"$W/d/wrap.p7"
p7_pem "$W/d/wrap.p7" >"$W/d/wrap.crt"
ok "EST, base64 in lines of CRLF" openssl x509 -in "$W/d/wrap.crt" -noout
like "the answer's type" "$(in_ns ca curl -sS --cacert "$W/ca/root.pem" -o /dev/null -w '%{content_type}' \
    "https://$CA_AT:8443/.well-known/est/cacerts")" '^application/pkcs7-mime'
ok "cacerts by HEAD of openssl's own reader" eval 'est ca cacerts | base64 -d | openssl pkcs7 -inform DER -print_certs -noout'
for v in http1.1 http1.0; do
	ok "curl --$v" http ca --$v "http://$CA_AT:8888/ca/chain.pem"
	is "is answered" "$(cat "$W/status")" 200
done
key_csr "$W/d/web" "www.example.org"
T=$(ticket ca www.example.org web)
ok "a server's certificate" enrol_json ca "$W/d/web" "$T"
like "with its dNSName" "$(openssl x509 -in "$W/d/web.crt" -noout -ext subjectAltName)" 'DNS:www.example.org$'
like "for servers" "$(openssl x509 -in "$W/d/web.crt" -noout -ext extendedKeyUsage)" 'Server Authentication$'

# ---- GnuTLS ------------------------------------------------------------------

talk() {	# a request through gnutls-cli
	printf 'GET /ca/chain.pem HTTP/1.1\r\nHost: ca\r\nConnection: close\r\n\r\n' |
	    in_ns ca timeout 10 gnutls-cli --x509cafile "$W/ca/root.pem" -p 8443 "$@" $CA_AT 2>&1
}
out=$(talk)
like "gnutls-cli trusts the door" "$out" 'certificate is trusted'
like "and is answered" "$out" 'HTTP/1.1 200'
out=$(talk --x509certfile "$W/d/curl.crt" --x509keyfile "$W/d/curl.key")
like "with a client certificate, too" "$out" 'HTTP/1.1 200'
# certtool writes "not revoked" of one that is in no CRL.
like "certtool verifies a chain" "$(cat "$W/d/curl.crt" "$W/ca/issuing.pem" | certtool --verify --load-ca-certificate "$W/ca/root.pem" 2>&1)" \
    'Chain verification output: Verified'

# ---- CRL, OCSP ------------------------------------------------------------------

S=$(serial_of "$W/d/swan-ecdsa.crt")
ok "one is revoked" ctl ca cert revoke "$S" --reason cessationOfOperation
ok "openssl crl" crl ca
like "certtool reads the CRL" "$(certtool --crl-info --inder --infile "$W/ca/crl.der" 2>&1)" 'Revoked certificates \(1\)'
like "and verifies it" "$(certtool --verify-crl --infile "$W/ca/crl.pem" --load-ca-certificate "$W/ca/issuing.pem" 2>&1)" 'Verified'
like "openssl ocsp, POST: good" "$(ocsp ca "$W/d/curl.crt" | tr '\n' ' ')" 'Response verify OK.*: good'
like "openssl ocsp, SHA-256 of the CertID" "$(in_ns ca openssl ocsp -sha256 -issuer "$W/ca/issuing.pem" -cert "$W/d/swan-ecdsa.crt" \
    -url "http://$CA_AT:8080/ocsp" -CAfile "$W/ca/root.pem" -verify_other "$W/ca/issuing.pem" 2>&1 | tr '\n' ' ')" 'verify OK.*: revoked'
like "a serial number that is none" "$(in_ns ca openssl ocsp -issuer "$W/ca/issuing.pem" -serial 0x1234 \
    -url "http://$CA_AT:8080/ocsp" -CAfile "$W/ca/root.pem" -verify_other "$W/ca/issuing.pem" 2>&1)" ': unknown'
openssl ocsp -issuer "$W/ca/issuing.pem" -cert "$W/d/curl.crt" -no_nonce -reqout "$W/d/ocsp.req" 2>/dev/null
path=$(b64 <"$W/d/ocsp.req" | jq -sRr @uri)
in_ns ca curl -sS -o "$W/d/ocsp.der" "http://$CA_AT:8080/ocsp/$path"
like "OCSP by GET" "$(openssl ocsp -respin "$W/d/ocsp.der" -issuer "$W/ca/issuing.pem" -cert "$W/d/curl.crt" -CAfile "$W/ca/root.pem" \
    -verify_other "$W/ca/issuing.pem" 2>&1)" ': good'
out=$(in_ns ca ocsptool --ask="http://$CA_AT:8080/ocsp" --load-issuer "$W/ca/issuing.pem" --load-cert "$W/d/curl.crt" \
    --load-trust "$W/ca/issuing.pem" --nonce 2>&1)
like "ocsptool asks and verifies" "$out" 'Verifying OCSP Response: Success'
like "with the nonce" "$out" 'Nonce'
gn=$(in_ns ca gnutls-cli --x509cafile "$W/ca/root.pem" -p 8443 --ocsp $CA_AT </dev/null 2>&1)
like "gnutls-cli --ocsp: the door's certificate is good" "$gn" 'OCSP.*(Success|good)|certificate is trusted'

# ---- strictly, field by field ---------------------------------------------------------

text() {
	openssl x509 -in "$1" -noout -text -certopt ext_parse
}
for f in swan-rsa swan-new curl wrap web; do
	ok "$f: openssl verify -x509_strict -crl_check" strict ca "$W/d/$f.crt"
	t=$(text "$W/d/$f.crt")
	like "$f: version 3" "$t" 'Version: 3'
	is "$f: 16 bytes of serial number, positive" "$(serial_of "$W/d/$f.crt" | grep -cE '^[0-7][0-9a-f]{31}$')" 1
	like "$f: ECDSA with SHA-256" "$t" 'Signature Algorithm: ecdsa-with-SHA256'
	is "$f: the extensions, and no others" "$(grep -v 'X509v3 extensions:' <<<"$t" | grep -oE '(X509v3 [A-Za-z ]+|Authority Information Access):( critical)?' | sort | tr '\n' ';')" \
	    "$(printf '%s\n' 'X509v3 Basic Constraints: critical' 'X509v3 Key Usage: critical' 'X509v3 Extended Key Usage:' 'X509v3 Subject Key Identifier:' \
	    'X509v3 Authority Key Identifier:' 'X509v3 Subject Alternative Name:' 'X509v3 CRL Distribution Points:' 'Authority Information Access:' | sort | tr '\n' ';')"
	is "$f: digitalSignature alone" "$(grep -A1 'X509v3 Key Usage' <<<"$t" | tail -n 1 | tr -d ' ')" DigitalSignature
done
is "a month, as its profile says" "$(($(($(date -d "$(openssl x509 -in "$W/d/curl.crt" -noout -enddate | cut -d= -f2)" +%s) - \
    $(date -d "$(openssl x509 -in "$W/d/curl.crt" -noout -startdate | cut -d= -f2)" +%s))) / 86400))" 30
ok "the OCSP signer: no-check, and for that only" eval 'ca_pem ca ocsp | openssl x509 -noout -text | grep -A1 "OCSP No Check\|OCSP Signing"'
ok "the door's own certificate holds strictly" eval 'in_ns ca openssl s_client -connect $CA_AT:8443 -CAfile "$W/ca/root.pem" -x509_strict -verify_return_error -verify_ip $CA_AT </dev/null'
node_stop ca
ok "no sanitizer spoke" world_sanitized_clean
done_testing || diag "$(node_logs ca)"
[ "$TAP_FAILED" -eq 0 ]
