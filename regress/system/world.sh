# shellcheck shell=bash
# BMCs in network namespaces, each with a software TPM and the five daemons
# under runsv; a node of the certificate service has enrold, too (enrol.sh), one
# with a message bus dbus-daemon and busd (bus).
# Sourced by system tests (after lib.sh) and by the demo.
#
# A node NAME lives in $W/NAME:
#   conf      its provd.conf            run/ state/   its directories
#   service/  runsv's directories       log/ROLE      what a daemon said
#   exits/ROLE  one line each time the daemon ended: exit status, signal
#   bus/      the socket and the configuration of its message bus
#
# Everything here is torn down by world_end, which an EXIT trap calls.

ROLES="policyd keyd netd attestd-q attestd-r"
WORLD_NS=
WORLD_PIDS=
AS=
export PATH=/usr/sbin:/sbin:$PATH

world_new() {
	workdir
	users
	trap world_end EXIT
}

world_end() {
	local n p
	trap - EXIT INT TERM
	for n in "$W"/*/service; do
		[ -d "$n" ] && node_stop "$(basename "$(dirname "$n")")"
	done
	for p in $WORLD_PIDS; do
		kill "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	for n in $WORLD_NS; do
		ip netns del "$n" 2>/dev/null
	done
	[ -n "$W" ] && rm -rf "$W"
	W=
}

ns_of() {
	echo "provd-$$-$1"
}

# wire NODE NODE [INTERFACE-OF-THE-FIRST]: a namespace each, a cable between
wire() {
	local a=$1 b=$2 n
	for n in "$a" "$b"; do
		if [ ! -e "/run/netns/$(ns_of "$n")" ]; then
			ip netns add "$(ns_of "$n")"
			WORLD_NS="$WORLD_NS $(ns_of "$n")"
			ip -n "$(ns_of "$n")" link set lo up
		fi
	done
	ip link add "${3:-eth1}" netns "$(ns_of "$a")" type veth \
	    peer name eth1 netns "$(ns_of "$b")"
}

# address NODE ADDRESS/LEN [INTERFACE]
address() {
	ip -n "$(ns_of "$1")" addr add "$2" dev "${3:-eth1}"
	ip -n "$(ns_of "$1")" link set "${3:-eth1}" up
}

cable() {	# cable NODE up|down
	ip -n "$(ns_of "$1")" link set eth1 "$2"
}

# in_ns NODE CMD...: exec, so that the pid is the command's
in_ns() {
	local n=$1
	shift
	nsenter --net="/run/netns/$(ns_of "$n")" "$@"
}

# authority DIR NAME: a manufacturer's root
authority() {
	mkdir -p "$1"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	    -keyout "$1/key.pem" -out "$1/root.pem" -days 3650 \
	    -subj "/O=$2/CN=$2 Root CA" \
	    -addext 'basicConstraints=critical,CA:TRUE' \
	    -addext 'keyUsage=critical,keyCertSign,cRLSign' 2>/dev/null
}

# device_certificate AUTHORITY CSR OUT [EXTRA OPENSSL ARGUMENTS]: chain, leaf first
device_certificate() {
	local ca=$1 csr=$2 out=$3
	shift 3
	cat >"$out.ext" <<-EOF
	basicConstraints=critical,CA:FALSE
	keyUsage=critical,digitalSignature
	extendedKeyUsage=1.3.6.1.4.1.412.274.3,1.3.6.1.4.1.412.274.4
	subjectKeyIdentifier=hash
	authorityKeyIdentifier=keyid
	EOF
	openssl x509 -req -in "$csr" -CA "$ca/root.pem" -CAkey "$ca/key.pem" \
	    -days 3650 -extfile "$out.ext" "$@" -out "$out.leaf" 2>/dev/null &&
	    cat "$out.leaf" "$ca/root.pem" >"$out"
	rm -f "$out.ext" "$out.leaf"
}

# pair_wire: a maker, and a and b on a cable
pair_wire() {
	authority "$W/acme" ACME
	wire a b
	address a 192.0.2.1/24
	address b 192.0.2.2/24
}

# pair_start: a and b run and have the maker's certificates; four checks
pair_start() {
	local n
	node_start a
	node_start b
	for n in a b; do
		ok "$n is ready" await_ready $n 120
	done
	for n in a b; do
		ok "$n: identity" node_identity $n "$W/acme"
	done
}

# node_new NAME ROOT.PEM: directories, TPM, services (down); then add peers to
# $W/NAME/conf. NODE_BACKEND chooses tpm (the default), sealed or soft.
node_new() {
	local n=$1 root=$2 d=$W/$1 backend=${NODE_BACKEND:-tpm} r
	mkdir -p "$d/run" "$d/state" "$d/tpm" "$d/service" "$d/log" "$d/exits"
	chmod 755 "$d" "$d/run" "$d/state" "$d/service"
	echo "00000000-0000-4000-8000-$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')" >"$d/boot_id"
	echo "firmware of $n, version 1" >"$d/firmware"
	case $backend in
	soft) backend='soft' ;;
	*) backend="$backend \"unix:$d/tpm/sock\"" ;;
	esac
	cat >"$d/conf" <<-EOF
	node "$n" interface "eth1"
	run directory "$d/run"
	state directory "$d/state"
	key backend $backend
	listen mtls port 8090
	listen spdm port 4194
	boot id "$d/boot_id"
	measure file "$d/firmware"
	accept root "$root"
	lldp interval 1 s
	keepalive 1 s
	silence 10 s
	retry 100 ms to 1 s
	EOF
	[ "${NODE_BACKEND:-tpm}" = soft ] || service "$n" tpm \
	    "swtpm socket --tpm2 --tpmstate dir=$d/tpm --server type=unixio,path=$d/tpm/sock --flags startup-clear,not-need-init"
	for r in $ROLES; do
		case $r in
		attestd-q) service "$n" $r "$O/bin/attestd -Q -d ${NODE_VERBOSE:--v} -f $d/conf" ;;
		attestd-r) service "$n" $r "$O/bin/attestd -R -d ${NODE_VERBOSE:--v} -f $d/conf" ;;
		*) service "$n" $r "$O/bin/$r -d ${NODE_VERBOSE:--v} -f $d/conf" ;;
		esac
	done
}

# With NODE_SHIM set, the daemons of a new node have a wall clock of their own.
shim() {
	[ -z "${NODE_SHIM:-}" ] ||
	    echo "env LD_PRELOAD=$O/tools/clockshim.so CLOCKSHIM=$W/$1/shift"
}

# clock_shift NODE SECONDS: its wall clock is so far from ours, from now on
clock_shift() {
	python3 -c 'import struct, sys
f = open(sys.argv[1], "r+b" if len(sys.argv) > 3 else "wb")
f.write(struct.pack("=q", int(sys.argv[2])))' "$W/$1/shift" "$2" ${3:+step}
}

# service NODE NAME COMMAND: a runsv directory, not started yet
service() {
	local n=$1 s=$2 d=$W/$1/service/$2
	mkdir -p "$d"
	cat >"$d/run" <<-EOF
	#!/bin/sh
	exec >>$W/$n/log/$s 2>&1
	exec nsenter --net=/run/netns/$(ns_of "$n") $(case $s in tpm|dbus) ;; *) shim "$n" ;; esac) $3
	EOF
	cat >"$d/finish" <<-EOF
	#!/bin/sh
	echo "\$1 \$2" >>$W/$n/exits/$s
	EOF
	chmod 755 "$d/run" "$d/finish"
}

# bus NODE [open]: it gets a message bus and shows itself there.
bus() {
	local n=$1 d=$W/$1
	mkdir -p "$d/bus"
	bus_policy "$n" "${2:-}"
	echo "dbus socket \"$d/bus/socket\"" >>"$d/conf"
	service "$n" dbus "dbus-daemon --nofork --nopidfile --nosyslog --config-file=$d/bus/conf"
	service "$n" busd "$O/bin/busd -d ${NODE_VERBOSE:--v} -f $d/conf"
}

# bus_policy NODE [open]: Debian's configuration of the system bus, whatever a
# bus of this machine would add taken from it, and provd's policy file. open: in
# spite of which everybody may call anything and own any name. Other services'
# policies are the test's, in bus/more.
bus_policy() {
	local d=$W/$1/bus
	# The bus reads it again as its own user, who may not reach the tree.
	mkdir -p "$d/policy"
	install -m 644 "$TOP"/etc/dbus/*.conf "$d/policy" || return
	{
		sed -e '/<fork\/>/d; /<syslog\/>/d; /<pidfile>/d; /<servicehelper>/d' \
		    -e '/<standard_system_servicedirs\/>/d; /<includedir>/d; /<include /d' \
		    -e "s,<listen>.*</listen>,<listen>unix:path=$d/socket</listen>," \
		    -e '/<\/busconfig>/d' /usr/share/dbus-1/system.conf
		echo "<includedir>$d/policy</includedir>"
		[ -z "${2:-}" ] || echo '<policy context="mandatory"><allow own="*"/>
		    <allow send_destination="*"/></policy>'
		echo "<include ignore_missing=\"yes\">$d/more</include></busconfig>"
	} >"$d/conf.new"
	mv "$d/conf.new" "$d/conf"
}

# members NODE: policyd and the bus of this node know a user, uid 64901, who is
# in the group provd, and 64902, who is not; the machine does not. Once its
# services are there.
members() {
	local d=$W/$1 s
	{ cat /etc/passwd; printf 'provd%s:x:%s:65534::/:/bin/false\n' in 64901 out 64902; } >"$d/passwd"
	sed -e 's/^\(provd:.*\)/\1,provdin/' -e 's/^\(provd:[^:]*:[^:]*:\),/\1/' /etc/group >"$d/group"
	for s in policyd dbus; do
		sed -i "s,^exec nsenter ,exec unshare --mount sh -c 'mount --bind $d/passwd /etc/passwd \&\& mount --bind $d/group /etc/group \&\& exec \"\$0\" \"\$@\"' nsenter ," "$d/service/$s/run"
	done
}

# as in|out CMD...: as one of them; in: his processes have the group
as() {
	local who=$1
	shift
	case $who in
	in) setpriv --reuid=64901 --regid=65534 --groups="$(getent group provd | cut -d: -f3)" "$@" ;;
	out) setpriv --reuid=64902 --regid=65534 --clear-groups "$@" ;;
	esac
}

# on NODE BUSCTL-ARGUMENT...: the system bus is that node's. AS="as in" before it
# makes somebody else ask.
on() {
	local n=$1
	shift
	$AS env DBUS_SYSTEM_BUS_ADDRESS="unix:path=$W/$n/bus/socket" busctl "$@"
}

# services NODE: those it has, what others need first
services() {
	local s
	for s in tpm dbus $ROLES enrold busd; do
		[ ! -d "$W/$1/service/$s" ] || echo "$s"
	done | awk '!seen[$0]++'	# ROLES may name them, too
}

# daemons NODE: those of ours
daemons() {
	services "$1" | grep -vxE 'tpm|dbus'
}

# node_start NODE [SERVICE...]: all of them unless named
node_start() {
	local n=$1 s all
	shift
	[ $# -gt 0 ] || mapfile -t all < <(services "$n")
	[ $# -gt 0 ] || set -- "${all[@]}"
	for s; do
		runsv "$W/$n/service/$s" >>"$W/$n/log/runsv" 2>&1 &
		echo $! >"$W/$n/service/$s.pid"
	done
}

# node_stop NODE [SERVICE...]: ends the daemon and its runsv, and waits. Not
# inside $( ) or ok: runsv is a child of this shell.
node_stop() {
	local n=$1 s p all
	shift
	[ $# -gt 0 ] || mapfile -t all < <(services "$n" | tac)
	[ $# -gt 0 ] || set -- "${all[@]}"
	for s; do
		[ -f "$W/$n/service/$s.pid" ] || continue
		p=$(cat "$W/$n/service/$s.pid")
		kill -TERM "$p" 2>/dev/null
		wait "$p" 2>/dev/null
		rm -f "$W/$n/service/$s.pid"
	done
}

# pid_of NODE SERVICE: the daemon's, empty while it is down
pid_of() {
	cat "$W/$1/service/$2/supervise/pid" 2>/dev/null
}

# kill9 NODE SERVICE: and wait until runsv has started it again
kill9() {
	local old
	old=$(pid_of "$1" "$2")
	kill -9 "$old" && await 30 started_anew "$1" "$2" "$old"
}

started_anew() {
	local new
	new=$(pid_of "$1" "$2")
	# In between, the pid is that of the script that notes how it ended.
	[ -n "$new" ] && [ "$new" != "$3" ] &&
	    grep -q '^run' "$W/$1/service/$2/supervise/stat"
}

# ctl NODE ARGUMENT...
ctl() {
	local n=$1
	shift
	"$O/bin/provctl" -s "$W/$n/run/control.sock" "$@"
}

# peer_field NODE PEER FIELD: of 'peer show', as text
peer_field() {
	ctl "$1" --json peer show "$2" | jq -rs "flatten | map(select(.row == \"peer\"))[0].$3"
}

peer_is() {	# peer_is NODE PEER FIELD VALUE
	[ "$(peer_field "$1" "$2" "$3")" = "$4" ]
}

# await_peer NODE PEER FIELD VALUE [SECONDS]
await_peer() {
	await "${5:-60}" peer_is "$1" "$2" "$3" "$4"
}

node_ready() {	# is every daemon of this node ready?
	local n
	n=$(daemons "$1" | wc -l)
	[ "$(ctl "$1" --json status | jq -s 'flatten | map(select(.row == "daemon" and .state == "ready")) | length')" = $n ]
}

await_ready() {	# await_ready NODE [SECONDS]
	await "${2:-60}" node_ready "$1"
}

node_id() {
	ctl "$1" --json identity show | jq -rs 'flatten | map(select(.row == "identity"))[0].node'
}

# node_identity NODE AUTHORITY: CSR out, chain in. Keys may come a moment after
# the last daemon is ready (KEY-050).
node_identity() {
	local d=$W/$1
	await 30 ctl "$1" identity csr --serial "SN-$1" -o "$d/csr.pem" &&
	    device_certificate "$2" "$d/csr.pem" "$d/chain.pem" &&
	    ctl "$1" identity install "$d/chain.pem"
}

# node_logs NODE: the end of what its daemons said, for a failed test
node_logs() {
	local f
	for f in "$W/$1"/log/*; do
		echo "== $1 ${f##*/}"
		tail -n "${2:-15}" "$f"
	done
}

# Has a sanitizer spoken anywhere?
world_sanitized_clean() {
	! grep -nE 'AddressSanitizer|LeakSanitizer|runtime error:|UndefinedBehavior' "$W"/*/log/*
}
