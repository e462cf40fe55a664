#!/bin/bash
# kill -9 of each daemon of either node, and of all of a node at once, at random
# moments, while Connected, pairing, and issuing certificates: N of them, in a
# sequence that SEED repeats. The pair comes back by itself every time; store
# and audit log are whole every time; no certificate is without its record, and
# no record is there twice.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
. "$(dirname "$0")/../tools/storecheck.sh"
need_root
need ip runsv swtpm jq openssl ss sqlite3 dbus-daemon
plain_only "restart.sh kills them there"

N=${N:-20}
SEED=${SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
DEADLINE=120	# s; far from what it takes, for loaded machines
diag "N=$N SEED=$SEED"

# The whole sequence, before anything else draws: each daemon of each node, and
# all of a node at once, once in fourteen, in a new order each time; in two of six
# while Connected, in three during a pairing, in one while leafs are issued.
PLAN=()
WHEN=(Connected Connected pairing pairing pairing issuing)
plan() {
	local pairs=() n r i j t
	RANDOM=$SEED
	for n in a b; do
		for r in $ROLES busd all; do
			pairs+=("$n $r")
		done
	done
	while [ ${#PLAN[@]} -lt "$N" ]; do
		for ((i = ${#pairs[@]} - 1; i > 0; i--)); do
			j=$((RANDOM % (i + 1)))
			t=${pairs[i]}
			pairs[i]=${pairs[j]}
			pairs[j]=$t
		done
		for t in "${pairs[@]}"; do
			PLAN+=("$t ${WHEN[RANDOM % 6]} $((RANDOM % 600))")
		done
	done
}
plan

world_new
pair_wire
for n in a b; do
	NODE_SHIM=1 node_new $n "$W/acme/root.pem"
	clock_shift $n 0
	cat >>"$W/$n/conf" <<-EOF2
	accept root "$W/acme/root.pem" serial "SN-?"
	leaf lifetime 1 d
	EOF2
	bus $n
done
echo 'peer "b" { }' >>"$W/a/conf"
echo 'peer "a" { }' >>"$W/b/conf"
node_start a
node_start b
ok "a is ready" await_ready a $DEADLINE
ok "b is ready" await_ready b $DEADLINE
ok "a: identity" node_identity a "$W/acme"
ok "b: identity" node_identity b "$W/acme"
ok "provision" await 60 ctl a provision b

# Local and remote end of each connection of the pair that a node has.
ends() {
	in_ns "$1" ss -tnH state established \
	    '( sport = :8090 or dport = :8090 )' |
	    sed 's/\[::ffff:\([0-9.]*\)\]/\1/g' | awk "{ print \$$2, \$$3 }"
}

# Everybody is ready, both say Connected, and they have one connection.
together() {
	local e
	peer_is a b connected Connected && peer_is b a connected Connected &&
	    e=$(ends a 3 4) && [ -n "$e" ] && [ "$e" = "$(ends b 4 3)" ] &&
	    [ "$(printf '%s\n' "$e" | wc -l)" -eq 1 ] &&
	    node_ready a && node_ready b
}
ok "Connected" await $DEADLINE together

# Both operators end the trust and ask for it again; it is acknowledged, so
# it must come about whatever is killed from here on.
pairing() {
	await 30 ctl a unprovision b && await 30 ctl b unprovision a &&
	    await 30 ctl a provision b --no-wait &&
	    await 30 ctl b provision a --no-wait
}

# It is another day, and both nodes have just started to issue their leafs.
issuing() {
	local old n
	for n in a b; do
		clock_shift $n $((i * 2 * 86400)) step
	done
	for n in a b; do
		old=$(pid_of $n policyd)
		kill -9 "$old" || return
		await $DEADLINE started_anew $n policyd "$old" || return
	done
}

strike() {	# strike NODE SERVICE|all MS
	local roles=$2 r old=()
	[ "$2" != all ] || roles=$(daemons "$1")
	read -r -t "$(printf '0.%03d' "$3")" <>"$W/never"
	for r in $roles; do
		old+=("$(pid_of "$1" "$r")")
	done
	kill -9 "${old[@]}" || return
	for r in $roles; do
		await $DEADLINE started_anew "$1" "$r" "${old[0]}" || return
		old=("${old[@]:1}")
	done
}

whole() {
	store_whole a && store_whole b && await 60 ctl a audit verify &&
	    await 60 ctl b audit verify
}

recorded() {
	certificates_recorded a b 192.0.2.1 && certificates_recorded b a 192.0.2.2
}

# one NODE SERVICE WHEN MS
one() {
	if [ "$3" != Connected ] && ! "$3"; then
		echo "$3 could not be begun"
		return 1
	fi
	strike "$1" "$2" "$4" || { echo "$2 of $1 did not start again"; return 1; }
	await $DEADLINE together >"$W/together" || {
		echo "not Connected in $DEADLINE s"
		ctl a peer list
		ctl b peer list
		return 1
	}
	whole && { [ "$3" = Connected ] || recorded; }
}

longest=0
for ((i = 1; i <= N; i++)); do
	read -r n r when ms <<<"${PLAN[i - 1]}"
	t=$SECONDS
	ok "$i: $r of $n, $ms ms into $when" one "$n" "$r" "$when" "$ms"
	t=$((SECONDS - t))
	[ $t -le $longest ] || longest=$t
	[ "$TAP_FAILED" -eq 0 ] || break
done
diag "the longest took $longest s; a has issued $(store_sql a 'SELECT count(*)
    FROM issued WHERE certificate IS NOT NULL') certificates"
ok "certificates in use are recorded" recorded
for n in a b; do
	node_stop $n
	ok "$n: the store is whole after a clean end" store_whole $n
	ok "$n: no daemon ended in another way" ended_well $n
done
ok "no sanitizer spoke" world_sanitized_clean
done_testing || {
	diag "SEED=$SEED repeats this"
	diag "$(node_logs a; node_logs b)"
}
[ "$TAP_FAILED" -eq 0 ]
