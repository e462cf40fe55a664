#!/bin/bash
# The certificate service from end to end: an authority, tickets, JSON and EST
# by curl, a manufacturer's certificate, renewal, revocation by operator and by
# holder, CRL and OCSP as openssl sees them, strict verification of all that
# was issued, a rollover, an offline root, and provctl enrol.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/enrol.sh"
need_root
need ip runsv jq openssl curl swtpm

world_new
authority "$W/maker" Maker
CA_MAKER=$W/maker/root.pem
NODE_BACKEND=sealed ca_node ca
mkdir "$W/d"
# Some time ago: trusted time has whole seconds.
M4=24:0a:c4:12:34:59
key_csr "$W/d/made" $M4
openssl x509 -req -in "$W/d/made.csr" -CA "$W/maker/root.pem" -CAkey "$W/maker/key.pem" -days 3650 \
    -extfile <(printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n') \
    -out "$W/d/made.crt" 2>/dev/null
node_start ca
ok "six daemons are ready, before there is an authority" await_ready ca 60
M1=24:0a:c4:12:34:56 M2=24:0a:c4:12:34:57 M3=24:0a:c4:12:34:58

# ---- the authority ----------------------------------------------------------

ok "provctl ca init" ca_up ca
is "a second authority is refused" "$(ctl ca ca init 2>&1 | grep -o 'CRT-00[0-9]')" CRT-002
is "the root is called by provd.conf" "$(openssl x509 -in "$W/ca/root.pem" -noout -subject -nameopt RFC2253)" \
    "subject=CN=ACME Root CA 1,O=ACME"
is "so is the issuing CA" "$(openssl x509 -in "$W/ca/issuing.pem" -noout -subject -nameopt RFC2253)" \
    "subject=CN=ACME Issuing CA 1,O=ACME"
like "whose path ends there" "$(openssl x509 -in "$W/ca/issuing.pem" -noout -ext basicConstraints)" 'CA:TRUE, pathlen:0'
ok "both hold strictly" openssl verify -x509_strict -CAfile "$W/ca/root.pem" "$W/ca/issuing.pem"
ok "the door shows a certificate below them" await 10 json ca - '{"operation":"get_ca_chain"}'
is "get_ca_chain answers" "$(jq -r .status "$W/body")" ok
ok "with the chain that provctl shows" diff <(jq -r .chain "$W/body" | openssl x509 -outform DER | sha256sum) \
    <(openssl x509 -in "$W/ca/issuing.pem" -outform DER | sha256sum)

# ---- JSON ---------------------------------------------------------------------

key_csr "$W/d/one" $M1 rsa
T1=$(ticket ca 24-0A-C4-12-34-56)
like "a ticket has 128 bits" "$T1" '^[0-9a-f]{32}$'
out=$(json ca - "{\"operation\":\"req_client_cert\",\"csr\":\"$(csr64 "$W/d/one.csr")\"}" | code)
like "without it there is nothing" "$out" 'CRT-016|ENR-021'
ok "with it, a certificate" enrol_json ca "$W/d/one" "$T1"
is "status 200" "$(cat "$W/status")" 200
S1=$(serial_of "$W/d/one.crt")
is "the serial number in the answer is that of the certificate" "$(jq -r .serial "$W/d/one.json")" "$S1"
is "it has the canonical name" "$(openssl x509 -in "$W/d/one.crt" -noout -subject -nameopt RFC2253)" "subject=CN=$M1"
like "and its SAN" "$(openssl x509 -in "$W/d/one.crt" -noout -ext subjectAltName)" 'URI:urn:provd:device:240ac4123456'
like "for clients" "$(openssl x509 -in "$W/d/one.crt" -noout -ext extendedKeyUsage)" 'Client Authentication$'
like "never a CA" "$(openssl x509 -in "$W/d/one.crt" -noout -ext basicConstraints)" 'CA:FALSE'
like "with the addresses of OCSP" "$(openssl x509 -in "$W/d/one.crt" -noout -ocsp_uri)" "http://$CA_AT:8080/ocsp"
ok "its file is in the state directory" cmp <(openssl x509 -in "$W/ca/state/policyd/issued/${S1:0:2}/$S1.pem" -outform DER) \
    <(openssl x509 -in "$W/d/one.crt" -outform DER)
is "and one line in the log" "$(grep -ci "$S1" "$W/ca/state/policyd/issued/serials.txt")" 1
cp "$W/d/one.crt" "$W/d/first.crt"
ok "the same request again is answered" enrol_json ca "$W/d/one" "$T1"
ok "with the same certificate" cmp "$W/d/first.crt" "$W/d/one.crt"
key_csr "$W/d/other" $M1
is "another one with that ticket is not" "$(enrol_json ca "$W/d/other" "$T1" | code)" CRT-014

key_csr "$W/d/path" $M2
T=$(ticket ca $M2)
ok "the operation as path, plain HTTP, base64 of PEM with CRLF" http ca --json \
    "{\"csr\":\"$(sed 's/$/\r/' "$W/d/path.csr" | b64)\",\"ticket\":\"$T\"}" "http://$CA_AT:8888/req_client_cert"
is "is as good" "$(jq -r .status "$W/body")" ok

# ---- EST ------------------------------------------------------------------------

est ca cacerts >"$W/d/cacerts"
is "EST: cacerts" "$(cat "$W/status")" 200
p7_pem "$W/d/cacerts" >"$W/d/cacerts.pem"
is "has both certificates" "$(grep -c BEGIN "$W/d/cacerts.pem")" 2
key_csr "$W/d/est" $M3
T3=$(ticket ca $M3)
ok "EST: simpleenroll by HTTP Basic" enrol_est ca "$W/d/est" $M3 "$T3"
is "gives the certificate" "$(openssl x509 -in "$W/d/est.crt" -noout -subject -nameopt RFC2253)" "subject=CN=$M3"
ok "EST: csrattrs of a label" est ca iot/csrattrs
key_csr "$W/d/est2" $M3
csr64 "$W/d/est2.csr" >"$W/d/est2.b64"
est ca simplereenroll --data-binary "@$W/d/est2.b64" \
    -H 'Content-Type: application/pkcs10' --cert "$W/d/est.crt" --key "$W/d/est.key" >"$W/d/est2.p7"
is "EST: simplereenroll over mutual TLS" "$(cat "$W/status")" 200
p7_pem "$W/d/est2.p7" >"$W/d/est2.crt"

# ---- a manufacturer's certificate ---------------------------------------------------

ctl ca device add $M4 --profile iot >/dev/null
key_csr "$W/d/four" $M4
made() {
	json ca - "{\"operation\":\"req_client_cert\",\"csr\":\"$(csr64 "$W/d/$1.csr")\",\"profile\":\"iot\"}" \
	    --cert "$W/d/made.crt" --key "$W/d/made.key" >"$W/d/$1.json" || return
	[ -s "$W/d/$1.json" ] && jq -er .certificate "$W/d/$1.json" >"$W/d/$1.crt" || { cat "$W/d/$1.json"; return 1; }
}
ok "a certificate of its maker is as good as a ticket" made four
is "provctl tells how it was asked for" "$(cert_field ca "$(serial_of "$W/d/four.crt")" auth)" manufacturer
key_csr "$W/d/foreign" $M1
is "but for no other device" "$(made foreign | code)" CRT-010

# ---- renewal, revocation --------------------------------------------------------------

key_csr "$W/d/one2" $M1
ok "renewal over mutual TLS" renew_json ca "$W/d/one" "$W/d/one2"
is "by the mutual door, too" "$(DOOR=8444 renew_json ca "$W/d/one2" "$W/d/one2" >/dev/null; cat "$W/status")" 200
stranger() {
	DOOR=8444 json ca - '{"operation":"get_ca_chain"}'
}
nok "which opens to nobody without a certificate" stranger
S2=$(serial_of "$W/d/one2.crt")
ok "provctl cert revoke" ctl ca cert revoke "$S1" --reason superseded
is "shows it revoked" "$(cert_field ca "$S1" status)" revoked
ok "the holder revokes its own" json ca - '{"operation":"revoke_client_cert","reason":"keyCompromise"}' \
    --cert "$W/d/est2.crt" --key "$W/d/est2.key"
is "answered ok" "$(jq -r .status "$W/body")" ok
json ca - "{\"operation\":\"revoke_client_cert\",\"serial\":\"$S2\"}" --cert "$W/d/four.crt" --key "$W/d/four.key" >"$W/out"
is "but nobody else's" "$(code <"$W/out")" CRT-020
key_csr "$W/d/op" alice
ok "an operator enrols" enrol_json ca "$W/d/op" "$(ticket ca alice operator)"
json ca - "{\"operation\":\"revoke_client_cert\",\"serial\":\"$S2\"}" \
    --cert "$W/d/op.crt" --key "$W/d/op.key" >"$W/out"
is "and may revoke any" "$(jq -r .status "$W/out")" ok
key_csr "$W/d/late" $M1
out=$(renew_json ca "$W/d/one" "$W/d/late" 2>&1 | code)
is "a revoked certificate renews nothing" "$out" CRT-017

ok "the CRL can be fetched" crl ca
ok "and is signed by the issuing CA" openssl crl -in "$W/ca/crl.pem" -CAfile "$W/ca/issuing.pem" -noout
like "with the number, the key and the scope" "$(openssl crl -in "$W/ca/crl.pem" -noout -text)" 'CRL Number'
like "an IDP" "$(openssl crl -in "$W/ca/crl.pem" -noout -text)" 'Issuing Distribution Point: critical'
in_crl() {
	crl ca && openssl crl -in "$W/ca/crl.pem" -noout -text | grep -qi "Serial Number: 0*$1"
}
ok "the revoked one is in it" in_crl "$S1"
ok "its holder's is, soon" await 10 in_crl "$(serial_of "$W/d/est2.crt")"
like "openssl verify says so" "$(strict ca "$W/d/one.crt" 2>&1)" 'certificate revoked'
for f in four op est; do
	ok "$f.crt holds strictly, with the CRL" strict ca "$W/d/$f.crt"
done
like "OCSP: revoked" "$(ocsp ca "$W/d/one.crt")" 'one.crt: revoked'
like "with the reason" "$(ocsp ca "$W/d/one.crt")" 'Reason: superseded'
like "OCSP: good, the response verified, the nonce echoed" "$(ocsp ca "$W/d/four.crt" | tr '\n' ' ')" 'Response verify OK.*four.crt: good'
unlike "the nonce is there" "$(ocsp ca "$W/d/four.crt")" 'no nonce|Nonce'
like "the status operation agrees" "$(json ca - "{\"operation\":\"status\",\"serial\":\"$S1\"}" --cert "$W/d/four.crt" --key "$W/d/four.key")" revoked
like "provctl cert stats" "$(ctl ca --json cert stats | jq -cs flatten)" '"revoked": ?[1-9]'

# ---- provctl enrol -----------------------------------------------------------------------

M5=24:0a:c4:12:34:5a
ticket ca $M5 >"$W/d/t5"
chmod 600 "$W/d/t5"
ok "provctl enrol makes the key and asks" in_ns ca "$O/bin/provctl" enrol --mac $M5 --out "$W/d/m5" \
    --server "https://$CA_AT:8443" --ca "$W/ca/root.pem" --ticket-file "$W/d/t5"
is "the key is its owner's only" "$(stat -L -c %a "$W/d/m5/key.pem")" 600
ok "its certificate holds" openssl verify -x509_strict -CAfile "$W/ca/root.pem" -untrusted "$W/ca/issuing.pem" "$W/d/m5/cert.pem"
M6=24:0a:c4:12:34:5b
ticket ca $M6 >"$W/d/t6"
ok "over EST, with P-256" in_ns ca "$O/bin/provctl" enrol --mac $M6 --out "$W/d/m6" --est --key p256 \
    --server "https://$CA_AT:8443" --ca "$W/ca/root.pem" --ticket-file "$W/d/t6"

# ---- rollover -----------------------------------------------------------------------------

ok "provctl ca rollover" ctl ca ca rollover
is "the issuing CA is the second" "$(ca_field ca issuing generation)" 2
is "below the same root, which is no older for it" "$(ca_field ca root generation)" 1
cp "$W/ca/issuing.pem" "$W/ca/issuing1.pem"
ok "its certificates" ca_files ca
key_csr "$W/d/new" 24:0a:c4:12:34:5c
ok "it issues" enrol_json ca "$W/d/new" "$(ticket ca 24:0a:c4:12:34:5c)"
ok "what it issues holds" openssl verify -x509_strict -CAfile "$W/ca/root.pem" -untrusted "$W/ca/issuing.pem" "$W/d/new.crt"
key_csr "$W/d/four2" $M4
ok "what the old one issued is renewed by the new one" renew_json ca "$W/d/four" "$W/d/four2"
ok "the old CRL is still published" crl ca 1
ok "and the new one" crl ca 2

# Who trusts only the old root, or only the new one, goes on (RFC 4210, 4.4).
cp "$W/ca/root.pem" "$W/ca/root1.pem"
ok "provctl ca rollover --root" ctl ca ca rollover --root
ok "the new certificates" ca_files ca
is "there is a second root" "$(ca_field ca root generation)" 2
trusting() {	# trusting PEM FILE: what the door gives to who trusts only PEM
	in_ns ca curl -sSf --cacert "$1" -o "$2" "https://$CA_AT:8443/.well-known/est/cacerts"
}
door_below() {
	in_ns ca openssl s_client -connect "$CA_AT:8443" -showcerts </dev/null 2>"$W/err" >"$W/door.pem"
	grep -q "i:.*Root CA $1" "$W/door.pem"
}
ok "the door shows what is below it" await 10 door_below 2
is "leaf, issuing CA and cross certificate, no root" "$(grep -c BEGIN "$W/door.pem")" 3
ok "to who trusts only the old root" trusting "$W/ca/root1.pem" "$W/cacerts"
ok "and to who trusts only the new one" trusting "$W/ca/root.pem" "$W/cacerts"
base64 -d "$W/cacerts" | openssl pkcs7 -inform DER -print_certs -out "$W/cacerts.pem"
is "EST gives the new root twice: by itself and by the old one" \
    "$(grep -c 'subject=.*Root CA 2' "$W/cacerts.pem")$(grep -c 'issuer=.*Root CA 2' "$W/cacerts.pem")" 22
for m in 5 6; do
	est=
	[ $m = 5 ] || est=--est
	ok "a device that knows only the old root renews${est:+ over EST}" in_ns ca "$O/bin/provctl" enrol --renew --now \
	    $est --out "$W/d/m$m" --server "https://$CA_AT:8443"
	like "below the new one" "$(openssl x509 -in "$W/d/m$m/cert.pem" -noout -issuer)" 'Issuing CA 3'
	ok "and can show it to who trusts the old one" openssl verify -x509_strict -CAfile "$W/ca/root1.pem" \
	    -untrusted "$W/d/m$m/chain.pem" "$W/d/m$m/cert.pem"
	ok "or the new one" openssl verify -x509_strict -CAfile "$W/ca/root.pem" \
	    -untrusted "$W/d/m$m/chain.pem" "$W/d/m$m/cert.pem"
	ok "and renews again" in_ns ca "$O/bin/provctl" enrol --renew --now $est --out "$W/d/m$m" \
	    --server "https://$CA_AT:8443"
done

ok "the audit log is whole" ctl ca audit verify
node_stop ca
node_start ca
ok "a node that was stopped starts again" await_ready ca 60
ok "and still shows who trusts the old root" await 10 trusting "$W/ca/root1.pem" "$W/cacerts"
key_csr "$W/d/after" 24:0a:c4:12:34:5d
ok "and goes on issuing" enrol_json ca "$W/d/after" "$(ticket ca 24:0a:c4:12:34:5d)"
node_stop ca

# ---- an offline root ------------------------------------------------------------------------

rm -rf "${W:?}/ca"
ca_node ca
node_start ca
ok "another node is ready" await_ready ca 60
echo "correct horse battery staple" >"$W/pass"
ok "ca init --offline -" ctl ca ca init --offline - -o "$W/issuing.csr"
is "ca csr is of the same key" "$(ctl ca ca csr | openssl req -noout -pubkey)" "$(openssl req -in "$W/issuing.csr" -noout -pubkey)"
out=$(json ca - '{"operation":"get_ca_chain"}' 2>&1)
is "nothing is served before the root has signed" "$(jq -r .status <<<"$out" 2>/dev/null)" ""
ok "ca sign, where the root is" "$O/bin/provctl" ca sign --offline "$W/vault" --new-root --passphrase-fd 0 \
    -o "$W/issuing.signed" "$W/issuing.csr" <"$W/pass"
ok "ca install" ctl ca ca install "$W/issuing.signed"
ok "its certificates" ca_files ca
key_csr "$W/d/off" $M1
ok "it issues" enrol_json ca "$W/d/off" "$(ticket ca $M1)"
ok "below the offline root" openssl verify -x509_strict -CAfile "$W/ca/root.pem" -untrusted "$W/ca/issuing.pem" "$W/d/off.crt"
nok "whose key is nowhere in keyd's directory" sh -c "ls '$W/ca/state/keyd' | grep -q '^root'"
node_stop ca
ok "no sanitizer spoke" world_sanitized_clean
done_testing || diag "$(node_logs ca)"
[ "$TAP_FAILED" -eq 0 ]
