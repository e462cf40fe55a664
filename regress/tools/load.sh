# shellcheck shell=bash
# A node under load: a fleet or a flood beside it, and what that costs its
# daemons. Sourced after world.sh.
#
# Node a has 192.0.2.1, the other end of its cable, namespace f, 192.0.2.2 and
# all of 10.64.0.0/16, of which no address needs to be set.

FLEET_BASE=10.64.0.1

fleet_address() {	# of peer number $1
	echo "10.64.$((($1 + 1) / 256)).$((($1 + 1) % 256))"
}

# fleet_world N: a is ready to be started. Beyond 50 its times are those of
# provd.conf(5), not the short ones of other tests.
fleet_world() {
	local n=$1
	authority "$W/acme" ACME
	wire a f
	address a 192.0.2.1/24
	address f 192.0.2.2/24
	ip -n "$(ns_of f)" route add local 10.64.0.0/16 dev lo
	ip -n "$(ns_of a)" route add 10.64.0.0/16 via 192.0.2.2
	NODE_BACKEND=${NODE_BACKEND:-soft} NODE_VERBOSE=${NODE_VERBOSE:- } \
	    node_new a "$W/acme/root.pem"
	mkdir -p "$W/f"
	[ "$n" -le 50 ] || sed -i -e 's/^keepalive.*/keepalive 10 s/' \
	    -e 's/^silence.*/silence 30 s/' -e 's/^retry.*/retry 1 s to 60 s/' "$W/a/conf"
	{
		printf 'accept root "%s" serial "FLEET-*"\n' "$W/acme/root.pem"
		awk -v n="$n" 'BEGIN { for (i = 1; i <= n; i++)
			printf "peer \"p%d\" { address \"10.64.%d.%d\" }\n",
			    i, i / 256, i % 256 }'
	} >>"$W/a/conf"
}

# fleet_go N [OPTION...]: the peers start
fleet_go() {
	local n=$1
	shift
	nsenter --net="/run/netns/$(ns_of f)" "$O/tools/fleet" -n "$n" -b "$FLEET_BASE" \
	    -r "$W/acme/root.pem" -k "$W/acme/key.pem" "$@" >"$W/f/out" 2>&1 &
	FLEET_PID=$!
	WORLD_PIDS="$WORLD_PIDS $FLEET_PID"
	await 120 grep -q '^ready' "$W/f/out"
}

fleet_end() {
	kill "$FLEET_PID" 2>/dev/null
	wait "$FLEET_PID" 2>/dev/null
	diag "$(tail -n 1 "$W/f/out")"
}

milestone() {	# milestone WHAT: all of the fleet got there
	grep -q "^$1 " "$W/f/out"
}

connected_count() {
	ctl a --json peer list | jq -s 'flatten | map(select(.row == "peer" and .connected == "Connected")) | length'
}

all_connected() {
	[ "$(connected_count)" = "$1" ]
}

# ---- what it costs --------------------------------------------------------

# ticks_of ROLE: spent by this daemon of a, in hundredths of a second
ticks_of() {
	awk '{ print $14 + $15 }' "/proc/$(pid_of a "$1")/stat"
}

ticks_all() {	# pid:ticks of each
	local r
	for r in $ROLES; do
		echo "$(pid_of a "$r"):$(ticks_of "$r")"
	done | tr '\n' ' '
}

size_of() {	# size_of ROLE Rss|Pss, KiB
	awk -v k="$2:" '$1 == k { print $2 }' "/proc/$(pid_of a "$1")/smaps_rollup"
}

# sizes WHAT: resident and proportional memory of each daemon, in KiB
sizes() {
	local r sum=0
	for r in $ROLES; do
		diag "$1: $r rss $(size_of "$r" Rss) KiB pss $(size_of "$r" Pss) KiB"
		sum=$((sum + $(size_of "$r" Pss)))
	done
	diag "$1: all five pss $sum KiB"
}

# spent WHAT PEERS FROM TICKS: since EPOCHREALTIME was FROM and ticks_all TICKS;
# a daemon that was started since then counts from there.
spent() {
	local r i=0 now ms=$(((${EPOCHREALTIME/./} - ${3/./}) / 1000))
	local -a before after
	read -ra before <<<"$4"
	read -ra after <<<"$(ticks_all)"
	diag "$1: $ms ms, $((ms * 1000 / $2)) us a peer"
	for r in $ROLES; do
		[ "${after[i]%:*}" = "${before[i]%:*}" ] || before[i]=0
		now=$(((${after[i]#*:} - ${before[i]#*:}) * 10))
		diag "$1: $r cpu $now ms, $((now * 1000 / $2)) us a peer"
		i=$((i + 1))
	done
}
