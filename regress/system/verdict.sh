#!/bin/bash
# The verdict is ours: what a peer or its operator does to its own side gives
# it nothing here. Each refusal has its own reason, and the field.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need ip runsv jq openssl

world_new
authority "$W/acme" ACME
authority "$W/mallory" Mallory
wire a b
address a 192.0.2.1/24
address b 192.0.2.2/24
NODE_BACKEND=soft node_new a "$W/acme/root.pem"
NODE_BACKEND=soft node_new b "$W/acme/root.pem"
echo 'peer "b" { address 192.0.2.2 }' >>"$W/a/conf"
# b lists a and would trust it, whatever a says of b.
cat >>"$W/b/conf" <<EOF
accept root "$W/acme/root.pem" serial "SN-a"
accept root "$W/mallory/root.pem"
peer "a" { address 192.0.2.1 }
EOF
node_start a
node_start b
ok "a is ready" await_ready a 120
ok "b is ready" await_ready b 120
ok "a: identity" node_identity a "$W/acme"

code() {	# code CMD...: the reason's code that a refusal shows
	"$@" 2>&1 | sed -nE 's/^provctl: ([A-Z]{3}-[0-9]{3}):.*/\1/p' | head -n 1
}
refused() {	# refused DESC PATTERN CMD...
	local desc=$1 re=$2 out
	shift 2
	out=$("$@" 2>&1)
	is "$desc: refused" $? 1
	like "$desc: the reason says what" "$out" "$re"
	CODES="${CODES:-} $(code printf '%s\n' "$out")"
}

id_b=$(node_id b)
refused "a peer without an identity certificate" 'provctl: [A-Z]{3}-[0-9]{3}: ' ctl a provision b --identity "$id_b"
ok "b: identity of another maker" node_identity b "$W/mallory"
refused "a chain to another root" 'root' ctl a provision b --identity "$id_b"
ok "b: identity of the right maker" node_identity b "$W/acme"
refused "a pinned identity that is another's" "$id_b" \
    ctl a provision b --identity 00112233445566778899aabbccddeeff00112233
ok "the right one is accepted" ctl a provision b --identity "$id_b"
ok "both trust each other" await_peer b a provisioned true
ok "Connected" await_peer a b connected Connected

# What was measured is the peer's baseline until a reference is accepted.
ok "reference learn" ctl a reference learn b
ok "reference accept" ctl a reference accept b
ok "still trusted" ctl a provision b
echo "firmware of b, with a back door" >"$W/b/firmware"
kill9 b attestd-r
ok "b is ready" await_ready b
refused "a measurement that differs from the reference" 'expected|seen' ctl a provision b
is "AttestationFailed" "$(peer_field a b state)" AttestationFailed
ok "b sees the connection end" await_peer b a connected NotConnected
like "explain names the reason, the field and the remedy" "$(ctl a explain peer b)" '[A-Z]{3}-[0-9]{3}'
echo "firmware of b, version 1" >"$W/b/firmware"
kill9 b attestd-r
ok "b is ready" await_ready b
ok "with the old firmware it is trusted again" ctl a provision b
ok "Connected" await_peer a b connected Connected

# shellcheck disable=SC2086
is "each of the four with a reason of its own" \
    "$(printf '%s\n' $CODES | sort -u | wc -l)" 4

# A verdict of b's operator about a changes nothing in a's view of b.
ok "b revokes a" ctl b revoke a
ok "a: NotConnected" await_peer a b connected NotConnected
is "a still trusts b: that is a's decision" "$(peer_field a b provisioned)" true
ok "a's audit log is whole" ctl a audit verify
node_stop a
node_stop b
ok "no sanitizer spoke" world_sanitized_clean
done_testing
