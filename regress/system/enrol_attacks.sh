#!/bin/bash
# What is tried on a certificate service: names that are not one's own, tickets
# used twice, requests that are read in two ways, bodies without end. Each is
# refused for its reason, which is counted; enrold is the same process after
# all of it, and goes on serving; nothing was issued by it.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/enrol.sh"
need_root
need ip runsv jq openssl curl python3

world_new
authority "$W/foreign" Foreign
ca_node ca "request timeout 1 s" "profile \"mute\" { key ecdsa-p256  valid 1 d  usage client  name text }"
# Attempts are limited by address: each attack has one of its own.
ip -n "$(ns_of ca)" route add local 10.64.0.0/16 dev lo
ATTACKS=0
node_start ca
ok "ready" await_ready ca 60
ok "ca init" ca_up ca
mkdir "$W/d"
pids() {
	local r
	for r in $ROLES enrold; do
		pid_of ca "$r"
	done
}
was=$(pids)

from() {	# an address that has not been used; sets FROM
	ATTACKS=$((ATTACKS + 1))
	FROM=10.64.$((ATTACKS / 250)).$((ATTACKS % 250 + 1))
}

# refused DESC STATUS CODE CMD...: the answer has this status and this reason
refused() {
	local desc=$1 status=$2 want=$3 got
	shift 3
	from
	rm -f "$W/body" "$W/status"
	got=$("$@" 2>"$W/err" | code)
	like "$desc: $want" "$got" "^($want)\$" || diag "$(head -c 300 "$W/body" "$W/err")"
	[ -z "$status" ] || like "... with status $status" "$(cat "$W/status" 2>/dev/null)" "^($status)\$"
}

