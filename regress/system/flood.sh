#!/bin/bash
# A stranger on the wire of two honest nodes floods one of them: malformed and
# made up LLDP frames, TLS hellos, handshakes that go no further, noise, SPDM
# connections held open, from many addresses at once, and all that TLS at the
# certificate service of that node, too. The nodes stay
# Connected and attest each other anew meanwhile, memory is that of full
# tables and no more, and the counters tell.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/load.sh"
need_root
need ip runsv jq openssl curl

# a, b and the stranger x on one bridge, which passes LLDP on.
wire_all() {
	local n
	for n in a b x; do
		wire sw $n "port-$n"
		[ "$n" != a ] || ip -n "$(ns_of sw)" link add br0 type bridge
		ip -n "$(ns_of sw)" link set "port-$n" master br0 up
	done
	in_ns sw sh -c 'echo 0x4000 >/sys/class/net/br0/bridge/group_fwd_mask' 2>/dev/null ||
	    ip -n "$(ns_of sw)" link set br0 type bridge group_fwd_mask 0x4000
	ip -n "$(ns_of sw)" link set br0 up
}

heard() {
	ctl "$1" --json neighbours | jq -es "flatten | any(.name == \"$2\")" >/dev/null
}

heard_at() {
	ctl "$1" --json neighbours | jq -es "flatten | any(.name == \"$2\" and .address4 == \"$3\")" >/dev/null
}

# count ROLE CODE: how often a's daemon refused for this reason
count() {
	ctl a --json status | jq -rs "[flatten[] | select(.row == \"counter\" and .role == \"$1\" and (.reason.code | startswith(\"$2\"))) | .count] | add // 0"
}

counted() {
	[ "$(count "$1" "$2")" -gt 0 ]
}

moves() {	# transitions of peer $2 in the audit log of node $1
	ctl "$1" --json audit show | jq -s "[flatten[] | select(.kind == \"transition\" and .subject == \"$2\")] | length"
}

records() {
	ctl a --json audit show | jq -s 'flatten | length'
}

verdicts() {	# how many times node $1 judged $2
	ctl "$1" --json audit show | jq -s "[flatten[] | select(.kind == \"verdict\" and .subject == \"$2\")] | length"
}

more() {	# more NODE PEER THAN
	[ "$(verdicts "$1" "$2")" -gt "$3" ]
}

world_new
export NODE_BACKEND=soft NODE_VERBOSE=' '
authority "$W/acme" ACME
wire_all
address a 192.0.2.1/24
address b 192.0.2.2/24
address x 192.0.2.66/24
ip -n "$(ns_of x)" route add local 10.64.0.0/16 dev lo
ip -n "$(ns_of a)" route add 10.64.0.0/16 via 192.0.2.66
for n in a b; do
	node_new $n "$W/acme/root.pem"
done
printf '%s\n' 'ca "ACME" { server "192.0.2.1" }' 'listen enrol port 8443' \
    'limit enrol 64' 'request timeout 1 s' >>"$W/a/conf"
service a enrold "$O/bin/enrold -d -f $W/a/conf"
node_start a
node_start b
ok "a starts" await_ready a
ok "b starts" await_ready b
ok "a: identity installed" node_identity a "$W/acme"
ok "b: identity installed" node_identity b "$W/acme"
ok "a hears b" await 30 heard a b
ok "b hears a" await 30 heard b a
ok "a provisions b" ctl a provision b --identity "$(node_id b)"
ok "b provisions a" ctl b provision a --identity "$(node_id a)"
ok "a: Connected" await_peer a b connected Connected
ok "b: Connected" await_peer b a connected Connected
ok "a is an authority" ctl a ca init
# What follows a pairing has happened before anything is counted.
settled() {
	local m
	m=$(moves a b)
	pause
	[ "$(moves a b)" = "$m" ] && [ "$(peer_field a b job)" != true ]
}
await 30 settled
sizes before
declare -A rss
for r in $ROLES enrold; do
	rss[$r]=$(size_of "$r" Rss)
