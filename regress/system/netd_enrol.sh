#!/bin/bash
# netd's doors to enrold: a connection on each listener reaches it, with its
# number and address; what is over makes room, what another said moves
# nothing; without enrold nobody is let in, and the peers' ports go on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
. "$(dirname "$0")/../tools/netdhub.sh"
need_root
need ip nsenter python3

world_new
wire a b
address a 192.0.2.1/24
address b 192.0.2.2/24
in_ns b ip addr add 192.0.2.3/24 dev eth1

netd_new a 'ca ACME' 'limit enrol 4' 'limit per-address 3' \
    'listen enrol port 8443' 'listen status port 8080'
hub_start a
netd_start a
result $? 'netd is ready without enrold'
client 1 192.0.2.2 192.0.2.1 8443
ok 'a connection is closed then' has 1 end
ok 'and counted: NET-016' hub_says a '^counter NET-016 1$'
hub link enrold
await 30 grep -q 'link to enrold' "$W/a/log/netd" >/dev/null

# ---- what is handed on
client 2 192.0.2.2 192.0.2.1 8443
ok 'a connection reaches enrold' has 2 netdhub
ok 'with its listener and address' hub_says a '^http 0 number [0-9]+ listener 0 from 192.0.2.2$'
client 3 192.0.2.2 192.0.2.1 8080
ok 'so does one on the next listener' has 3 netdhub
ok 'which is its number' hub_says a '^http 1 number [0-9]+ listener 1 from 192.0.2.2$'
client 4 192.0.2.2 192.0.2.1 8443
ok 'a third of one address' has 4 netdhub
client 5 192.0.2.2 192.0.2.1 8443
ok 'the fourth of one address is closed' has 5 end
ok 'and counted: NET-007' hub_says a '^counter NET-007 1$'
client 6 192.0.2.3 192.0.2.1 8443
ok 'another address has the last place: nothing is kept' has 6 netdhub
client 7 192.0.2.3 192.0.2.1 8443
ok 'the fifth in all is closed' has 7 end
ok 'and counted: NET-008' hub_says a '^counter NET-008 1$'

# ---- over
hub over 0
ok 'enrold closes one' has 2 end
client 8 192.0.2.3 192.0.2.1 8443
ok 'which makes room' has 8 netdhub
NUMBER=$(sed -n 's/^http 0 number \([0-9]*\) .*/\1/p' "$W/a/out")
hub over-number "$NUMBER"
ok 'its number, once more, is counted: NET-018' hub_says a '^counter NET-018 1$'
client 9 192.0.2.3 192.0.2.1 8443
ok 'and makes no room' has 9 end
hub over-number 4294967295
ok 'nor does one that nobody has' hub_says a '^counter NET-018 2$'
client 10 192.0.2.3 192.0.2.1 4194
ok 'the other ports have limits of their own' has 10 netdhub

# ---- enrold goes
hub unlink enrold
ok 'enrold goes' hub_says a '^closed enrold'
client 11 192.0.2.3 192.0.2.1 8443
ok 'nobody is let in' has 11 end
ok 'which is counted: NET-016' hub_says a '^counter NET-016 2$'
hub link enrold
await 30 grep -q 'link to enrold, generation 5' "$W/a/log/netd" >/dev/null
for i in 12 13 14; do
	client $i 192.0.2.2 192.0.2.1 8443
	ok "all were over: place for $i" has $i netdhub
done
ok 'what the last one had moves nothing now' hub over 2
hub_says a '^counter NET-018 3$'
result $? 'and is counted'
client 15 192.0.2.2 192.0.2.1 8443
ok 'so that the address still has all it may' has 15 end

# ---- enrold is gone for good
hub unlink enrold
hub_says a '^closed enrold'
client 16 192.0.2.3 192.0.2.1 4194
ok 'attestd is served on' has 16 netdhub

# ---- faster than they are taken
in_ns b python3 - <<-'EOP'
	import socket
	all = [socket.create_connection(("192.0.2.1", 8443)) for i in range(100)]
	for s in all:
	    try:
	        assert s.recv(10) == b""
	    except ConnectionError:
	        pass
EOP
result $? 'a hundred connections at once are all ended, sooner or later'
ok 'later, which is counted: NET-017' hub_says a '^counter NET-017 '
hub link enrold
await 30 grep -q 'link to enrold, generation 6' "$W/a/log/netd" >/dev/null
client 17 192.0.2.2 192.0.2.1 8443
ok 'and one after them is served' has 17 netdhub
netd_done a
