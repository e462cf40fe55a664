#!/bin/bash
# The peer channel of one confined netd: with a peer that plays OpenBMC's
# daemon at the other end, as client and as server; whose certificate is
# refused and why; what a slow or lost keyd, policyd, cable or peer does.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
. "$(dirname "$0")/../tools/netdhub.sh"
. "$(dirname "$0")/../tools/certs.sh"
need_root
need ip nsenter openssl
cd "$TOP" || exit 1

ID_A=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
ID_B=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
ID_C=cccccccccccccccccccccccccccccccccccccccc

world_new
wire a b
address a 192.0.2.1/24
address b 192.0.2.2/24
certs_new
cert_ca A; cert_ca B; cert_ca B2; cert_ca C; cert_ca X
cert_leaf A a "$(urn $ID_A)"
cert_leaf A a2 "$(urn $ID_A)"
cert_leaf B b "$(urn $ID_B)"
cert_leaf B2 b-b2 "$(urn $ID_B)"		# B after a new CA
cert_leaf C c "$(urn $ID_C)"
cert_leaf C b-by-c "$(urn $ID_B)"		# C's CA speaks for B
cert_leaf X b-by-x "$(urn $ID_B)"		# a stranger's CA does
cert_leaf B unknown "$(urn dddddddddddddddddddddddddddddddddddddddd)"
cert_leaf B none 'DNS:bmc-b'
cert_leaf B two "$(urn $ID_B),$(urn $ID_C)"
cert_leaf B form 'URI:https://bmc-b/'
cert_leaf B b-client "$(urn $ID_B)" clientAuth
cert_leaf B b-server "$(urn $ID_B)" serverAuth
cert_leaf B b-code "$(urn $ID_B)" codeSigning

netd_new a 'lldp interval 60 s hold 4' 'retry 20 ms to 100 ms' \
    'handshake timeout 3 s'
hub_start a
netd_start a
result $? 'netd starts, confined'

PEER=
peer_start() {	# peer_start [OPTION...] server|client LEAF: what B runs
	local opts=() to=192.0.2.1
	while [[ $1 = -* ]]; do
		opts+=("$1")
		shift
	done
	[ "$1" = server ] && to=192.0.2.2
	: >"$W/peer"
	# Not in_ns: the pid of a function is its shell's.
	nsenter --net="/run/netns/$(ns_of b)" "$O/tools/bmcpeer" "${opts[@]}" "$1" "$to" 8090 \
	    "$W/c/$2.pem" "$W/c/$2.key" "$W/c/A.pem" <>"$W/never" \
	    >"$W/peer" 2>&1 &
	PEER=$!
	[ "$1" = client ] || await 30 grep -q '^listening' "$W/peer"
}

peer_end() {
	[ -z "$PEER" ] || kill "$PEER" 2>/dev/null
	[ -z "$PEER" ] || wait "$PEER" 2>/dev/null
	PEER=
}

peer_says() {
	await 30 grep -qE -- "$1" "$W/peer"
}

mark() {	# what the hub said from now on counts
	: >"$W/a/out"
}

B_ADDR=192.0.2.2
peer_set() {	# peer_set [SHIFT [ANCHOR...]]: B, to be dialled at B_ADDR
	local shift=${1:-0}
	shift
	hub peer 1 $ID_B $B_ADDR 8090 "$shift" 200 2000 "${@:-$W/c/B.pem}"
}

# refused_in DESC LEAF CODE: B dials with this leaf
refused_in() {
	mark
	peer_start client "$2"
	ok "$1: refused with $3" hub_says a "^counter $3 "
	ok "$1: the other side sees an alert" peer_says '^(closed|failed) .*alert'
	nok "$1: no alive is given" grep -q 'received alive' "$W/peer"
	nok "$1: nothing is told about the peer" hub_said a '^peer 1 state [12]'
	peer_end
}

# refused_out DESC LEAF CODE: B is dialled and answers with this leaf
refused_out() {
	mark
	peer_start server "$2"
	peer_set
	ok "$1: dialled, refused with $3" hub_says a "^peer 1 state 0 $3 "
	nok "$1: no Hello is given" grep -q 'received Hello' "$W/peer"
	peer_end
	hub forget 1
}

