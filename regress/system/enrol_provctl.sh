#!/bin/bash
# provctl as the operator's tool and as a device's client, against a service
# that runs: an offline root and its rollover, tickets in bulk, trust by a
# fingerprint, renewal with an old certificate, a key in a TPM.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/enrol.sh"
need_root
need ip runsv jq openssl swtpm

world_new
ca_node ca 'profile "name" { key rsa-2048 ecdsa-p256  valid 30 d  usage both  name dns  renew 30 d }'
node_start ca
ok "a node without an authority is ready" await_ready ca 60
URL=https://$CA_AT:8443
enrol() {	# enrol DIR [OPTION...]
	local d=$1
	shift
	in_ns ca "$O/bin/provctl" enrol --out "$W/d/$d" --server "$URL" "$@"
}
subject() {
	openssl x509 -in "$W/d/$1/cert.pem" -noout -subject -nameopt RFC2253
}
fingerprint() {
	openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//'
}
mkdir "$W/d"

# ---- an offline root on the node, for a moment --------------------------------

echo "correct horse battery staple" >"$W/pass"
ok "ca init with the root in a directory" ctl ca ca init --offline "$W/vault" --permitted example.org \
    --passphrase-fd 0 <"$W/pass"
ok "its certificates" ca_files ca
ok "the root is the one of the directory" cmp <(openssl x509 -in "$W/ca/root.pem" -outform DER) \
    <(openssl x509 -in "$W/vault/root.pem" -outform DER)
ok "its key opens with the passphrase" openssl pkey -passin "file:$W/pass" -in "$W/vault/root.key" -noout
is "and is not readable for others" "$(stat -c %a "$W/vault" "$W/vault/root.key" | xargs)" "700 600"
like "the issuing CA is limited to names" "$(openssl x509 -in "$W/ca/issuing.pem" -noout -text)" 'DNS:example.org'
ok "both hold strictly" openssl verify -x509_strict -CAfile "$W/ca/root.pem" "$W/ca/issuing.pem"
is "a second one is refused" "$(ctl ca ca init --offline "$W/vault2" --passphrase-fd 0 <"$W/pass" 2>&1 |
    grep -o 'CRT-00[0-9]')" CRT-002

# ---- devices in bulk ------------------------------------------------------------

printf 'mac,profile\n24-0A-C4-00-00-01,iot\n240ac4000002\nhost.example.org,name\n"24:0a:c4:00:00:03","iot"\n' >"$W/devices.csv"
ctl ca device import "$W/devices.csv" --profile iot --ticket -o "$W/tickets.csv" 2>"$W/err"
like "device import" "$(cat "$W/err")" '4 devices, 0 refused'
is "the tickets are the owner's only" "$(stat -c %a "$W/tickets.csv")" 600
is "under canonical names" "$(cut -d, -f1,2 "$W/tickets.csv" | xargs)" \
    "name,profile 24:0a:c4:00:00:01,iot 24:0a:c4:00:00:02,iot host.example.org,name 24:0a:c4:00:00:03,iot"
t() {	# the ticket of a name, in a file
	grep "^$1," "$W/tickets.csv" | cut -d, -f3 >"$W/ticket"
}
printf 'a/b,name\n24:0a:c4:00:00:09,nonesuch\n24:0a:c4:00:00:04,iot\n' >"$W/bad.csv"
ctl ca device import "$W/bad.csv" >/dev/null 2>"$W/err"
is "what is refused ends in 1" $? 1
like "with its line" "$(tr '\n' ' ' <"$W/err")" "bad.csv:1:.*CRT-026.*bad.csv:2:.*CRT-006.*1 devices, 2 refused"
like "device export" "$(ctl ca device export --profile name)" 'host.example.org,name,2.*,waiting,0,'

# ---- enrolling ---------------------------------------------------------------------

t 24:0a:c4:00:00:01
is "without a root there is no trust" "$(enrol one --mac 24:0A:C4:00:00:01 --ticket-file "$W/ticket" 2>&1 |
    grep -c fingerprint)" 1
nok "nor with another's fingerprint" enrol one --mac 24:0A:C4:00:00:01 --ticket-file "$W/ticket" \
    --fingerprint "$(fingerprint "$W/ca/issuing.pem" | tr 0-9A-F A-F0-9)"
ok "with the root's" enrol one --mac 24:0A:C4:00:00:01 --ticket-file "$W/ticket" \
    --fingerprint "$(fingerprint "$W/ca/root.pem")"
is "under the canonical name" "$(subject one)" "subject=CN=24:0a:c4:00:00:01"
ok "cert.pem and chain.pem hold" openssl verify -x509_strict -CAfile "$W/d/one/ca.pem" \
    -untrusted "$W/d/one/chain.pem" "$W/d/one/cert.pem"