ask() {	# ask CSR-FILE(DER) TICKET [MORE-JSON [CURL-ARGUMENT...]]
	local csr=$1 t=$2 more=${3:-}
	shift 2
	[ $# -eq 0 ] || shift
	[ -z "$t" ] || t=",\"ticket\":\"$t\""
	printf '{"operation":"req_client_cert","csr":"%s"%s%s}' "$(b64 <"$csr")" "$t" "$more" >"$W/req"
	json ca - "@$W/req" --interface "$FROM" "$@"
}

der() {	# der STEM SUBJECT [rsa|p256] [OPENSSL ARGUMENT...]: STEM.der
	local f=$1 subj=$2 kind=${3:-p256}
	shift 2
	[ $# -eq 0 ] || shift
	key_csr "$f" x "$kind" "$@" -subj "$subj" && openssl req -in "$f.csr" -outform DER -out "$f.der"
}

named() {	# named FILE HEX [-w]: a request for a name of these bytes
	"$O/tools/enrolload" csr ${3:+"$3"} -n "$2" >"$1"
}

hex() {
	printf %s "$1" | od -An -v -tx1 | tr -d ' \n'
}

# raw: standard input to the plain door as it is, its answer out;
# the body to the next reader, the status to $W/status
raw() {
	in_ns ca python3 -c '
import socket, sys
s = socket.create_connection(("192.0.2.1", 8888), 5, (sys.argv[1], 0))
s.settimeout(float(sys.argv[2]))
try: s.sendall(sys.stdin.buffer.read())
except OSError: pass
b = b""
try:
    while True:
        p = s.recv(65536)
        if not p: break
        b += p
        h, sep, rest = b.partition(b"\r\n\r\n")
        if sep and len(rest) >= int(h.lower().split(b"content-length:")[1].split()[0]): break
except (socket.timeout, IndexError, OSError): pass
h, sep, rest = b.partition(b"\r\n\r\n")
open(sys.argv[3], "wb").write(h.split(b" ")[1] if sep else b"none")
sys.stdout.buffer.write(rest)' "$FROM" 4 "$W/status"
}
post() {	# post HEADERS BODY: raw, with \r\n and the like
	# shellcheck disable=SC2059
	printf "POST / HTTP/1.1\r\nHost: ca\r\n$1\r\n$2" | raw
}

A=24:0a:c4:00:00:01 B=24:0a:c4:00:00:02
TA=$(ticket ca $A)
TB=$(ticket ca $B)
der "$W/d/a" "/CN=$A"
der "$W/d/b" "/CN=$B"

# ---- names ------------------------------------------------------------------

refused "another's MAC with one's own ticket" 403 'CRT-010|CRT-013' ask "$W/d/b.der" "$TA"
refused "a MAC that nobody listed" 403 'CRT-012|CRT-010|CRT-013' eval 'der "$W/d/c" /CN=24:0a:c4:00:00:99; ask "$W/d/c.der" "$TA"'
der "$W/d/o" "/O=x\/CN=$A/CN=$B"
refused "CN smuggled in O" 400 ENR-018 ask "$W/d/o.der" "$TA"
der "$W/d/two" "/CN=$A/CN=$B"
refused "two CN" 400 ENR-018 ask "$W/d/two.der" "$TA"
named "$W/d/nul.der" "$(hex $A)00$(hex .evil)"
refused "NUL in a name" 400 'ENR-018' ask "$W/d/nul.der" "$TA"
for n in __proto__ constructor "$A " "../../etc/passwd" "24:0a:c4:00:00:0" "$A;id"; do
	named "$W/d/odd.der" "$(hex "$n")"
	refused "named '$n'" '400|403' 'CRT-010|CRT-012|CRT-013|CRT-026|ENR-018' ask "$W/d/odd.der" "$TA"
done
named "$W/d/empty.der" ""
refused "an empty name" 400 'ENR-018|ENR-015' ask "$W/d/empty.der" "$TA"
named "$W/d/long.der" "$(printf '61%.0s' {1..65})"
refused "65 bytes of name" 400 ENR-018 ask "$W/d/long.der" "$TA"
named "$W/d/huge.der" "$(head -c 65000 /dev/zero | od -An -v -tx1 | tr -d ' \n' | tr 0 6)"
refused "64 KiB of name" '400|413' 'ENR-004|ENR-018|ENR-012|ENR-015' ask "$W/d/huge.der" "$TA"
named "$W/d/utf.der" "$(hex $A)c080"
refused "no UTF-8" 400 'ENR-018|ENR-015' ask "$W/d/utf.der" "$TA"
der "$W/d/san" "/CN=$A" p256 -addext "subjectAltName=DNS:ca.example.org"
refused "a SAN that is not its own" '400|403' 'CRT-011|ENR-019' ask "$W/d/san.der" "$TA"
der "$W/d/ca" "/CN=$A" p256 -addext "basicConstraints=critical,CA:TRUE" -addext keyUsage=keyCertSign
refused "wants to be a CA" 400 ENR-019 ask "$W/d/ca.der" "$TA"

# ---- keys -------------------------------------------------------------------

named "$W/d/stolen.der" "$(hex $A)" -w
refused "signed by another key" 400 ENR-016 ask "$W/d/stolen.der" "$TA"
{ cat "$W/d/a.der"; printf x; } >"$W/d/tail.der"
refused "a byte after the request" 400 'ENR-015|ENR-014' ask "$W/d/tail.der" "$TA"
head -c 100 "$W/d/a.der" >"$W/d/cut.der"
refused "a request cut short" 400 ENR-015 ask "$W/d/cut.der" "$TA"
openssl req -new -nodes -newkey rsa:1024 -keyout "$W/d/k" -subj "/CN=$A" -outform DER -out "$W/d/weak.der" 2>/dev/null
refused "RSA of 1024 bits" '400|403' 'CRT-008|CRT-007|ENR-017' ask "$W/d/weak.der" "$TA"
openssl req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:secp256k1 -keyout "$W/d/k" -subj "/CN=$A" -outform DER -out "$W/d/k1.der" 2>/dev/null
refused "another curve" 400 'ENR-017|ENR-015' ask "$W/d/k1.der" "$TA"
openssl req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-384 -keyout "$W/d/k" -subj "/CN=$A" -outform DER -out "$W/d/p384.der" 2>/dev/null
refused "a curve that the profile does not have" '400|403' CRT-007 ask "$W/d/p384.der" "$TA"

# ---- tickets -----------------------------------------------------------------

refused "no ticket" '401|403' 'CRT-016|ENR-021' ask "$W/d/a.der" ""
refused "a ticket of 31 digits" 400 ENR-012 ask "$W/d/a.der" "${TA%?}"
refused "a guessed ticket" 401 CRT-013 ask "$W/d/a.der" "00000000000000000000000000000000"
refused "another profile" 403 'CRT-006|CRT-013' ask "$W/d/a.der" "$TA" ',"profile":"operator"'
refused "a profile that is none" '400|403' 'CRT-006|ENR-012' ask "$W/d/a.der" "$TA" ',"profile":"root"'
refused "over EST, no ticket" 401 'ENR-021|CRT-016' eval 'csr64 "$W/d/a.csr" | est ca simpleenroll --interface "$FROM" -H "Content-Type: application/pkcs10" --data-binary @-'
is "nothing has been issued" "$(ctl ca --json cert list | jq -s 'flatten | map(select(.row == "cert")) | length')" 0
for ((i = 0; i < 40; i++)); do
	echo "$A $TA"
done >"$W/race"
in_ns ca "$O/tools/enrolload" load -A $CA_AT -c 40 -t "$W/race" >"$W/race.out" 2>&1
is "a race of forty for one ticket: one has it" "$(awk '/^ok/ { print $2 }' "$W/race.out")" 1 || diag "$(cat "$W/race.out")"
is "the others are told" "$(awk '/^refused/ { print $2 }' "$W/race.out")" 39
is "and one certificate is recorded" "$(ctl ca --json cert list | jq -s 'flatten | map(select(.row == "cert")) | length')" 1
from
ok "b enrols" enrol_json ca "$W/d/b" "$TB"
der "$W/d/b2" "/CN=$B"
refused "a ticket a second time" 401 CRT-014 ask "$W/d/b2.der" "$TB"

# ---- certificates ----------------------------------------------------------------

renew() {	# renew STEM OF
	json ca - "{\"operation\":\"renew_client_cert\",\"csr\":\"$(b64 <"$1")\"}" --interface "$FROM" --cert "$2.crt" --key "$2.key"
}
der "$W/d/e" /CN=24:0a:c4:00:00:05
ctl ca device add 24:0a:c4:00:00:05 --profile iot >/dev/null
refused "renewal of b's certificate for another name" 403 'CRT-010|CRT-020' renew "$W/d/e.der" "$W/d/b"
refused "a renewal that fails" '400|403' 'CRT-008|CRT-007|ENR-017|CRT-010' renew "$W/d/weak.der" "$W/d/b"
SB=$(serial_of "$W/d/b.crt")
b_is() {	# soon after enrold has said that the device has it
	[ "$(cert_field ca "$SB" status)" = "$1" ]
}
ok "leaves the old certificate valid" await 10 b_is valid
refused "renewal without a certificate" '401|403' 'ENR-021|CRT-016' json ca - "{\"operation\":\"renew_client_cert\",\"csr\":\"$(b64 <"$W/d/b2.der")\"}"
refused "revocation without a certificate" '401|403' 'ENR-021|CRT-020' json ca - "{\"operation\":\"revoke_client_cert\",\"serial\":\"$SB\"}"
TB2=$(ticket ca $B)
refused "revocation by ticket" '400|401|403' 'ENR-021|ENR-012|CRT-020' json ca - "{\"operation\":\"revoke_client_cert\",\"serial\":\"$SB\",\"ticket\":\"$TB2\"}"
ok "b is revoked" ctl ca cert revoke "$SB" --reason keyCompromise
refused "renewal with a revoked certificate" 403 CRT-017 renew "$W/d/b2.der" "$W/d/b"
refused "the key of a revoked certificate" '403|409' CRT-009 ask "$W/d/b.der" "$TB2"
openssl x509 -req -in "$W/d/b2.csr" -CA "$W/foreign/root.pem" -CAkey "$W/foreign/key.pem" -days 10 -out "$W/d/b2.crt" 2>/dev/null
foreign() {
	renew "$W/d/b2.der" "$W/d/b2"
}
from
nok "a certificate of a CA that is none of ours ends the handshake" foreign
ok "which is counted" await 10 eval '[ "$(count_of ca enrold ENR-023)" -ge 1 ]'
nok "no TLS 1.2" in_ns ca curl -s --cacert "$W/ca/root.pem" --tls-max 1.2 "https://$CA_AT:8443/"

# ---- JSON ------------------------------------------------------------------------

body() {
	json ca - "$1" --interface "$FROM"
}
refused "broken JSON" 400 ENR-009 body '{"operation":'
refused "an array" 400 'ENR-009|ENR-012' body '[1]'
refused "two objects" 400 ENR-009 body '{"operation":"status"}{}'
refused "no UTF-8" 400 ENR-009 body $'{"operation":"\xff\xfe"}'
refused "a member twice" 400 ENR-011 body '{"operation":"status","operation":"req_client_cert"}'
refused "an unknown operation" 400 ENR-013 body '{"operation":"make_me_root"}'
refused "no operation" 400 'ENR-012|ENR-013' body '{"csr":"AA=="}'
refused "an operation that is a number" 400 'ENR-012|ENR-013' body '{"operation":7}'
refused "an unknown member" 400 ENR-012 body '{"operation":"get_ca_chain","admin":true}'
refused "NUL in a text" 400 'ENR-009|ENR-012|ENR-013' body '{"operation":"status\u0000"}'
refused "a thousand levels" 400 'ENR-010|ENR-009' body "$(printf '[%.0s' {1..1000})"
refused "a bomb of levels" '400|413' 'ENR-010|ENR-009|ENR-004' body "{\"operation\":$(printf '{\"a\":%.0s' {1..3000})1$(printf '}%.0s' {1..3000})}"
python3 -c 'print("{" + ",".join("\"m%d\":%d" % (i, i) for i in range(2000)) + "}")' >"$W/many"
refused "two thousand members" '400|413' 'ENR-0(04|09|12|13)' body "@$W/many"
refused "a number without end" '400|413' 'ENR-0(04|09|12|13)' body "{\"operation\":1e$(printf '9%.0s' {1..4000})}"
refused "no base64" 400 ENR-014 body '{"operation":"req_client_cert","csr":"!!!!"}'
refused "base64 of nothing" 400 'ENR-014|ENR-015|ENR-012' body '{"operation":"req_client_cert","csr":""}'
refused "a certificate for a request, as another client sent" 400 'ENR-012|ENR-015' \
    json ca req_client_cert "$(jq -r .request.body /dev/stdin <<<'{"request":{"body":"{\"certificate\":\"LS0tLS1CRUdJTg==\"}"}}')"

# ---- HTTP ---------------------------------------------------------------------------

refused "a path that is none" 404 ENR-006 http ca "https://$CA_AT:8443/../../etc/passwd" --path-as-is
refused "a method that is none" 405 'ENR-007|ENR-001' http ca -X DELETE "https://$CA_AT:8443/req_client_cert"
refused "a type that is none" 415 ENR-008 http ca -H 'Content-Type: text/html' -d '{}' "https://$CA_AT:8443/"
refused "EST on the plain door" '403|404' ENR-024 http ca "http://$CA_AT:8888/.well-known/est/cacerts"
refused "enrolment on the status door" '403|404|405' 'ENR-024|ENR-006|ENR-007' http ca --json '{}' "http://$CA_AT:8080/req_client_cert"
S='{"operation":"get_ca_chain"}'
refused "two lengths" 400 'ENR-00[12]' post "Content-Type: application/json\r\nContent-Length: 28\r\nContent-Length: 3\r\n" "$S"
refused "the same length twice" 400 'ENR-00[12]' post "Content-Type: application/json\r\nContent-Length: 28\r\nContent-Length: 28\r\n" "$S"
refused "a length and chunks" 400 'ENR-00[12]' post "Content-Type: application/json\r\nContent-Length: 28\r\nTransfer-Encoding: chunked\r\n" "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
refused "chunks that are not" 400 'ENR-00[12]' post "Content-Type: application/json\r\nTransfer-Encoding: xchunked\r\n" "$S"
refused "chunks twice" 400 'ENR-00[12]' post "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n" "$S"
refused "a length with a sign" 400 'ENR-00[12]' post "Content-Type: application/json\r\nContent-Length: +28\r\n" "$S"
refused "a blank before the colon" 400 'ENR-00[12]' post "Content-Type: application/json\r\nContent-Length : 28\r\n" "$S"
refused "a folded line" 400 'ENR-00[12]' post "Content-Type: application/json\r\nX: a\r\n b\r\nContent-Length: 28\r\n" "$S"
refused "a size of a chunk without end" '400|413' 'ENR-00[124]' post "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n" "fffffffffffffffff\r\n"
refused "no host" 400 'ENR-00[12]' eval 'printf "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" | raw'
refused "no HTTP" 400 ENR-001 eval 'head -c 300 /dev/urandom | raw'
refused "HTTP/2 without asking" '400|505' ENR-001 eval 'printf "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" | raw'
refused "a header of 1 MiB" '400|413|431' 'ENR-003' eval '{ printf "POST / HTTP/1.1\r\nHost: ca\r\nX: "; head -c 1048576 /dev/zero | tr "\0" a; } | raw'
refused "ten thousand headers" '400|413|431' 'ENR-003' eval '{ printf "POST / HTTP/1.1\r\nHost: ca\r\n"; yes "$(printf "A: b\r")" | head -n 10000; } | raw'
refused "1 GiB announced" 413 ENR-004 post "Content-Type: application/json\r\nContent-Length: 1073741824\r\n" "{"
refused "1 GiB that comes in chunks" '413|000' 'ENR-004' eval 'head -c 1G /dev/zero | http ca --interface "$FROM" -H "Content-Type: application/json" -H "Transfer-Encoding: chunked" -H "Expect:" -T - -X POST "http://$CA_AT:8888/"'

# ---- time ---------------------------------------------------------------------------------

slow() {	# slow BYTES-AT-ONCE: the rest of a header, or of a body, never comes
	in_ns ca python3 -c '
import socket, sys
s = socket.create_connection(("192.0.2.1", 8888), 5, (sys.argv[1], 0))
b = sys.argv[2].encode().decode("unicode_escape").encode()
s.settimeout(0.1)
r = b""
for i in range(100):
    try: s.send(b[i % len(b):i % len(b) + 1] if i >= 10 else b[:10] if i == 0 else b[i + 9:i + 10])
    except OSError: break
    try:
        p = s.recv(4096)
        if not p: break
        r += p
    except socket.timeout: pass
h, sep, rest = r.partition(b"\r\n\r\n")
open(sys.argv[3], "wb").write(h.split(b" ")[1] if sep else b"none")
sys.stdout.buffer.write(rest)' "$FROM" "$1" "$W/status"
}
refused "a header that drips" 408 ENR-005 slow 'POST / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
from
before=$(count_of ca enrold ENR-005)
silent() {
	in_ns ca python3 -c '
import socket, sys
a = [socket.create_connection(("192.0.2.1", p), 5, (sys.argv[1], 0)) for p in (8443, 8888, 8080, 8444)]
for s in a:
    s.settimeout(8)
    while s.recv(4096): pass' "$FROM"
}
ok "silence is ended, at every door" silent
ok "and counted" await 10 eval "[ \"\$(count_of ca enrold ENR-005)\" -ge $((before + 4)) ]"

# ---- attempts --------------------------------------------------------------------------------

from
guess() {	# until it is told to wait
	local i c
	for ((i = 0; i < 60; i++)); do
		c=$(ask "$W/d/a.der" "$(printf %032x $i)" 2>/dev/null | code)
		case $c in CRT-023|CRT-024) echo "$c"; return ;; esac
	done
	echo "$c"
}
like "who guesses tickets is told to wait" "$(guess)" 'CRT-02[34]'
is "with status 429" "$(cat "$W/status")" 429

