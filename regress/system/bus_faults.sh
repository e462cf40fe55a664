#!/bin/bash
# What can go wrong around busd: a bus that is not there, goes, or is none; busd
# killed and stopped; its names taken; calls that there should not be, too many
# of them, ten thousand of them. policyd and its peers do not notice, and what
# was wrong is over when it is over.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/bus.sh"
need_root
need ip runsv jq openssl ss busctl dbus-daemon
CALLS=${CALLS:-10000}
CHANGES=${CHANGES:-1000}
case $O in
# Everything is slow there, and sizes are the sanitizer's own.
*-san) CHANGES=$((CHANGES / 5)) CALLS=$((CALLS / 5)) ;;
esac

world_new
export NODE_BACKEND=soft NODE_VERBOSE=' '
pair_wire
for n in a b; do
	node_new $n "$W/acme/root.pem"
	echo "accept root \"$W/acme/root.pem\" serial \"SN-?\"" >>"$W/$n/conf"
done
bus a open
members a
echo 'peer "b" { }' >>"$W/a/conf"
echo 'peer "a" { }' >>"$W/b/conf"
SOCKET=$W/a/bus/socket

# ---- no bus -------------------------------------------------------------------

# shellcheck disable=SC2046
node_start a $(services a | grep -v dbus)
node_start b
ready() {	# ready ROLE...: these are
	local want
	want=$(printf '%s\n' "$@" | sort | paste -s -d ' ')
	[ "$(ctl a --json status | jq -rs 'flatten | map(select(.row == "daemon" and
	    .state == "ready").role) | sort | join(" ")')" = "$want" ]
}
# shellcheck disable=SC2086
ok "without a bus all but busd are ready" await 120 ready $ROLES
ok "b is ready" await_ready b 120
for n in a b; do
	ok "$n: identity" node_identity $n "$W/acme"
done
ok "they pair" ctl a provision b
ok "Connected" await_peer a b connected Connected
ok "b too" await_peer b a connected Connected
said() {	# said ROLE REGEX: how often, since the line of said_from
	tail -n +"$((${FROM[$1]:-0} + 1))" "$W/a/log/$1" | grep -cE -- "$2"
}
declare -A FROM
said_from() {	# said_from ROLE...
	local r
	for r; do
		FROM[$r]=$(wc -l <"$W/a/log/$r")
	done
}
told() {
	[ "$(said "$1" "$2")" -ge 1 ]
}
ok "busd waits for the bus, and says so" await 30 told busd 'BUS-001'
waits=$(pid_of a busd)
is "as its own user" "$(stat -c %U "/proc/$waits")" _busd
is "once" "$(said busd BUS-001)" 1
node_start a dbus
ok "the bus is there: busd is ready" await_ready a 60
is "the one that waited" "$(pid_of a busd)" "$waits"
shown() {	# what the peer is, and the node
	owned a && [ "$(prop a PeerConnected)" = "s \"${WORD}Connected\"" ] &&
	    [ "$(peer_prop a b State)" = 's "Connected"' ]
}
ok "everything is shown" await 60 shown

# What must stay as it is, whatever happens to busd: of policyd and the peer.
constant() {
	echo "policyd $(pid_of a policyd)"
	in_ns a ss -tneH state established '( sport = :8090 or dport = :8090 )' | grep -o 'ino:[0-9]*'
	ctl a --json audit show | jq -rs 'flatten | map(select(.row == "audit" and
	    .kind != "checkpoint" and (.subject != "busd"))) | length'
	peer_field a b state
}
one_connection() {
	[ "$(constant | grep -c ino)" -eq 1 ]
}
await 30 one_connection >/dev/null
ok "a is Provisioned, by itself, too" await 30 prop_is a Provisioned 'b true'
was=$(constant)

# ---- the bus goes ----------------------------------------------------------------

