# shellcheck shell=bash
# The second act of the demo: a certificate authority whose keys are sealed to
# a TPM, and devices that enrol with it. Sourced by demo.sh.
. "$TOP/regress/tools/enrol.sh"

D=$W/devices

enrolled() {	# enrolled STEM: its certificate leads to the root
	openssl verify -x509_strict -CAfile "$W/registrar/root.pem" \
	    -untrusted "$W/registrar/issuing.pem" "$D/$1.crt"
}

by_maker() {	# a request over a connection with the maker's certificate
	json registrar - "{\"operation\":\"req_client_cert\",\"csr\":\"$(csr64 "$D/camera.csr")\",\"profile\":\"iot\"}" \
	    --cert "$D/made.crt" --key "$D/made.key" >"$D/camera.json" &&
	    jq -er .certificate "$D/camera.json" >"$D/camera.crt" || {
		cat "$D/camera.json"
		return 1
	}
}

made_by_acme() {	# what left the factory with the camera
	key_csr "$D/made" 24:0a:c4:00:00:03 && openssl x509 -req -in "$D/made.csr" \
	    -CA "$W/acme/root.pem" -CAkey "$W/acme/key.pem" -days 3650 -out "$D/made.crt" \
	    -extfile <(printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n') 2>/dev/null
}

# somebody's server in the network of the registrar, which reads its CRLs
server_with_crl() {	# not in a subshell: world_end() is to end it
	crl registrar
	nsenter --net="/run/netns/$(ns_of registrar)" openssl s_server -accept 127.0.0.1:4433 -tls1_3 -cert "$W/acme/server.pem" \
	    -key "$W/acme/server.key" -CAfile "$W/registrar/chain.pem" -Verify 2 -verify_return_error \
	    -crl_check -CRL "$W/registrar/crl.pem" -www >"$W/server.log" 2>&1 &
	WORLD_PIDS="$WORLD_PIDS $!"
}

listens() {
	in_ns registrar ss -tlnH | grep -q :4433
}

no_orphans() {	# every device has acknowledged what it got
	! ctl registrar cert list | grep -q orphan
}

visit() {	# visit STEM: with its certificate
	in_ns registrar curl -sS --max-time 5 -k -o /dev/null --cert "$D/$1.crt" \
	    --key "$D/$1.key" https://127.0.0.1:4433/
}

# refused_with CODE CMD...: it was not done, and that is why
refused_with() {
	local want=$1 out
	shift
	out=$("$@" 2>&1)
	printf '%s\n' "$out" | jq . 2>/dev/null || printf '%s\n' "$out"
	printf '%s\n' "$out" | grep -q "$want"
}

says() {	# says TEXT CMD...
	local want=$1 out
	shift
	out=$("$@" 2>&1)
	printf '%s\n' "$out"
	printf '%s\n' "$out" | grep -q "$want"
}

title "A registrar: a certificate authority, its keys sealed to a TPM"
mkdir -p "$D"
made_by_acme
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$W/acme/server.key" \
    -out "$W/acme/server.pem" -days 30 -subj /CN=server 2>/dev/null
NODE_BACKEND=sealed CA_MAKER=$W/acme/root.pem ca_node registrar
node_start registrar
step "six daemons confined and linked" await_ready registrar
step "provctl ca init: a root, an issuing CA, an OCSP signer, a CRL" ca_up registrar
show provctl on registrar ca show

title "Three devices enrol"
key_csr "$D/lamp" 24:0a:c4:00:00:01 rsa
key_csr "$D/door" 24:0a:c4:00:00:02
key_csr "$D/camera" 24:0a:c4:00:00:03
LAMP=$(ticket registrar 24:0a:c4:00:00:01)
DOOR_TICKET=$(ticket registrar 24:0a:c4:00:00:02)
ctl registrar device add 24:0a:c4:00:00:03 --profile iot >/dev/null
step "without a ticket there is no certificate" refused_with 'CRT-016\|ENR-021' enrol_json registrar "$D/lamp" ""
step "the lamp: JSON, an RSA key, a ticket" enrol_json registrar "$D/lamp" "$LAMP"
step "its certificate holds" enrolled lamp
key_csr "$D/thief" 24:0a:c4:00:00:01
step "the same ticket gives nobody another one" refused_with CRT-014 enrol_json registrar "$D/thief" "$LAMP"
step "the door: EST, a ticket by HTTP Basic" enrol_est registrar "$D/door" 24:0a:c4:00:00:02 "$DOOR_TICKET"
step "its certificate holds" enrolled door
step "the camera: no ticket, a certificate of its maker" by_maker
step "its certificate holds" enrolled camera
await 5 no_orphans
show provctl on registrar cert list

title "One renews, one is revoked"
key_csr "$D/door2" 24:0a:c4:00:00:02
step "the door renews over a connection with its certificate" renew_json registrar "$D/door" "$D/door2"
step "provctl cert revoke: the lamp was stolen" ctl registrar cert revoke "$(serial_of "$D/lamp.crt")" --reason keyCompromise
server_with_crl
step "a server that reads the CRL" await 5 listens
step "lets the door in" visit door2
step "and refuses the lamp's next TLS connection" eval '! visit lamp'
key_csr "$D/lamp2" 24:0a:c4:00:00:01
step "the registrar renews nothing for it" refused_with CRT-017 renew_json registrar "$D/lamp" "$D/lamp2"
step "the CRL says so to openssl verify" says 'certificate revoked' strict registrar "$D/lamp.crt"
step "OCSP says so to openssl ocsp" says 'lamp.crt: revoked' ocsp registrar "$D/lamp.crt"
step "and the door's is good" says 'door2.crt: good' ocsp registrar "$D/door2.crt"
step "provctl audit verify" ctl registrar audit verify
show provctl on registrar audit show --last 4
