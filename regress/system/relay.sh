#!/bin/bash
# A bad wire: frames that are lost, late, out of order, twice there, and a
# wire that passes none though both ends have a carrier. The pair finds
# itself, attests and connects over it, and comes back by itself every time,
# with the reason in between. SEED repeats what the wire does.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
need_root
need ip runsv jq openssl ss

plain_only "the wire is tested, which a sanitizer does not see"
SEED=${SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
HOLD=${HOLD:-0.2}	# s that each kind of wire is held when all is well
DEADLINE=180
diag "SEED=$SEED HOLD=$HOLD"

world_new
authority "$W/acme" ACME
wire m a left
wire m b right
for p in left right; do
	ip -n "$(ns_of m)" link set $p up
done
address a 192.0.2.1/24
address b 192.0.2.2/24
mkfifo "$W/wire.in"
nsenter --net="/run/netns/$(ns_of m)" "$O/tools/relay" "$SEED" left right \
    <"$W/wire.in" >"$W/wire" 2>&1 &
WORLD_PIDS="$WORLD_PIDS $!"
exec {WIRE}>"$W/wire.in"

said() {	# said N: so many lines of the relay
	[ "$(wc -l <"$W/wire")" -ge "$1" ]
}

# wire_is WORD NUMBER [WORD NUMBER...]: all else is as a good wire has it
wire_is() {
	local n
	n=$(wc -l <"$W/wire")
	printf '%s 0\n' loss delay jitter reorder duplicate >&"$WIRE"
	n=$((n + 5 + $# / 2))
	[ $# -eq 0 ] || printf '%s %s\n' "$@" >&"$WIRE"
	await 30 said $n
}

counted() {	# counted WORD: of all frames so far
	local n
	n=$(wc -l <"$W/wire")
	echo 'count 0' >&"$WIRE"
	await 30 said $((n + 2))
	sed -n "s/.* $1 \([0-9]*\).*/\1/p" "$W/wire" | tail -n 1
}

hold() {	# for a fixed time: nothing tells that nothing has happened
	read -r -t "$HOLD" <>"$W/never"
}

ok "the wire is there" await 30 said 1
for n in a b; do
	NODE_BACKEND=soft node_new $n "$W/acme/root.pem"
	echo "accept root \"$W/acme/root.pem\" serial \"SN-?\"" >>"$W/$n/conf"
done
echo 'peer "b" { keepalive 500 ms  silence 2 s }' >>"$W/a/conf"
echo 'peer "a" { keepalive 500 ms  silence 2 s }' >>"$W/b/conf"

together() {
	peer_is a b connected Connected && peer_is b a connected Connected
}

connection() {
	in_ns a ss -tneH state established \
	    '( sport = :8090 or dport = :8090 )' | grep -o 'ino:[0-9]*'
}

another() {	# another ONE: together by another connection
	local c
	c=$(connection)
	[ -n "$c" ] && [ "$c" != "$1" ] && together
}

attested_since() {
	[ "$(peer_field a b attested)" \> "$1" ]
}

# When b was attested last; it is later than that now, so that the next one
# has another time.
attested() {
	local t
	t=$(peer_field a b attested)
	await 30 past "$t"
	echo "$t"
}

past() {
	[ "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \> "$1" ]
}

# regime DESC WORD NUMBER...: attested and connected anew over this wire
regime() {
	local desc=$1 t c
	shift
	wire_is "$@" || return
	t=$(attested)
	c=$(connection)
	ctl a provision b --no-wait >/dev/null
	ok "$desc: attested anew" await $DEADLINE attested_since "$t"
	kill9 b netd
	ok "$desc: connected anew" await $DEADLINE another "$c"
	hold
	ok "$desc: Connected" await $DEADLINE together
}

# ---- from nothing, one frame of five lost each way

wire_is loss 20
pair_start
heard() {
	ctl "$1" --json neighbours | jq -es "flatten | any(.name == \"$2\")" >/dev/null
}
ok "20 % lost: a hears b over LLDP" await $DEADLINE heard a b
ok "20 % lost: b hears a over LLDP" await $DEADLINE heard b a
ctl a provision b --no-wait >/dev/null
ok "20 % lost: Connected" await $DEADLINE together
hold
ok "20 % lost: still, or again" await $DEADLINE together

# ---- and otherwise

regime "a fifth reordered" reorder 20 delay 5
regime "a fifth twice" duplicate 20
regime "late, by 80 to 140 ms" delay 80 jitter 60
regime "all of it" loss 5 delay 20 jitter 30 reorder 10 duplicate 10
lost=$(counted lost)
ok "frames were lost ($lost)" [ "$lost" -gt 10 ]
for w in reordered duplicated; do
	ok "frames were $w" [ "$(counted $w)" -gt 5 ]
done

# ---- nothing passes, and nobody's carrier is gone

wire_is
ok "a good wire: Connected" await $DEADLINE together
says() {	# says NODE PEER REASON: why it is not connected
	[ "$(peer_field "$1" "$2" connected)" != Connected ] &&
	    ctl "$1" explain peer "$2" | grep -q "$3"
}
t=$(attested)
wire_is loss 100
ok "nothing passes: a says that b is silent" await 60 says a b TLS-019
ok "nothing passes: b says that a is silent" await 60 says b a TLS-019
ok "a still trusts b" peer_is a b provisioned true
ctl a provision b --no-wait >/dev/null
attempted() {
	[ "$(peer_field a b attempts)" -ge 1 ]
}
ok "an attestation ends without an answer" await 60 attempted
ok "... and a still trusts b" peer_is a b provisioned true
like "... with its reason" "$(ctl a explain peer b)" 'NET-0[0-9][0-9]'
wire_is
ok "it passes again: Connected" await $DEADLINE together
ok "... and attested" await $DEADLINE attested_since "$t"
wire_is lossright 100
ok "one way only: a says that b is silent" await 60 says a b TLS-019
wire_is
ok "both ways again: Connected" await $DEADLINE together

# A peer that vanished without a word, and is back without what it had.
c=$(connection)
wire_is loss 100
kill9 b netd
wire_is
ok "b lost its end unheard: connected anew" await $DEADLINE another "$c"
for n in a b; do
	ok "$n: the audit log is whole" await 60 ctl $n audit verify
	node_stop $n
done
ok "no sanitizer spoke" world_sanitized_clean
done_testing || {
	diag "SEED=$SEED repeats this"
	diag "$(node_logs a; node_logs b)"
}
[ "$TAP_FAILED" -eq 0 ]
