#!/bin/bash
# keyd alone, under its real filter and user, with a software TPM: keys that
# survive kills, a TPM that goes away, is silent, is cleared, is missing.
# keydhub plays its sisters.
# shellcheck source=regress/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_root
need swtpm openssl tpm2_readpublic tpm2_nvreadpublic tpm2_clear tpm2_changeauth \
    python3
for p in keyd tools/keydhub; do
	[ -x "$O/${p/#keyd/bin/keyd}" ] || skip_all "needs $p built"
done

workdir
users
TPM=
KEYD=

finish() {
	trap - EXIT
	[ -z "$KEYD" ] || kill -9 "$KEYD" 2>/dev/null
	[ -z "$TPM" ] || kill -9 "$TPM" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$W"
}
trap finish EXIT
exec 2>"$W/stderr"	# bash's word on each daemon that was killed

# configure BACKEND [OPTION...]
configure() {
	local b=$1
	[ "$b" = soft ] || b="$b \"unix:$W/tpm/sock\""
	shift
	cat >"$W/conf" <<-EOF
	node "keyd-test" interface "lo"
	run directory "$W/run"
	state directory "$W/state"
	key backend $b $*
	EOF
}

new_node() {
	rm -rf "$W/state" "$W/run"
	mkdir -p "$W/state" "$W/run"
}

# A software TPM that outlives its client: no -t, no "disconnect"; it is
# started by itself, so that nobody needs the control channel.
tpm_start() {
	mkdir -p "$W/tpm"
	rm -f "$W/tpm/sock"
	swtpm socket --tpm2 --tpmstate "dir=$W/tpm" \
	    --server "type=unixio,path=$W/tpm/sock,mode=0600" \
	    --flags startup-clear,not-need-init >"$W/swtpm.log" 2>&1 &
	TPM=$!
	until [ -S "$W/tpm/sock" ]; do pause; done
}

tpm_stop() {
	kill -9 "$TPM" 2>/dev/null
	wait "$TPM" 2>/dev/null
	TPM=
	rm -f "$W/tpm/sock"
}

keyd_start() {
	"$O/bin/keyd" -d -f "$W/conf" >>"$W/keyd.log" 2>&1 &
	KEYD=$!
}

keyd_wait() {	# its exit status
	local s
	wait "$KEYD"
	s=$?
	KEYD=
	return $s
}

# hub COMMAND...: keyd must be started; what keydhub says
hub() {
	until [ -d "$W/state/keyd" ]; do pause; done
	"$O/tools/keydhub" "$W/state/keyd/hub.sock" "$@" 2>&1
}

# with_keyd COMMAND...: a keyd from start to end
with_keyd() {
	keyd_start
	hub "$@"
	keyd_wait
}

# tpm2-tools speak to a command; this one is a wire to the TPM's socket.
cat >"$W/wire" <<'EOF'
import os, select, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
while True:
    for f in select.select([0, s], [], [])[0]:
        b = os.read(0, 4096) if f == 0 else s.recv(4096)
        if not b:
            sys.exit(0)
        s.sendall(b) if f == 0 else os.write(1, b)
EOF
tpm2() {
	TPM2TOOLS_TCTI="cmd:python3 $W/wire $W/tpm/sock" "$@"
}

# ---- the TPM is missing ---------------------------------------------------------

configure tpm
new_node
keyd_start
keyd_wait
is "no TPM: exit 1" $? 1
like "... and the log says what to do" "$(cat "$W/keyd.log")" "TPM-017.*key backend"

# ---- keys, their use, and what is left of them --------------------------------

tpm_start
out=$(with_keyd status make tls tls p256 make ca ca p256 make spdm spdm p384 \
    make audit audit p256 tls 0 pcrs counter 0)
like "status" "$out" "^status tpm OK keys 0 counter 1 IBM SWTPM"
like "a key is made" "$out" "^key 0 new 04[0-9a-f]{128}$"
like "a P-384 key is made" "$out" "^key 2 new 04[0-9a-f]{192}$"
like "it signs" "$out" "^signed$"
like "registers are read" "$out" "^pcrs 0{512}$"
counter=$(printf '%s\n' "$out" | sed -n 's/^counter //p')
like "the counter stands somewhere" "$counter" '^[0-9]+$'
is "keys are files of keyd alone" \
    "$(stat -c '%U %a' "$W/state/keyd/keys/tls.key")" "_keyd 600"
is "... in a directory of keyd alone" \
    "$(stat -c '%U %a' "$W/state/keyd/keys")" "_keyd 700"

out=$(with_keyd make tls tls p256 tls 0 counter $((counter + 1)) \
    counter $((counter + 1)) counter $((counter + 3)) make tls ca p256)
like "the next keyd has the key" "$out" "^key 0 old "
like "... and signs with it" "$out" "^signed$"
is "the counter moves by one, once" \
    "$(printf '%s\n' "$out" | grep -c "^counter $((counter + 1))$")" 2
like "it does not jump" "$out" "^refused KEY-027$"
like "a label keeps its purpose" "$out" "^refused KEY-004$"

# ---- others read the TPM ---------------------------------------------------------

