#!/bin/bash
# Two nodes that dial each other end with one connection, the one that the
# lower node id dialled; and whoever lost his end without a word gets a new
# one at once, however long the other's patience is.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
. "$(dirname "$0")/../tools/netdhub.sh"
. "$(dirname "$0")/../tools/certs.sh"
need_root
need ip nsenter openssl ss
cd "$TOP" || exit 1

ID_A=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
ID_B=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
PATIENCE='300 3600000'		# ms: pings, silence

world_new
wire a b
address a 192.0.2.1/24
address b 192.0.2.2/24
certs_new
cert_ca A
cert_ca B
cert_leaf A a "$(urn $ID_A)"
cert_leaf B b "$(urn $ID_B)"

declare -A HUBS
on() {		# on NODE COMMAND...
	local HUB=${HUBS[$1]}
	shift
	hub "$@"
}

new() {		# new NODE
	netd_new "$1" 'lldp interval 60 s hold 4' 'retry 20 ms to 100 ms'
	hub_start "$1"
	HUBS[$1]=$HUB
	start "$1"
}

start() {	# start NODE: netd, confined, knowing itself
	netd_start "$1"
	case $1 in
	a) on a identity $ID_A "$W/c/a.key" "$W/c/a.pem" ;;
	b) on b identity $ID_B "$W/c/b.key" "$W/c/b.pem" ;;
	esac
}

peers() {	# peers NODE: it learns of the other
	case $1 in
	a) on a "peer 1 $ID_B 192.0.2.2 8090 0 $PATIENCE $W/c/B.pem" ;;
	b) on b "peer 1 $ID_A 192.0.2.1 8090 0 $PATIENCE $W/c/A.pem" ;;
	esac
}

# The node's established connections: "dialled" or "accepted", a line each.
connections() {
	in_ns "$1" ss -Htn state established '( sport = :8090 or dport = :8090 )' |
	    awk '{ print $4 ~ /:8090$/ ? "dialled" : "accepted" }'
}

one_connection() {	# one_connection NODE HOW
	[ "$(connections "$1")" = "$2" ]
}

one_each() {
	[ "$(connections a | wc -l)" -eq 1 ] &&
	    [ "$(connections b | wc -l)" -eq 1 ]
}

settled() {		# the lower one dialled the only one
	await 30 one_connection a dialled && await 30 one_connection b accepted
}

last_state() {		# last_state NODE STATE: what it told last
	[ "$(sed -n 's/^peer 1 state \([0-9]\).*/\1/p' "$W/$1/out" |
	    tail -n 1)" = "$2" ]
}

both_connected() {
	await 30 last_state a 2 && await 30 last_state b 2
}

# Both handshakes are under way before either may complete.
new a
new b
on a sign hold
on b sign hold
peers a
peers b
ok 'b dials a' hub_says a '^sign '
ok 'a dials b' hub_says b '^sign '
on a sign go
on b sign go
ok 'both are connected' both_connected
ok 'by one connection, which the lower one dialled' settled
ok 'there had been two' grep -q 'second connection ends' "$W/a/log/netd" \
    "$W/b/log/netd"
unlike 'neither saw it flicker: a' "$(cat "$W/a/out")" '^peer 1 state 0 TLS-024'
unlike 'neither saw it flicker: b' "$(cat "$W/b/out")" '^peer 1 state 0 TLS-024'

: >"$W/a/out"
netd_end b KILL
ok 'b is killed: a hears of it' hub_says a '^peer 1 state 0 TLS-02'
start b
peers b
ok 'b is back: both are connected' both_connected
ok 'by one connection' await 30 one_each

# b's end goes, and no packet of it arrives.
in_ns b ip addr del 192.0.2.2/24 dev eth1
: >"$W/a/out"
: >"$W/b/out"
netd_end b KILL
in_ns b ip addr add 192.0.2.2/24 dev eth1
start b
peers b
ok 'b lost its end unheard: it dials, and a takes the new one' both_connected
ok 'the dead one is gone' await 30 one_each

for n in a b; do
	netd_end "$n"
	is "$n ends cleanly" $? 0
	HUB=${HUBS[$n]}
	hub_end "$n"
done
done_testing || { netd_logs a; netd_logs b; }
