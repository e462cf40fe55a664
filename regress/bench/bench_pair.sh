#!/bin/bash
# How long two nodes take, in milliseconds and seen from outside, by asking
# provctl over and over (some 20 ms): from nothing to Connected, from stopped
# to Connected, from a pulled cable to NotConnected and from a plugged one to
# Connected. Keys in software TPMs. The nodes hang on a switch: a cable that
# is pulled there takes the carrier of one and leaves the other to its silence.
. "$(dirname "$0")/lib.sh"

ROUNDS=${ROUNDS:-3}
[ "$(id -u)" -eq 0 ] || die "needs root"

both() {	# both WORD: is PeerConnected this at both?
	ctl a --json peer show b | grep -q "\"connected\": *\"$1\"" &&
	    ctl b --json peer show a | grep -q "\"connected\": *\"$1\""
}

one() {	# one NODE PEER WORD
	ctl "$1" --json peer show "$2" | grep -q "\"connected\": *\"$3\""
}

world_new
authority "$W/acme" ACME
for n in a b; do
	wire sw $n "port-$n"
	[ "$n" = b ] || ip -n "$(ns_of sw)" link add br0 type bridge
	ip -n "$(ns_of sw)" link set "port-$n" master br0 up
done
ip -n "$(ns_of sw)" link set br0 type bridge group_fwd_mask 0x4000
ip -n "$(ns_of sw)" link set br0 up
address a 192.0.2.1/24
address b 192.0.2.2/24

cold() {
	local n from
	rm -rf "${W:?}/a" "$W/b"
	for n in a b; do
		NODE_VERBOSE=' ' node_new $n "$W/acme/root.pem"
		echo "accept root \"$W/acme/root.pem\" serial \"SN-*\"" >>"$W/$n/conf"
	done
	echo 'peer "b" { address "192.0.2.2" }' >>"$W/a/conf"
	echo 'peer "a" { address "192.0.2.1" }' >>"$W/b/conf"
	from=$(clock)
	node_start a
	node_start b
	until_is 60 node_ready a
	until_is 60 node_ready b
	ready+=($(($(clock) - from)))
	for n in a b; do
		node_identity $n "$W/acme" >/dev/null || die "no identity"
	done
	ctl a provision b >/dev/null 2>&1 &
	until_is 60 both Connected
	wait $!
	cold+=($(($(clock) - from)))
}

warm() {
	local from
	node_stop a
	node_stop b
	from=$(clock)
	node_start a
	node_start b
	until_is 60 both Connected
	warm+=($(($(clock) - from)))
}

pull() {
	local from
	from=$(clock)
	ip -n "$(ns_of sw)" link set port-b down
	until_is 60 one b a NotConnected
	carrier+=($(($(clock) - from)))
	until_is 60 one a b NotConnected
	silence+=($(($(clock) - from)))
	from=$(clock)
	ip -n "$(ns_of sw)" link set port-b up
	until_is 60 both Connected
	back+=($(($(clock) - from)))
}

ready=() cold=() warm=() carrier=() silence=() back=()
for ((i = 0; i < ROUNDS; i++)); do
	cold
	warm
	pull
	[ $i -eq $((ROUNDS - 1)) ] || { node_stop a; node_stop b; }
done
line pair_cold_start_ready "$(middle "${ready[@]}")" ms
line pair_cold_start_connected "$(middle "${cold[@]}")" ms
line pair_warm_start_connected "$(middle "${warm[@]}")" ms
line pair_carrier_lost_notconnected "$(middle "${carrier[@]}")" ms
s=$(sed -n 's/^silence \([0-9]*\) s$/\1000/p' "$W/a/conf")
line pair_setting_silence "$s" ms
m=$(middle "${silence[@]}")
line pair_far_cable_notconnected "$m" ms "$(awk "BEGIN { printf \"%.2f\", $m / $s }")"
line pair_setting_retry_max "$(sed -n 's/^retry .* to \([0-9]*\) s$/\1000/p' "$W/a/conf")" ms
line pair_cable_back_connected "$(middle "${back[@]}")" ms