out=$(tpm2 tpm2_readpublic -c 0x81000001 2>&1)
like "tpm2-tools read the storage root key" "$out" "restricted.*decrypt"
name=$(printf '%s\n' "$out" | sed -n 's/^name: *//p')
like "its name is the recorded one" \
    "$(od -An -v -tx1 "$W/state/keyd/keys/tpm" | tr -d ' \n')" "$name"
like "tpm2-tools read the counter's index" \
    "$(tpm2 tpm2_nvreadpublic 0x01850001 2>&1)" "nt=0x1|counter"
is "... and its value" \
    "$((16#$(tpm2 tpm2_nvread -C 0x01850001 0x01850001 2>/dev/null |
    od -An -tx1 | tr -d ' \n')))" $((counter + 1))

# ---- 20 kills in a row, each with signatures under way ------------------------------

before=$(sha256sum "$W/state/keyd/keys/"*)
fine=0
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	keyd_start
	hub make tls tls p256 flood 0 40 kill gone >"$W/out" &&
	    grep -q '^gone$' "$W/out" && fine=$((fine + 1))
	keyd_wait
done
is "20 kills -9 of keyd while it signs" $fine 20
out=$(with_keyd make tls tls p256 tls 0 flood 0 60 answers)
like "then a signature" "$out" "^signed$"
like "... and sixty" "$out" "^answers 60 OK 0$"
is "no key file has changed" "$(sha256sum "$W/state/keyd/keys/"*)" "$before"

# Kills while keys are made: each label is there, or can be made.
fine=0
for i in 1 2 3 4 5 6 7 8; do
	keyd_start
	hub make "k$i" tls p256 flood $((i + 3)) 1 kill gone >/dev/null
	keyd_wait
	out=$(with_keyd make "k$i" tls p256 tls $((i + 3)))
	[[ $out == *signed* ]] && fine=$((fine + 1))
done
is "kills between making and using" $fine 8

# ---- a sister that breaks a rule stops nobody -------------------------------------

out=$(with_keyd sister status)
like "an offence is reported" "$out" "^sister IPC-003$"
like "... and policyd is still served" "$out" "^status tpm OK"

# ---- faults of the TPM --------------------------------------------------------------

keyd_start
out=$(hub make tls tls p256 tls 0 end "$TPM" gone)
keyd_wait
is "TPM gone: exit status 1, for its manager" $? 1
like "... and keyd says why" "$(tail -n 5 "$W/keyd.log")" "TPM-001"
tpm_stop
tpm_start
out=$(with_keyd make tls tls p256 tls 0)
like "the TPM is back: it signs" "$out" "^signed$"

# Silent: it takes commands and never answers. What waits is refused, all of it.
keyd_start
out=$(hub make tls tls p256 tls 0 stop "$TPM" flood 0 20 answers gone)
keyd_wait
is "silent TPM: exit status 1" $? 1
like "... every request is refused" "$out" "^answers 0 TPM-002 20$"
keyd_start
keyd_wait
is "silent at start: exit status 1" $? 1
like "... and keyd says so" "$(tail -n 3 "$W/keyd.log")" "TPM-002"
tpm_stop

# Cleared.
tpm_start
ok "the TPM is cleared" tpm2 tpm2_clear -c l
out=$(with_keyd status make tls tls p256 pcrs)
like "cleared: the status says so" "$out" "^status tpm TPM-008"
is "... and so does every refusal" \
    "$(printf '%s\n' "$out" | grep -c '^refused TPM-008$')" 2
nok "... and no storage root key was made in silence" \
    tpm2 tpm2_readpublic -c 0x81000001

# The owner has a password: nothing can be made. Once it has none, all is well.
ok "the owner takes a password" tpm2 tpm2_changeauth -c o secret
new_node
out=$(with_keyd status make tls tls p256)
like "password: the status says so" "$out" "^status tpm TPM-010"
like "... and so does the refusal" "$out" "^refused TPM-010$"
ok "the owner gives it up" tpm2 tpm2_changeauth -c o -p secret
out=$(with_keyd status make tls tls p256 tls 0)
like "... and keys are made" "$out" "^signed$"

# ---- the other backends --------------------------------------------------------------------

new_node
configure sealed
out=$(with_keyd status make tls tls p256 make spdm spdm p384 tls 0)
like "sealed: status" "$out" "^status sealed OK keys 0 counter 1"
like "sealed: signs" "$out" "^signed$"
out=$(with_keyd status make tls tls p256 tls 0 flood 0 64 answers)
like "sealed: the next keyd has the keys" "$out" "keys 2 "
like "sealed: signs again" "$out" "^answers 64 OK 0$"

new_node
configure soft
out=$(with_keyd status make tls tls p256 tls 0 pcrs)
like "soft: status" "$out" "^status soft OK keys 0 counter 0"
like "soft: signs" "$out" "^signed$"
like "soft: no registers" "$out" "^refused KEY-028$"
is "soft: the key file's key is keyd's alone" \
    "$(stat -c '%U %a' "$W/state/keyd/keys/soft.secret")" "_keyd 600"
