# shellcheck shell=bash
# One netd, with netdhub in place of policyd, keyd and attestd. Sourced after
# lib.sh and world.sh, whose namespaces it uses.

# netd_new NODE LINE...: a configuration, with these lines more
netd_new() {
	local n=$1 d=$W/$1
	shift
	mkdir -p "$d/run/netd" "$d/state" "$d/log"
	chmod 755 "$d" "$d/run" "$d/run/netd" "$d/state"
	mkfifo "$d/in"
	{
		printf 'node "%s" interface "eth1"\n' "$n"
		printf 'run directory "%s/run"\nstate directory "%s/state"\n' "$d" "$d"
		printf '%s\n' 'key backend soft' "$@"
	} >"$d/conf"
}

hub_start() {	# hub_start NODE
	local d=$W/$1
	: >"$d/out"
	"$O/tools/netdhub" "$d/run/netd/hub.sock" <"$d/in" >>"$d/out" 2>>"$d/log/hub" &
	echo $! >"$d/hub.pid"
	exec {HUB}>"$d/in"
	hub_says "$1" '^listening'
}

netd_start() {	# netd_start NODE: and wait until it is ready
	local d=$W/$1
	: >"$d/out"
	nsenter --net="/run/netns/$(ns_of "$1")" "$O/bin/netd" -d -v \
	    -f "$d/conf" >>"$d/log/netd" 2>&1 &
	echo $! >"$d/netd.pid"
	hub_says "$1" '^ready'
}

netd_pid() {
	cat "$W/$1/netd.pid"
}

netd_end() {	# netd_end NODE [SIGNAL]: its exit status
	local p
	p=$(netd_pid "$1")
	kill "-${2:-TERM}" "$p"
	wait "$p"
}

hub() {		# hub COMMAND: of netdhub
	echo "$*" >&"$HUB"
}

hub_end() {
	hub quit
	wait "$(cat "$W/$1/hub.pid")"
}

hub_said() {	# hub_said NODE REGEX
	grep -qE -- "$2" "$W/$1/out"
}

# hub_says NODE REGEX [SECONDS]: wait until it did
hub_says() {
	await "${3:-30}" hub_said "$1" "$2" >/dev/null
}

# client N FROM TO PORT: from node b; what it read, then "end", goes to $W/cN
client() {
	: >"$W/c$1"
	nsenter --net="/run/netns/$(ns_of b)" python3 -u - "$2" "$3" "$4" \
	    >"$W/c$1" <<-'EOP' &
	import socket, sys
	s = socket.create_connection((sys.argv[2], int(sys.argv[3])),
	    source_address=(sys.argv[1], 0))
	try:
	    while True:
	        b = s.recv(100)
	        if not b:
	            break
	        print(b.decode(), end="")
	except ConnectionError:
	    pass
	print("end")
	EOP
	WORLD_PIDS="$WORLD_PIDS $!"
}

has() {		# has N TEXT: client N read this
	await 30 grep -q "$2" "$W/c$1" >/dev/null
}

# netd_done NODE: the end of a test
netd_done() {
	netd_end "$1"
	is 'netd ends cleanly' $? 0
	hub_end "$1"
	is 'the hub had no complaint' $? 0
	nok 'nor had a sanitizer' grep -nE 'Sanitizer|runtime error:' "$W/$1"/log/*
	done_testing || netd_logs "$1"
}

# netd_logs NODE: for a failed test
netd_logs() {
	diag "$(tail -n 20 "$W/$1/out" "$W/$1"/log/*)"
}

# frame_send NODE INTERFACE FILE.hex: an LLDPDU to the nearest bridge
frame_send() {
	in_ns "$1" python3 - "$2" "$3" <<-'EOF'
	import socket, sys
	pdu = bytes.fromhex(open(sys.argv[2]).read())
	s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	s.bind((sys.argv[1], 0))
	s.send(bytes.fromhex("0180c200000e02000000000188cc") + pdu)
	EOF
}
