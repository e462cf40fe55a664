#!/bin/bash
# Clocks that are wrong do not stop a pair: one node boots in 1970, the other
# one's clock steps by ten years while they are Connected, and back.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need ip runsv jq openssl

TEN=$((3653 * 86400))
world_new
pair_wire
for n in a b; do
	NODE_SHIM=1 NODE_BACKEND=soft node_new $n "$W/acme/root.pem"
	cat >>"$W/$n/conf" <<-EOF
	accept root "$W/acme/root.pem" serial "SN-?"
	EOF
done
echo 'peer "b" { address 192.0.2.2 }' >>"$W/a/conf"
echo 'peer "a" { address 192.0.2.1 }' >>"$W/b/conf"
clock_shift a 0
clock_shift b $((-$(date +%s) + 60))	# no clock: a minute after 1970 began
node_start a
node_start b
ok "a is ready" await_ready a 120
ok "b is ready" await_ready b 120
unset_clock() {
	[ "$(ctl "$1" --json status | jq -rs 'flatten | map(select(.row == "clock"))[0].unset')" = "$2" ]
}
ok "b: status says that its clock is unset" unset_clock b true
ok "a: its clock is set" unset_clock a false
ok "a: identity" node_identity a "$W/acme"
ok "b: identity" node_identity b "$W/acme"
ok "provision" ctl a provision b
ok "a: Connected" await_peer a b connected Connected
ok "b: Connected" await_peer b a connected Connected

leaf() {	# when a's TLS leaf becomes valid
	ctl a --json identity show |
	    jq -rs 'flatten | map(select(.row == "certificate" and .use == "tls-leaf"))[0].not_before'
}
newer() {
	[ "$(leaf)" \> "$1" ]
}
t=$(leaf)
clock_shift a $TEN step
ok "a's clock steps by ten years: its leafs are issued again" await 120 newer "$t"
ok "a: Connected" await_peer a b connected Connected 120
ok "b: Connected" await_peer b a connected Connected 120
# New handshakes too: the old connection must not be all there is.
kill9 a netd
ok "a is ready" await_ready a
ok "a new connection: a is Connected" await_peer a b connected Connected 120
ok "a new connection: b is Connected" await_peer b a connected Connected 120
kill9 a policyd
ok "policyd starts again in that time" await_ready a
ok "a: Connected" await_peer a b connected Connected 120

clock_shift b 0 step
ok "b's clock is set" await 120 unset_clock b false
kill9 b netd
ok "b: Connected" await_peer b a connected Connected 120
ok "a: Connected" await_peer a b connected Connected 120
ok "a's audit log is whole" ctl a audit verify
ok "b's audit log is whole" ctl b audit verify
node_stop a
node_stop b
ok "no sanitizer spoke" world_sanitized_clean
done_testing
