#!/bin/bash
# Debian's lldpd hears netd and netd hears it: names, addresses, changes,
# goodbyes, time to live (IEEE 802.1AB-2016). A cable of our own only.
. "$(dirname "$0")/../system/lib.sh"
. "$(dirname "$0")/../system/world.sh"
. "$(dirname "$0")/../tools/netdhub.sh"
need_root
need ip nsenter lldpd lldpcli python3
cd "$TOP" || exit 1

world_new
wire a b
address a 192.0.2.1/24
address b 192.0.2.2/24
in_ns a ip addr add 2001:db8::1/64 dev eth1 nodad
in_ns b ip addr add 2001:db8::2/64 dev eth1 nodad
mkdir -p /run/lldpd

lldpd_start() {
	nsenter --net="/run/netns/$(ns_of b)" lldpd -d -u "$W/lldpd.sock" \
	    -I eth1 >>"$W/lldpd.log" 2>&1 &
	LLDPD=$!
	await 30 test -S "$W/lldpd.sock" >/dev/null
	lldpd_name switch-b
	lldp configure lldp tx-interval 1
	lldp configure lldp tx-hold 3
}

# A daemon that has just started may forget a name that it took.
named() {
	lldpcli -u "$W/lldpd.sock" configure system hostname "$1" >/dev/null &&
	    lldpcli -u "$W/lldpd.sock" show chassis | grep -q "SysName: *$1\$"
}

lldpd_name() {
	await 30 named "$1" >/dev/null
	lldp update
}

lldpd_end() {
	kill "-$1" "$LLDPD"
	wait "$LLDPD" 2>/dev/null
	rm -f "$W/lldpd.sock"
}

lldp() {
	await 30 lldpcli -u "$W/lldpd.sock" "$@" >/dev/null
}

# What lldpd knows of us, a line a fact: lldp.eth1.chassis.name=bmc-a
seen() {
	lldpcli -u "$W/lldpd.sock" -f keyvalue show neighbors details
}

sees() {	# sees REGEX
	seen | grep -qE -- "$1"
}

sees_nobody() {
	[ -z "$(seen)" ]
}

# An interval that is longer than this test: what is prompt is not luck.
netd_new a 'lldp interval 60 s hold 4'
hub_start a
netd_start a
result $? 'netd starts, confined'
lldpd_start

# ---- both hear each other
ok 'lldpd hears our system name' await 30 sees '^lldp.eth1.chassis.name=a$'
S=$(seen)
like 'and our chassis, a MAC address' "$S" \
    "^lldp.eth1.chassis.mac=$(in_ns a cat /sys/class/net/eth1/address 2>/dev/null || in_ns a ip -br link show eth1 | awk '{print $3}')$"
like 'and our port, an interface name' "$S" '^lldp.eth1.port.ifname=eth1$'
like 'and our time to live: four intervals and a second' "$S" '^lldp.eth1.port.ttl=241$'
like 'and our IPv4 address' "$S" '^lldp.eth1.chassis.mgmt-ip=192.0.2.1$'
like 'and our IPv6 address' "$S" '^lldp.eth1.chassis.mgmt-ip=2001:db8::1$'
like 'and that we are a station' "$S" '^lldp.eth1.chassis.Station.enabled=on$'
unlike 'and nothing else' "$S" '^lldp.eth1.chassis.(Bridge|Router|Wlan).enabled=on$'
ok 'we hear the name and both addresses of lldpd' \
    hub_says a '^neighbour [0-9]+ .*name switch-b address 192.0.2.2 2001:db8::2$'

# ---- changes, at once
hub name bmc-new
ok 'a new name is announced at once' await 30 sees '^lldp.eth1.chassis.name=bmc-new$'
in_ns a ip addr add 192.0.2.101/24 dev eth1
ok 'so is a new address' await 30 sees '^lldp.eth1.chassis.mgmt-ip=192.0.2.101$'
lldpd_name switch-c
ok 'a new name of theirs is told' hub_says a '^neighbour .*name switch-c '

