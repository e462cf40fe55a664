#!/bin/bash
# netd alone, confined as ever: connections of strangers are counted, handed
# on or turned away; connections that policyd asks for have one end.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
. "$(dirname "$0")/../tools/netdhub.sh"
need_root
need ip nsenter python3 prlimit setpriv

world_new
wire a b
address a 192.0.2.1/24
address b 192.0.2.2/24
in_ns b ip addr add 192.0.2.3/24 dev eth1
in_ns a ip addr add 2001:db8::1/64 dev eth1 nodad
in_ns b ip addr add 2001:db8::2/64 dev eth1 nodad

server() {	# server ADDRESS PORT: accepts one connection in b
	: >"$W/server"
	nsenter --net="/run/netns/$(ns_of b)" python3 -u - "$1" "$2" \
	    >>"$W/server" <<-'EOP' &
	import socket, sys
	s = socket.create_server((sys.argv[1], int(sys.argv[2])),
	    family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
	print("listening")
	c, _ = s.accept()
	s.close()
	print(c.recv(100).decode(), end="")
	print("end")
	EOP
	WORLD_PIDS="$WORLD_PIDS $!"
	await 30 grep -q listening "$W/server" >/dev/null
}

netd_new a 'limit per-address 2' 'limit half-open 3' 'limit connections 20'
hub_start a
netd_start a
result $? 'netd starts, confined'

# ---- strangers who want to attest us
client 1 192.0.2.2 192.0.2.1 4194
ok 'a connection to the spdm port reaches attestd -R' has 1 netdhub
ok 'with the address it came from' hub_says a '^accepted 192.0.2.2$'
client 2 2001:db8::2 2001:db8::1 4194
ok 'so does one over IPv6, on the same listener' has 2 netdhub
ok 'with its address' hub_says a '^accepted 2001:db8::2$'
client 3 192.0.2.2 192.0.2.1 4194
ok 'a second session of one address is let in' has 3 netdhub
client 4 192.0.2.2 192.0.2.1 4194
ok 'the fourth in all is closed' has 4 end
nok 'and was not served' grep -q netdhub "$W/c4"
ok 'and counted: NET-008' hub_says a '^counter NET-008 1$'
hub answer
ok 'a session that attestd ends is over' has 1 end
hub answer
ok 'and the next' has 2 end
hub_says a '^answered'
client 5 192.0.2.2 192.0.2.1 4194
ok 'then there is room again' has 5 netdhub
client 6 192.0.2.2 192.0.2.1 4194
ok 'the third of one address is closed' has 6 end
nok 'and was not served' grep -q netdhub "$W/c6"
ok 'and counted: NET-007' hub_says a '^counter NET-007 1$'
client 7 192.0.2.3 192.0.2.1 4194
ok 'another address is let in meanwhile' has 7 netdhub

# ---- attestd -R goes and comes back
hub unlink attestd-r
client 8 192.0.2.3 192.0.2.1 4194
ok 'without attestd -R a connection is closed' has 8 end
ok 'and counted: NET-010' hub_says a '^counter NET-010 1$'
hub link attestd-r
await 30 grep -q 'link to attestd-r, generation 4' "$W/a/log/netd" >/dev/null
client 9 192.0.2.2 192.0.2.1 4194
ok 'the sessions of the old one are not counted any more' has 9 netdhub
client 10 192.0.2.2 192.0.2.1 4194
ok 'for this address neither' has 10 netdhub

# ---- connections that policyd asks for
server 192.0.2.2 4194
hub dial 1 192.0.2.2 4194
ok 'a job is dialled, and the descriptor is with attestd -Q' hub_says a '^descriptor 1$'
ok 'then policyd is told' hub_says a '^dialled 1$'
ok 'it is the connection' await 30 grep -q netdhub "$W/server"
server 2001:db8::2 4194
hub dial 2 2001:db8::2 4194
ok 'the same over IPv6' await 30 grep -q netdhub "$W/server"
L=$(in_ns b ip -6 -o addr show dev eth1 scope link | awk '{ sub("/.*", "", $4); print $4 }')
server :: 4195
hub dial 3 "$L" 4195
ok 'the same to a link-local address, on our interface' await 30 grep -q netdhub "$W/server"
server :: 4196
hub dial 4 "$L%eth1" 4196
ok 'which may be said' await 30 grep -q netdhub "$W/server"
hub dial 5 192.0.2.2 9
ok 'nobody listens: NET-002, and what was dialled' hub_says a '^refused 5 NET-002 192.0.2.2 port 9$'
hub dial 6 bmc-b 4194
ok 'a name: NET-001' hub_says a '^refused 6 NET-001 bmc-b port 4194$'
hub dial 7 198.51.100.1 4194
ok 'no route: NET-004' hub_says a '^refused 7 NET-004 '
hub unlink attestd-q
hub_says a '^closed attestd-q'
hub dial 8 192.0.2.2 4194
ok 'without attestd -Q: NET-009' hub_says a '^refused 8 NET-009 '

# ---- a stop, and what netd holds through it
: >"$W/a/out"
hub drop
ok 'netd outlives policyd' hub_says a '^hello again'
hub_says a '^ready'
client 11 192.0.2.3 192.0.2.1 4194
ok 'and serves on' has 11 netdhub

# ---- no descriptor is left
nofile() {	# netd may have so many descriptors
	setpriv --reuid=_netd --regid=_netd --clear-groups \
	    prlimit --pid "$(netd_pid a)" --nofile="$1:"
}
N=0
while [ -L "/proc/$(netd_pid a)/fd/$N" ]; do
	N=$((N + 1))
done
nofile "$N"
client 12 192.0.2.3 192.0.2.1 8090
ok 'without a descriptor to spare a connection is closed' has 12 end
ok 'and counted: NET-006' hub_says a '^counter NET-006 1$'
nofile 100
client 13 192.0.2.3 192.0.2.1 4194
ok 'and later ones are served' has 13 netdhub

netd_end a
result $? 'netd ends cleanly'

# ---- one address, which the interface gets later
echo 'listen address "192.0.2.50"' >>"$W/a/conf"
netd_start a
result $? 'netd listens on an address that is not there yet'
in_ns a ip addr add 192.0.2.50/24 dev eth1
client 14 192.0.2.2 192.0.2.50 4194
ok 'once it is there, it is served' has 14 netdhub
nok 'and no other is' in_ns b bash -c 'exec 3<>/dev/tcp/192.0.2.1/4194'
netd_done a