# ---- OpenBMC's daemon at the other end
peer_start server b
peer_set
hub identity $ID_A "$W/c/a.key" "$W/c/a.pem"
ok 'as client: connected' hub_says a '^peer 1 state 2 OK dialled 1 at 192.0.2.2'
ok 'as client: it hears Hello' peer_says '^received Hello$'
ok 'as client: it is pinged' peer_says '^received ping$'
like 'TLS 1.3' "$(cat "$W/peer")" '^connected TLSv1.3'
mark
peer_end
ok 'it ends: not connected, with a reason' hub_says a '^peer 1 state 0 (TLS-02[01]|NET-)'
mark
peer_start server b
ok 'it is back: connected again' hub_says a '^peer 1 state 2'
peer_end
hub forget 1
B_ADDR=-
mark
peer_set
peer_start client b
ok 'as server: connected' hub_says a '^peer 1 state 2 OK dialled 0 at 192.0.2.2'
ok 'as server: Hello is answered' peer_says '^received alive$'
ok 'a client that never pings is silent' hub_says a '^peer 1 state 0 TLS-019 '
peer_end
mark
peer_start -p100 client b
ok 'a client that pings' hub_says a '^peer 1 state 2'
await 30 sh -c "[ \$(grep -c '^received alive' $W/peer) -ge 30 ]"
result $? 'each ping is answered'
nok 'and its silence never counts' hub_said a '^peer 1 state 0 '
peer_end
hub_says a '^peer 1 state 0 '
# Its own words, and then no end of others.
mkfifo "$W/talk"
mark
nsenter --net="/run/netns/$(ns_of b)" "$O/tools/bmcpeer" client 192.0.2.1 8090 \
    "$W/c/b.pem" "$W/c/b.key" "$W/c/A.pem" <>"$W/talk" >"$W/peer" 2>&1 &
PEER=$!
ok 'it is connected' hub_says a '^peer 1 state 2'
printf 'x%.0s' {1..900} >"$W/talk"
await 30 sh -c "[ \$(grep -c '^received alive' $W/peer) -ge 2 ]"
result $? 'a little of it is borne, and answered'
nok 'and is no end' hub_said a '^peer 1 state 0 '
printf 'x%.0s' {1..900} >"$W/talk"
ok 'a client that babbles is cut off: TLS-022' hub_says a '^peer 1 state 0 TLS-022 '
peer_end

# ---- who is refused, dialling us
refused_in 'no identity' none TLS-001
refused_in 'two identities' two TLS-002
refused_in 'not an identity' form TLS-003
refused_in 'unknown node' unknown TLS-004
refused_in "a stranger's CA" b-by-x TLS-006
refused_in 'server leaf as client' b-server TLS-010
refused_in 'no TLS leaf' b-code TLS-010
refused_in 'a peer that is not listed' c TLS-004
hub peer 2 $ID_C - 0 0 200 2000 "$W/c/C.pem"
refused_in "C's anchor with B's URI" b-by-c TLS-007
mark
peer_start -2 client b
ok 'TLS 1.2: refused' hub_says a '^counter TLS-016 '
peer_end

# ---- the peer's clock
mark
peer_set -864000
peer_start client b
ok 'its leaf is not valid yet by its clock: told' hub_says a \
    '^peer 1 state 0 TLS-009 dialled 0 at .*: notBefore '
peer_end
mark
peer_set 8640000
peer_start client b
ok 'its leaf has expired by its clock: told' hub_says a \
    '^peer 1 state 0 TLS-008 dialled 0 at .*: notAfter '
peer_end
hub forget 1

# ---- who is refused, dialled by us
B_ADDR=192.0.2.2
refused_out 'no identity' none TLS-001
refused_out 'two identities' two TLS-002
refused_out 'not an identity' form TLS-003
refused_out 'another peer answers' c TLS-005
refused_out "a stranger's CA" b-by-x TLS-006
refused_out "C's anchor with B's URI" b-by-c TLS-007
refused_out 'client leaf as server' b-client TLS-010
mark
peer_start -2 server b
peer_set
ok 'TLS 1.2: refused' hub_says a '^peer 1 state 0 TLS-016 '
peer_end