# ---- the hub goes and comes back
: >"$W/a/out"
hub drop
ok 'netd outlives policyd and greets the next one' hub_says a '^hello again'
ok 'and tells every neighbour again' hub_says a '^neighbour .*name switch-c '
ok 'and that these are all' hub_says a '^neighbours-end'

# ---- the cable
cable a down
ok 'a cable that is pulled is noticed' await 30 grep -q 'eth1 is down' "$W/a/log/netd"
cable a up
ok 'and when it is back' await 30 grep -q 'eth1 is up' "$W/a/log/netd"
: >"$W/a/out"
ip -n "$(ns_of a)" link del eth1
ok 'an interface that goes is noticed' await 30 grep -q 'eth1 is gone' "$W/a/log/netd"
lldpd_end TERM
wire a b
address a 192.0.2.1/24
address b 192.0.2.2/24
lldpd_start
lldpd_name switch-d
ok 'on the interface that came back, we hear' hub_says a '^neighbour .*name switch-d '
ok 'and are heard' await 30 sees '^lldp.eth1.chassis.name=bmc-new$'

# ---- goodbyes
netd_end a
result $? 'netd ends cleanly'
ok 'lldpd forgets us at our shutdown frame' await 30 sees_nobody
lldpd_end TERM
ip -n "$(ns_of a)" link del eth1
netd_start a
result $? 'netd starts without its interface'
wire a b
address a 192.0.2.1/24
address b 192.0.2.2/24
lldpd_start
ok 'and is heard when it comes' await 30 sees '^lldp.eth1.chassis.name=a$'
ok 'with its address' await 30 sees '^lldp.eth1.chassis.mgmt-ip=192.0.2.1$'
ok 'and hears' hub_says a '^neighbour .*name switch-b '
lldpd_end TERM
ok 'their shutdown frame removes them' hub_says a '^gone '

# ---- time to live
: >"$W/a/out"
lldpd_start
ok 'they are there again' hub_says a '^neighbour .*name switch-b .*'
# the last frame gives 3 s, three intervals of one second
pkill -KILL -P "$LLDPD" 2>/dev/null
lldpd_end KILL
ok 'who falls silent goes when the time to live is over' hub_says a '^gone '

# ---- other things on the cable
frame_send b eth1 regress/data/lldp/tlv_past_end.hex
ok 'a TLV past the end is refused and counted' hub_says a '^counter LLD-001 1$'
frame_send b eth1 regress/data/lldp/name_twice.hex
ok 'so is a second system name' hub_says a '^counter LLD-003 1$'
frame_send b eth1 regress/data/lldp/name_control.hex
ok 'a name with control characters is left out' \
    hub_says a '^neighbour .* port 5 65746831 ttl 121 name  address - -$'
: >"$W/a/out"
wire a c eth2
ip -n "$(ns_of a)" link set eth2 up
ip -n "$(ns_of c)" link set eth1 up
frame_send c eth1 regress/data/lldp/shutdown.hex
frame_send b eth1 regress/data/lldp/utf8_name.hex
ok 'a frame of our interface is heard' hub_says a 'name bmc-ä-漢-😀 '
nok 'and one of another interface is not' hub_said a '^gone '

# ---- where another daemon of this machine speaks LLDP
packet_sockets() {	# of the namespace: netd's is the only one there
	in_ns a tail -n +2 /proc/net/packet | wc -l
}
is 'a socket for frames is open' "$(packet_sockets)" 1
netd_end a
printf '%s\n' "dbus socket \"$W/bus\"" 'neighbours from dbus' >>"$W/a/conf"
netd_start a
result $? 'netd starts where neighbours come from D-Bus'
ok 'says that it knows no neighbour' hub_says a '^neighbours-end'
is 'and has no socket to hear or to send with' "$(packet_sockets)" 0

netd_done a