done
moved_a=$(moves a b)
moved_b=$(moves b a)
had=$(records)
from=$EPOCHREALTIME
ticks=$(ticks_all)

nsenter --net="/run/netns/$(ns_of x)" "$O/tools/flood" -i eth1 -A 192.0.2.1 \
    -b 10.64.0.1 -c 200 -n b -r "${RATE:-300}" -s "300" all >"$W/x.out" 2>&1 &
flood=$!
WORLD_PIDS="$WORLD_PIDS $flood"
nsenter --net="/run/netns/$(ns_of x)" "$O/tools/flood" -i eth1 -A 192.0.2.1 -p 8443 \
    -b 10.64.0.1 -c 200 -r "${RATE:-300}" -s "300" hello half stuck >"$W/y.out" 2>&1 &
service=$!
WORLD_PIDS="$WORLD_PIDS $service"
ok "the flood runs" await 10 grep -q floods "$W/x.out"
for c in LLD- TLS- NET-; do
	ok "netd counts $c" await 30 counted netd $c
done
ok "attestd -R counts what SPDM it refuses" await 30 counted attestd-r ATT-
ok "strangers have all the sessions that they may have" await 30 counted netd NET-008
old=$(verdicts a b)
ok "and all the places at enrold, which ends who is slow" await 30 counted enrold ENR-005
ok "a attests b anew meanwhile" ctl a provision b
ok "and has" await 30 more a b "$old"
old=$(verdicts b a)
ok "b attests a anew, through the flood" ctl b provision a
ok "and has" await 30 more b a "$old"
is "a: Connected" "$(peer_field a b connected)" Connected
is "b: Connected" "$(peer_field b a connected)" Connected
kill9 b netd
ok "b's connection is killed, and comes back through the flood" await_peer b a connected Connected 30
ok "at a as well" await_peer a b connected Connected 30
kill9 a netd
ok "a's is killed, and hears b among 64 forged stations" await 30 heard_at a b 192.0.2.2
ok "and is Connected again" await_peer a b connected Connected 30
ok "attested anew where it is, not where a forged name is" ctl a provision b
sizes flood
for r in $ROLES enrold; do
	grew=$(($(size_of "$r" Rss) - rss[$r]))
	case $r in
	# 256 connections of 32 half-open each with an SSL and a fibre: 3 MiB
	netd) most=12288 ;;
	# 48 sessions, each with buffers of 0x4800 and 0x1200 bytes: 4 MiB
	attestd-r) most=6144 ;;
	# 64 connections, each with an SSL, a fibre and its buffers
	enrold) most=8192 ;;
	*) most=4096 ;;
	esac
	if ldd "$O/bin/netd" | grep -qE 'asan|ubsan' || nm -D "$O/bin/netd" 2>/dev/null | grep -q __asan; then
		diag "$r grew by $grew KiB: the sanitizer's own"
	else
		ok "$r grew by $grew KiB, at most $most" [ $grew -le $most ]
	fi
done
ok "the flood has not ended before this" kill "$flood" "$service"
wait "$flood" "$service"
spent flood 1 "$from" "$ticks"
diag "$(cat "$W/x.out" "$W/y.out")"
answers() {
	in_ns a curl -sSk --max-time 10 --json '{"operation":"get_ca_chain"}' https://192.0.2.1:8443/ |
	    jq -e '.status == "ok"' >/dev/null
}
ok "enrold answers again" await 30 answers
ok "a's records of it are few: $(($(records) - had))" [ $(($(records) - had)) -le 60 ]
diag "moves of b at a: $(($(moves a b) - moved_a)), of a at b: $(($(moves b a) - moved_b))"
ok "a's audit log is whole" ctl a audit verify
node_stop a
node_stop b
ok "no sanitizer spoke" world_sanitized_clean
done_testing