printf x >>"$W/state/keyd/keys/tls.key"
keyd_start
keyd_wait
is "a damaged key file: exit 1" $? 1
like "... and says which" "$(tail -n 1 "$W/keyd.log")" "KEY-007.*tls"

# ---- the certificate service ------------------------------------------------------------------

service() {
	cat >>"$W/conf" <<-EOF
	ca "ACME" { server "ca.example.org"  permitted dns "example.org"
	    url "http://ca.example.org:8080" }
	profile "iot" { key ecdsa-p256  valid 30 d  usage client  name mac }
	listen enrol port 8443 key rsa-2048
	EOF
}

# pem KIND FILE: of what keyd wrote as DER
pem() {
	openssl "$1" -inform DER -in "$W/$2.der" -out "$W/$2.pem"
}

new_node
configure soft
service
out=$(with_keyd make root-1 root p256 make issuing-1 issuing p256 \
    make ocsp-1 ocsp p256 make enrol-p256 enrol p256 \
    make enrol-rsa2048 enrol rsa2048 \
    ca root 1 1 3650 "$W/root.der" ca issuing 1 2 1825 "$W/issuing.der" \
    ca ocsp 2 3 90 "$W/ocsp.der" ca enrol 2 4 90 "$W/door.der" \
    ca enrol 2 0 90 "$W/rsa.der" \
    device 2 iot 24:0a:c4:12:34:56 "$W/device.der" \
    crl 2 3 "$W/crl.der" ocsp 3 listener 4 listener 0 tls 4 \
    crl 2 100000 "$W/long.der")
like "a listener's RSA key is there before keyd serves" "$out" "^key 0 old "
is "a root and what hangs on it" "$(grep -c '^certificate$' <<<"$out")" 6
like "a CRL" "$out" "^crl [0-9]{3}$"
like "... one of 100,000 entries" "$out" "^crl [0-9]{7}$"
like "an OCSP response" "$out" "^response [0-9]+$"
like "enrold's RSA key signs" "$out" "^signed 256$"
like "... and its P-256 key" "$out" "^signed 7[0-9]$"
like "... not for netd" "$out" "^refused KEY-002$"
for f in root issuing ocsp door rsa device; do pem x509 $f; done
for f in crl long; do pem crl $f; done
for f in ocsp door rsa device; do
	ok "openssl verifies it strictly: $f" openssl verify -x509_strict \
	    -CAfile "$W/root.pem" -untrusted "$W/issuing.pem" "$W/$f.pem"
done
cat "$W/issuing.pem" "$W/root.pem" >"$W/chain.pem"
for f in crl long; do
	like "openssl verifies the CRL: $f" "$(openssl crl -in "$W/$f.pem" \
	    -verify -CAfile "$W/chain.pem" -noout 2>&1)" "^verify OK"
done
ok "... and looks into it" openssl verify -x509_strict -crl_check \
    -CAfile "$W/root.pem" -untrusted "$W/issuing.pem" \
    -CRLfile "$W/crl.pem" "$W/device.pem"
out=$(with_keyd make issuing-1 issuing p256 make root-1 root p256 \
    device 2 iot 24:0A:C4:12:34:56 "$W/x" device 2 other 24:0a:c4:12:34:56 \
    "$W/x" device 1 iot 24:0a:c4:12:34:56 "$W/x" \
    ca issuing 1 2 3651 "$W/x" make root-2 ca p256 ca root 5 5 10 "$W/x" \
    make rsa tls rsa2048)
for c in KEY-044 KEY-042 KEY-002 KEY-024 KEY-041; do
	like "beyond the configuration: $c" "$out" "^refused $c$"
done
nok "... and nothing was issued" test -e "$W/x"
sed -i 's/ACME/Other/' "$W/conf"
out=$(with_keyd device 2 iot 24:0a:c4:12:34:56 "$W/device.der")
pem x509 device
ok "a CA keeps its name when the configuration changes" openssl verify \
    -x509_strict -CAfile "$W/root.pem" -untrusted "$W/issuing.pem" \
    "$W/device.pem"

new_node
configure tpm
service
out=$(with_keyd make enrol-rsa2048 enrol rsa2048 make root-1 root p256 \
    make issuing-1 issuing p256 ca root 0 0 3650 "$W/root.der" \
    ca issuing 0 1 1825 "$W/issuing.der" \
    device 1 iot 24:0a:c4:12:34:56 "$W/device.der" crl 1 1000 "$W/crl.der")
like "in the TPM: no RSA" "$out" "^refused KEY-041$"
is "... certificates" "$(grep -c '^certificate$' <<<"$out")" 3
like "... CRLs" "$out" "^crl [0-9]{5}$"
for f in root issuing device; do pem x509 $f; done
ok "... that openssl verifies" openssl verify -x509_strict \
    -CAfile "$W/root.pem" -untrusted "$W/issuing.pem" "$W/device.pem"

# ---- secrets stay in ---------------------------------------------------------------------

is "nothing else went to the standard error" \
    "$(grep -v ' Killed ' "$W/stderr")" ""
unlike "no sanitizer has spoken" "$(cat "$W/keyd.log")" \
    "AddressSanitizer|LeakSanitizer|runtime error"
done_testing