# ---- what policyd says holds at once
mark
peer_start server b
ok 'connected' hub_says a '^peer 1 state 2'
mark
hub identity $ID_A "$W/c/a2.key" "$W/c/a2.pem"
peer_set 0 "$W/c/B.pem" "$W/c/B2.pem"		# a rollover begins
hub_says a '^sign never' 1
nok 'a renewed leaf and a second anchor leave the connection' \
    hub_said a '^peer 1 state [01]'
mark
peer_set 0 "$W/c/B2.pem"
ok 'an anchor that did not issue its leaf closes it' peer_says '^closed '
peer_end
peer_start server b-b2
ok 'and the new one connects' hub_says a '^peer 1 state 2'
mark
peer_set 0 -
ok 'an empty anchor closes it' hub_says a '^peer 1 state 0 TLS-025 '
ok 'at once' peer_says '^closed '
peer_end
mark
peer_start client b-b2
ok 'and it is unknown now' hub_says a '^counter TLS-004 '
peer_end
peer_set
peer_start server b
ok 'enabled again' hub_says a '^peer 1 state 2'
mark
hub forget 1
ok 'dropped: closed' peer_says '^closed '
peer_end

# ---- keyd is slow, refuses, goes
mark
hub sign hold
peer_start server b
peer_set
ok 'a signature is asked for' hub_says a '^sign 3 0403 1(30|46)'
hub forget 1
ok 'dropped while it is pending' peer_says '^failed '
hub sign go
peer_end
mark
hub sign refuse
peer_start server b
peer_set
ok 'keyd refuses: its reason' hub_says a '^peer 1 state 0 IPC-009 .*: signature'
mark
hub unlink keyd
ok 'no keyd: a reason' hub_says a '^peer 1 state 0 IPC-0(01|16) '
hub sign go
hub link keyd
ok 'keyd is back: connected' hub_says a '^peer 1 state 2'

# ---- the cable
mark
cable a down
ok 'cable out: not connected, at once' hub_says a '^peer 1 state 0 TLS-032 '
cable a up
ok 'cable in: connected' hub_says a '^peer 1 state 2'

# ---- another cable is not that one's business
wire a c eth2
address a 198.51.100.1/24 eth2
address c 198.51.100.2/24
nsenter --net="/run/netns/$(ns_of c)" "$O/tools/bmcpeer" server 198.51.100.2 8090 \
    "$W/c/c.pem" "$W/c/c.key" "$W/c/A.pem" <>"$W/never" >"$W/peer2" 2>&1 &
PEER2=$!
await 30 grep -q '^listening' "$W/peer2" >/dev/null
hub peer 2 $ID_C 198.51.100.2 8090 0 200 2000 "$W/c/C.pem"
ok 'a peer behind another interface: connected' hub_says a '^peer 2 state 2'
mark
cable a down
ok 'cable out: one peer is cut off' hub_says a '^peer 1 state 0 TLS-032 '
cable a up
ok 'cable in: connected' hub_says a '^peer 1 state 2'
nok 'the other one never was' hub_said a '^peer 2 '
kill "$PEER2"
wait "$PEER2" 2>/dev/null
hub forget 2

# ---- policyd goes: the connection stays
N=$(grep -c '^connected' "$W/peer")
mark
hub drop
ok 'policyd is back and hears every state' hub_says a '^peer 1 state 2'
nok 'the connection was never gone' hub_said a '^peer 1 state [01]'
is 'it is the same one' "$(grep -c '^connected' "$W/peer")" "$N"
mark
hub end
ok 'what was not named goes' peer_says '^closed '
peer_end

# ---- strangers that open and wait
mark
in_ns b bash -c 'exec 3<>/dev/tcp/192.0.2.1/8090; cat <&3 >/dev/null' &
WORLD_PIDS="$WORLD_PIDS $!"
ok 'a handshake that does not begin is ended' hub_says a '^counter TLS-018 '

netd_done a
