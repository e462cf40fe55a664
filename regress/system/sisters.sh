#!/bin/bash
# Hostile sisters: sister takes the place of one daemon after the other on a
# node that is paired, and says whatever its user, its sockets and its links let
# it say: generated from messages.def, and written cases. Each attempt ends its
# sender, is on record with its reason, and changes nothing else: the other
# daemons live on, and the honest peer stays connected, or is so again when
# netd is netd again.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/sisters.sh"
need_root
need ip runsv jq openssl ss

world_new
pair_wire
for n in a b; do
	NODE_BACKEND=soft NODE_VERBOSE=-d node_new $n "$W/acme/root.pem"
	sed -i 's/^retry .*/retry 50 ms to 100 ms/' "$W/$n/conf"
	echo "accept root \"$W/acme/root.pem\" serial \"*\"" >>"$W/$n/conf"
done
echo 'peer "b" { address "192.0.2.2" }' >>"$W/a/conf"
# Nobody answers there: what attestd -Q lies about.
echo 'peer "nobody" { address "192.0.2.99" }' >>"$W/a/conf"
node_start a
node_start b
ok "a is ready" await_ready a 60
ok "b is ready" await_ready b 60
for n in a b; do
	ok "$n: identity installed" node_identity $n "$W/acme"
done
ok "a trusts b" ctl a provision b --identity "$(node_id b)"
ok "a: Connected" await_peer a b connected Connected
ok "b trusts a" await_peer b a provisioned true
ok "b: Connected" await_peer b a connected Connected

: >"$W/said"

cables() {	# the connections of the peer channel on a
	in_ns a ss -tnH state established '( sport = :8090 or dport = :8090 )' |
	    awk '{ print $3, $4 }'
}
settled() {	# both dialled, and the second connection has ended
	[ "$(cables | wc -l)" -eq 1 ]
}

certs() {
	ctl a --json audit show | jq -s 'flatten | map(select(.kind == "cert")) | length'
}
await 30 settled
certs=$(certs)
sister stranger
counted provctl start
counted provctl run

# ---- attestd: the peer stays connected all the time -----------------------

cables=$(cables)
was=$(pids attestd-q attestd-r)
node_stop a attestd-q attestd-r
for r in attestd-q attestd-r; do
	counted $r start
done
tries 0 policyd attestd-q attestd-r
while :; do
	timeout 30 "$O/bin/provctl" -s "$W/a/run/control.sock" provision nobody
done >"$W/nobody" 2>&1 &
wanting=$!
sister evidence
kill $wanting
wait $wanting 2>/dev/null
sister attested
is "nobody is not trusted" "$(peer_field a nobody provisioned)" false
is "no peer was made of a claim" "$(ctl a --json peer list | jq -rs 'flatten | map(.name) | sort | join(" ")')" "b nobody"
is "the others lived on" "$(pids attestd-q attestd-r)" "$was"
is "and the peer is on the same connection" "$(cables)" "$cables"
netd=$(pid_of a netd)
the_rest policyd attestd-q attestd-r
anew
was=$(pids attestd-q attestd-r)
for r in attestd-q attestd-r; do
	sister written $r
	tries 0 keyd $r
	sister try $r keyd start 30 40 5
	sister hello $r keyd old
	sister hello $r keyd build
	# More than three, and netd is to distrust who cannot do without it.
	sister try $r netd run 30 20 4
	sister hello $r netd old
done
is "the others lived on" "$(pids attestd-q attestd-r)" "$was"
the_rest keyd attestd-q attestd-r
is "netd is the one from before" "$(pid_of a netd)" "$netd"
is "and the peer is on the same connection" "$(cables)" "$cables"
node_start a attestd-q attestd-r
ok "a is ready again" await_ready a 60

# ---- netd: the peer is connected again when netd is itself -----------------

anew
await_ready a 60
was=$(pids netd)
node_stop a netd
counted netd start
sister claims
jobs_refused() {
	[ "$(ctl a --json status | jq -s 'flatten | map(select(.row == "counter" and
	    .role == "attestd-q" and .reason.code == "ATT-036").count) | add // 0')" -ge 100 ]
}
ok "attestd -Q counts each socket for a job that is none" await 60 jobs_refused
is "nobody is trusted by a claim" "$(peer_field a nobody provisioned)" false
unlike "nor does its state say so" "$(peer_field a nobody state)" 'Provisioned|InProgress|Connected'
tries 0 policyd netd
is "the others lived on" "$(pids netd)" "$was"
the_rest policyd netd
anew
was=$(pids netd)
sister written netd
tries 0 keyd netd
sister try netd keyd start 30 40 5
sister hello netd keyd old
sister hello netd keyd build
is "keyd and the others lived on" "$(pids netd)" "$was"
# Towards attestd, which netd could as well leave without a socket, three in
# ten minutes are believed.
sister try netd attestd-q run 30 40 1
sister hello netd attestd-q old
sister try netd attestd-r run 30 60 1
sister hello netd attestd-r build
is "and so did keyd and both attestd" "$(pids netd)" "$was"
the_rest keyd netd
node_start a netd
ok "a is ready again" await_ready a 60
ok "Connected again, by itself" await_peer a b connected Connected
ok "b too" await_peer b a connected Connected

# ---- the record -------------------------------------------------------------

ctl a --json audit show | jq -s flatten >"$W/audit"
diag "$(grep -c '^# offence' "$W/said") offences after a greeting, $(grep -c '^# counted' "$W/said") others"
ok "there were hundreds" test "$(wc -l <"$W/said")" -gt 500
is "each is on record with its offender, who saw it, its reason and its message" \
    "$(recorded | md5sum)" "$(did | md5sum)" || diag "$(diff <(recorded) <(did))"
ok "the audit log is whole" ctl a audit verify
is "no certificate was issued for any of them" "$(certs)" "$certs"
ok "no sanitizer spoke" world_sanitized_clean
done_testing
