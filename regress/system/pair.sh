#!/bin/bash
# The main job: from cold to Connected on both sides, over real LLDP, SPDM and
# TLS, with keys in TPMs, by one 'provctl provision' on one side; and a genuine
# unit of the same maker that nobody listed is refused.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need ip runsv swtpm jq openssl ss

world_new
pair_wire
for n in a b; do
	node_new $n "$W/acme/root.pem"
done
echo 'peer "b" { }' >>"$W/a/conf"
echo 'peer "a" { identity "@A@" }' >>"$W/b/conf.later"
cp "$W/b/conf" "$W/b/conf.first"
node_start a
ok "a starts from nothing: keys in the TPM, its CA, its leafs" await_ready a 120
ok "a: identity installed" node_identity a "$W/acme"
id_a=$(node_id a)
like "a has an id" "$id_a" '^[0-9a-f]{40}$'
# b's operator knows a's id: it is in b's configuration, as a fleet would have it.
sed "s/@A@/$id_a/" "$W/b/conf.later" >>"$W/b/conf"
node_start b
ok "b starts from nothing" await_ready b 120
ok "b: identity installed" node_identity b "$W/acme"
id_b=$(node_id b)
is "the key is in the TPM" "$(ctl a --json status | jq -rs 'flatten | map(select(.row=="keyd"))[0].backend')" tpm

heard() {
	ctl "$1" --json neighbours | jq -es "flatten | any(.name == \"$2\" and .address4 == \"$3\")" >/dev/null
}
ok "a hears b over LLDP" await 60 heard a b 192.0.2.2
ok "b hears a over LLDP" await 60 heard b a 192.0.2.1
is "hearing is not trusting: nothing was done with it" "$(peer_field a b state)" NotDetermined

out=$(ctl a provision b 2>&1)
is "a genuine unit of the same maker that is not listed is refused" $? 1
like "with its id in the reason, to confirm" "$out" "$id_b"
like "and the reason's code" "$out" 'provctl: POL-001: '
is "refused is AttestationFailed" "$(peer_field a b state)" AttestationFailed
is "and gives no trust" "$(peer_field a b provisioned)" false

out=$(ctl a provision b --identity "$(printf '0%.0s' {1..40})" 2>&1)
is "another id than the peer's is refused" $? 1
like "with both ids in the reason" "$out" "$id_b"

ok "provctl provision b --identity ID" ctl a provision b --identity "$id_b"
is "a: Provisioned" "$(peer_field a b provisioned)" true
ok "b attested a in its turn: Provisioned" await_peer b a provisioned true
ok "a: Connected" await_peer a b connected Connected
ok "b: Connected" await_peer b a connected Connected
is "the proved id is b's" "$(peer_field a b node)" "$id_b"
is "the proved id is a's" "$(peer_field b a node)" "$id_a"
like "the steps of the attestation can be read" "$(ctl a peer show b)" 'MEASUREMENTS|measurement'
# Both may have dialled: the second one is about to end.
one_connection() {
	[ "$(in_ns "$1" ss -tnH state established \
	    '( sport = :8090 or dport = :8090 )' | wc -l)" -eq 1 ]
}
ok "a: by one connection" await 30 one_connection a
ok "b: by one connection" await 30 one_connection b
ok "a's audit log is whole" ctl a audit verify
ok "b's audit log is whole" ctl b audit verify
like "the audit log tells the transition" "$(ctl a --json audit show)" 'Provisioned'

ok "unprovision" ctl a unprovision b
ok "its connection is closed at once" await_peer b a connected NotConnected
is "no trust is left" "$(peer_field a b provisioned)" false
node_stop b
node_start b
ok "a node that was stopped starts again" await_ready b
ok "and still trusts what it trusted" peer_is b a provisioned true
ok "provision again needs no identity: it is pinned" ctl a provision b
ok "Connected again" await_peer a b connected Connected
ok "revoke" ctl a revoke b
is "Revoked" "$(peer_field a b state)" Revoked
out=$(ctl a provision b --identity "$id_b" 2>&1)
is "a revoked identity is not provisioned again" $? 1
node_stop a
node_stop b
ok "no sanitizer spoke" world_sanitized_clean
done_testing