said_from busd policyd
kill9 a dbus
ok "the bus is killed: busd says why it ends" await 30 told busd 'BUS-002'
ok "and everything is shown on the next" await 60 shown
ok "a is ready" await_ready a 60

# ---- busd goes --------------------------------------------------------------------

for i in 1 2 3; do
	kill9 a busd
	ok "busd is killed ($i): everything is shown again" await 60 shown
done
ok "a is ready" await_ready a 60
is "policyd and the peer did not notice" "$(constant)" "$was"
is "policyd logged that it went and came, no more" \
    "$(tail -n +"$((FROM[policyd] + 1))" "$W/a/log/policyd" | grep -v busd)" ''

# ---- busd hangs --------------------------------------------------------------------

hung=$(pid_of a busd)
size() {	# size ROLE: resident, in KiB
	awk '$1 == "Rss:" { print $2 }' "/proc/$(pid_of a "$1")/smaps_rollup"
}
changes() {	# changes N: of the log level, which busd is told; info is the last
	printf 'debug\ninfo\n%.0s' $(seq $(($1 / 2))) |
	    xargs -P 3 -I{} "$O/bin/provctl" -s "$W/a/run/control.sock" log level {} >/dev/null &&
	    ctl a log level info
}
# Each is an audit record; SQLite keeps pages of those, 2 MiB in the end.
most=256
[ "$CHANGES" -le 1000 ] || most=$((most + 2048))
changes 20
kill -STOP "$hung"
before=$(size policyd)
ok "$CHANGES changes of state while busd is stopped" changes "$CHANGES"
grew=$(($(size policyd) - before))
case $O in
*-san) diag "policyd grew by $grew KiB: the sanitizer's own" ;;
*) ok "policyd grew by $grew KiB, at most $most" test $grew -le $most ;;
esac
is "the peer is Connected all the time" "$(constant | grep -v '^[0-9]*$')" "$(echo "$was" | grep -v '^[0-9]*$')"
kill -CONT "$hung"
level() {
	on a call "$NAME" /xyz/openbmc_project/Debug "$NAME.DebugControl" GetLogLevel 2>&1
}
ok "busd goes on: it knows the last of them" await 30 eval '[ "$(level)" = "s \"INFO\"" ]'
ok "and shows the rest" await 30 shown
is "it is the same busd" "$(pid_of a busd)" "$hung"

# ---- its names are somebody's --------------------------------------------------------

ok "a is ready" await_ready a 60
said_from busd
node_stop a busd
taken() {	# taken NAME: until untake
	"$O/tools/busplay" "$SOCKET" own "$1" >"$W/own" 2>&1 &
	thief=$!
	WORLD_PIDS="$WORLD_PIDS $thief"
	await 10 grep -q owns "$W/own"
}
untake() {
	kill $thief
	wait $thief 2>/dev/null
}
taken "$NAME"
node_start a busd
ok "its name is another's: busd says so" await 30 told busd 'BUS-003'
# shellcheck disable=SC2086
ok "and is not ready" await 30 ready $ROLES
untake
ok "the name is free: everything is shown" await 60 shown
said_from busd
node_stop a busd
taken xyz.openbmc_project.attestation
node_start a busd
ok "the attestation service's name is another's: busd says so" await 30 told busd 'BUS-013'
ok "and shows everything else" await 60 shown
untake
kill9 a busd
ok "a is ready" await_ready a 60

# ---- calls that there should not be ------------------------------------------------------

descriptors() {	# of a daemon
	find "/proc/$(pid_of a "$1")/fd" -mindepth 1 | wc -l
}
ok "everything is shown" await 60 shown
caller=$(pid_of a busd)
had=$(descriptors busd)
"$O/tools/busload" "$SOCKET" wrong >"$W/wrong" 2>&1
is "busload tried all" $? 0
merge "$W/wrong"
ok "everything is shown" await 60 shown
is "by the same busd" "$(pid_of a busd)" "$caller"
is "without a descriptor more" "$(descriptors busd)" "$had"