ok "RSA-2048 without a word" openssl rsa -in "$W/d/one/key.pem" -noout -check
ok "the DER files are the same" cmp "$W/d/one/key.der" \
    <(openssl pkcs8 -topk8 -nocrypt -in "$W/d/one/key.pem" -outform DER)
like "a ticket is one device's" "$(enrol two --mac 24:0A:C4:00:00:02 --ca "$W/ca/root.pem" \
    --ticket-file "$W/ticket" 2>&1 | tr '\n' ' ')" 'CRT-01[034].*remedy'
t host.example.org
ok "a host by its name, over EST" enrol host --name host.example.org --profile name --est --key p256 \
    --ca "$W/ca/root.pem" --ticket-file "$W/ticket"
like "as a dNSName" "$(openssl x509 -in "$W/d/host/cert.pem" -noout -ext subjectAltName)" 'DNS:host.example.org'

# ---- renewing ------------------------------------------------------------------------

cp -L "$W/d/one/cert.pem" "$W/old.pem"
ok "renewal that is not due asks nobody" enrol one --renew
ok "and changes nothing" cmp "$W/old.pem" "$W/d/one/cert.pem"
ok "renewal on demand" enrol one --renew --now --key p256
is "under the same name" "$(subject one)" "subject=CN=24:0a:c4:00:00:01"
nok "over a new key" cmp <(openssl x509 -in "$W/old.pem" -noout -pubkey) \
    <(openssl x509 -in "$W/d/one/cert.pem" -noout -pubkey)
cp -L "$W/d/host/cert.pem" "$W/old.pem"
ok "renewal over EST, same key" enrol host --renew --now --est --same-key --profile name
ok "it is the same" cmp <(openssl x509 -in "$W/old.pem" -noout -pubkey) \
    <(openssl x509 -in "$W/d/host/cert.pem" -noout -pubkey)
nok "in another certificate" cmp "$W/old.pem" "$W/d/host/cert.pem"
is "the service knows how" "$(ctl ca --json cert list --name host.example.org | jq -r .auth | xargs)" "ticket renewal"

mkdir "$W/tpm"
swtpm socket --tpm2 --daemon --pid "file=$W/tpm/pid" --server "type=unixio,path=$W/tpm/sock" \
    --tpmstate "dir=$W/tpm" --flags startup-clear,not-need-init
t 24:0a:c4:00:00:02
ok "a key in the TPM" enrol two --mac 240ac4000002 --tpm "unix:$W/tpm/sock" --ca "$W/ca/root.pem" \
    --ticket-file "$W/ticket"
nok "is in no file" ls "$W/d/two/key.pem"
ok "it renews" enrol two --renew --now --tpm "unix:$W/tpm/sock"
kill "$(cat "$W/tpm/pid")"

# ---- rolling over, revoking ---------------------------------------------------------------

ok "ca rollover with the offline root" ctl ca ca rollover --offline "$W/vault" --passphrase-fd 0 <"$W/pass"
is "another issuing CA" "$(ca_field ca issuing generation)" 2
ok "what the first one issued is renewed" await 10 enrol one --renew --now --key p256
like "by the second" "$(openssl x509 -in "$W/d/one/cert.pem" -noout -issuer)" 'Issuing CA 2'
ok "cert revoke by name" ctl ca cert revoke --name 24:0a:c4:00:00:01 --reason superseded
is "all of them" "$(ctl ca --json cert list --name 24:0a:c4:00:00:01 | jq -r .status | sort -u)" revoked
like "what is revoked is not renewed" "$(enrol one --renew --now 2>&1)" 'CRT-017|alert'
is "the CRL says so" "$(ctl ca ca crl --generation 2 -o - | openssl crl -inform DER -noout -text | grep -c 'Serial Number')" 1
like "cert stats" "$(ctl ca cert stats)" 'iot +[0-9]+ +[0-9]+ +3 '
ctl ca cert export --status revoked -o "$W/revoked.pem" 2>/dev/null
is "cert export" "$(grep -c BEGIN "$W/revoked.pem")" 3
ok "ca rollover --root, into another directory" ctl ca ca rollover --root --offline "$W/vault2" --passphrase-fd 0 <"$W/pass"
ctl ca ca show --pem >"$W/roots.pem"
is "ca show --pem has both roots, and what is below them" "$(grep -c BEGIN "$W/roots.pem")" 5
ok "a device that is given both goes on" await 10 enrol host --renew --now --profile name --ca "$W/roots.pem"
like "below the new one" "$(openssl x509 -in "$W/d/host/cert.pem" -noout -issuer)" 'Issuing CA 3'
ok "and keeps them" enrol host --renew --now --profile name
node_stop ca
ok "no sanitizer spoke" world_sanitized_clean
done_testing || diag "$(node_logs ca)"
[ "$TAP_FAILED" -eq 0 ]
