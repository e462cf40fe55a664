#!/bin/bash
# Trust ages: what changes at the peer while Connected ends the connection at
# the next attestation; a peer that cannot be reached loses nothing; a restart
# of the peer is noticed and it is attested anew.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need ip runsv jq openssl

world_new
pair_wire
for n in a b; do
	NODE_BACKEND=soft node_new $n "$W/acme/root.pem"
	cat >>"$W/$n/conf" <<-EOF
	accept root "$W/acme/root.pem" serial "SN-?"
	reattest every 2 s
	EOF
done
echo 'peer "b" { address 192.0.2.2 }' >>"$W/a/conf"
echo 'peer "a" { address 192.0.2.1 }' >>"$W/b/conf"
pair_start
# Somebody who connects and says nothing, to the end of this test.
in_ns b bash -c 'exec 3<>/dev/tcp/192.0.2.1/4194 && cat <&3' >/dev/null 2>&1 &
silent=$!
WORLD_PIDS="$WORLD_PIDS $silent"
ok "provision" ctl a provision b
ok "Connected" await_peer a b connected Connected

attested() {
	peer_field a b attested
}
later() {	# is b attested anew since $1, and still trusted?
	[ "$(attested)" \> "$1" ]
}
t=$(attested)
ok "it is attested anew every 'reattest'" await 60 later "$t"
is "and stays Connected meanwhile" "$(peer_field a b connected)" Connected

# Unreachable: attestd -R of b is gone, attestations fail, the pair stays.
node_stop b attestd-r
failing() {
	[ "$(peer_field a b attempts)" -ge 2 ]
}
ok "b cannot be attested" await 60 failing
is "a still trusts it" "$(peer_field a b provisioned)" true
is "and stays Connected" "$(peer_field a b connected)" Connected
node_start b attestd-r
t=$(attested)
ok "reachable again, it is attested" await 60 later "$t"

cable b down
ok "the cable is out: NotConnected" await_peer a b connected NotConnected
is "a still trusts it" "$(peer_field a b provisioned)" true
cable b up
ok "the cable is back: Connected" await_peer a b connected Connected

# Another boot of b: another boot id is no reason to distrust.
echo "00000000-0000-4000-8000-0123456789ab" >"$W/b/boot_id"
t=$(attested)
node_stop b
node_start b
ok "b restarts with another boot id: attested anew" await 90 later "$t"
ok "Connected" await_peer a b connected Connected

# A changed measurement.
echo "firmware of b, with a back door" >"$W/b/firmware"
kill9 b attestd-r
ok "a measurement changed: AttestationFailed at the next attestation" \
    await_peer a b state AttestationFailed
ok "the connection is ended" await_peer b a connected NotConnected
is "no trust is left" "$(peer_field a b provisioned)" false
like "the reason names what changed" "$(ctl a explain peer b)" 'measurement'
ok "the audit log is whole" ctl a audit verify
counted() {
	ctl a --json status | jq -es 'any(.row == "counter" and
	    .role == "attestd-r" and .reason.code == "ATT-040")' >/dev/null
}
ok "a session that says nothing is ended, and counted" await 120 counted
wait "$silent"
is "its connection is closed" $? 0
node_stop a
node_stop b
ok "no sanitizer spoke" world_sanitized_clean
done_testing