# ---- too many calls ------------------------------------------------------------------------

# The bus itself lets a connection have 128 calls unanswered.
setpriv --reuid=64901 --regid=65534 --groups="$(getent group provd | cut -d: -f3)" \
    "$O/tools/busload" "$SOCKET" flood 120 >"$W/flood" 2>&1 &
flood=$!
WORLD_PIDS="$WORLD_PIDS $flood"
ok "a caller floods" await 10 grep -q floods "$W/flood"
served() {	# twenty calls of somebody else, one after the other
	local i
	for ((i = 0; i < 20; i++)); do
		[ "$(prop a Provisioned)" = 'b true' ] || return
	done
}
ok "another is served" served
ok "and may still ask" main a call ProvisionPeer s b
counted() {
	ctl a --json status | jq -es "flatten | any(.row == \"counter\" and (.reason.code | test(\"$1\")))" >/dev/null
}
ok "what was too much is counted" await 30 counted 'BUS-0(06|10)'
kill $flood
wait $flood 2>/dev/null
diag "$(tail -n 1 "$W/flood")"
ok "everything is shown" await 60 shown
is "by the same busd" "$(pid_of a busd)" "$caller"
is "and the peer is on the same connection" "$(constant | grep -E 'policyd|ino')" "$(echo "$was" | grep -E 'policyd|ino')"

# ---- ten thousand calls --------------------------------------------------------------------

calls() {
	"$O/tools/busload" "$SOCKET" get "$1" && "$O/tools/busload" "$SOCKET" method "$1" nobody
}
calls 2000 >/dev/null
declare -A rss fds
for r in busd policyd; do
	rss[$r]=$(size $r)
	fds[$r]=$(descriptors $r)
done
out=$(calls "$CALLS")
is "$CALLS calls of each kind" $? 0
diag "$out"
for r in busd policyd; do
	grew=$(($(size $r) - rss[$r]))
	case $O in
	*-san) diag "$r grew by $grew KiB: the sanitizer's own" ;;
	*) ok "$r grew by $grew KiB in them, at most 64" test $grew -le 64 ;;
	esac
	is "$r has no descriptor more" "$(descriptors $r)" "${fds[$r]}"
done

# ---- a bus that is none ----------------------------------------------------------------------

node_stop a dbus
ends=$(wc -l <"$W/a/exits/busd")
mkfifo "$W/line"
for k in silent mute noise huge half nobody never; do
	exec 4<>"$W/line"
	"$O/tools/busplay" "$SOCKET" bus $k <&4 >"$W/play" 2>&1 &
	play=$!
	WORLD_PIDS="$WORLD_PIDS $play"
	ok "a bus that is none: $k" await 30 grep -q accepted "$W/play"
	case $k in
	nobody)
		ok "$k: busd wants its names" await 30 grep -q "^$NAME" "$W/play"
		echo call >&4
		ok "$k: nobody is somebody" await 30 eval '[ "$(grep -c "^refused .* BUS-005 " "$W/play")" -eq 2 ]' ;;
	never)
		ok "$k: busd wants its names" await 30 grep -q "^$NAME" "$W/play"
		echo call >&4
		ok "$k: who is one too many is told so" await 30 eval '[ "$(grep -c "^refused .* BUS-006 " "$W/play")" -ge 500 ]' ;;
	esac
	kill $play 2>/dev/null
	wait $play 2>/dev/null
	exec 4>&-
done
node_start a dbus
ok "on a real one everything is shown" await 60 shown
is "busd has ended by itself each time" "$(tail -n +"$((ends + 1))" "$W/a/exits/busd" | sort -u)" '1 0'
is "policyd and the peer did not notice" "$(constant | grep -E 'policyd|ino')" "$(echo "$was" | grep -E 'policyd|ino')"
ok "the audit log is whole" ctl a audit verify
node_stop a
node_stop b
ok "no sanitizer spoke" world_sanitized_clean
done_testing