# ---- after all of it -----------------------------------------------------------------------------

is "every daemon is the process that it was" "$(pids)" "$was"
from
M=24:0a:c4:00:00:77
key_csr "$W/d/good" $M
ok "who is in order has its certificate" enrol_json ca "$W/d/good" "$(ticket ca $M)"
is "nothing else was issued" "$(ctl ca --json cert list | jq -s 'flatten | map(select(.row == "cert")) | length')" 3
# More handshakes at once than keyd is asked signatures at once.
tickets ca 500000 100 >"$W/t100"
in_ns ca "$O/tools/enrolload" load -1 -A $CA_AT -c 100 -t "$W/t100" >"$W/load" 2>&1
is "a hundred at once are served" "$(awk '/^ok/ { print $2 }' "$W/load")" 100 || diag "$(cat "$W/load")"
for c in ENR-001 ENR-002 ENR-004 ENR-005 ENR-009 ENR-011 ENR-013 ENR-014 ENR-015 ENR-016 ENR-018; do
	ok "enrold counted $c" await 5 eval "[ \"\$(count_of ca enrold $c)\" -ge 1 ]"
done
for c in CRT-013 CRT-014 CRT-017 CRT-009; do
	ok "policyd counted $c" [ "$(count_of ca policyd $c)" -ge 1 ]
done
ok "the audit log is whole" ctl ca audit verify
node_stop ca
ok "no sanitizer spoke" world_sanitized_clean
done_testing || diag "$(node_logs ca)"
[ "$TAP_FAILED" -eq 0 ]
