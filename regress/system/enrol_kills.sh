#!/bin/bash
# 1,000 enrolments by 50 clients at once, which ask again until they have an
# answer, while each daemon is killed in turn, at random moments, and the state
# directory of policyd is copied at others, as a power failure would leave it.
# Afterwards each acknowledged certificate exists exactly once, with its file
# and its line in the log: in the live store, and in each copy what had been
# acknowledged when it was begun. Then clients that ask once and go: what they
# did not get is listed as orphan, and can be revoked. SEED repeats the moments.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
. "$TOP/regress/tools/enrol.sh"
need_root
need ip runsv jq openssl sqlite3 python3
plain_only "the kills of restart.sh go over it there"

N=${N:-1000}
RATE=${RATE:-80}	# requests begun in a second, so that kills have their time
SEED=${SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
diag "N=$N SEED=$SEED"
RANDOM=$SEED

world_new
NODE_BACKEND=${NODE_BACKEND:-soft} NODE_VERBOSE=' ' ca_node ca
node_start ca
ok "ready" await_ready ca 60
ok "ca init" ca_up ca
tickets ca 1 "$N" >"$W/t1"
is "$N tickets" "$(wc -l <"$W/t1")" "$N"

# The state directory as it is at one moment: policyd rests meanwhile.
COPIES=0
copy() {
	local p d=$W/copy$((COPIES + 1))
	p=$(pid_of ca policyd)
	mkdir "$d"
	kill -STOP "$p" 2>/dev/null
	echo "${EPOCHREALTIME/./}" >"$d.time"
	cp -a "$W/ca/state/policyd/." "$d/"
	kill -CONT "$p" 2>/dev/null
	COPIES=$((COPIES + 1))
}

acked() {
	wc -l <"$W/acked" 2>/dev/null || echo 0
}

# whole DIR BEFORE NAME: what had been acknowledged by then is in this state
# directory, once, with its file and its line; prints what is wrong
whole() {
	python3 - "$1" "$2" "$W/acked" <<-'EOF2'
	import hashlib, os, sqlite3, sys
	state, before, acked = sys.argv[1], int(sys.argv[2]), sys.argv[3]
	bad = []
	db = sqlite3.connect(os.path.join(state, "store.db"))
	if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
	    bad.append("the store is damaged")
	rows = {}
	keys = {}
	for serial, name, der in db.execute("SELECT c.serial, c.name, d.der FROM cert c LEFT JOIN cert_der d ON d.id = c.id"):
	    rows.setdefault(bytes(serial).hex(), []).append((name, der and hashlib.sha256(der).hexdigest()))
	lines = {}
	try:
	    text = open(os.path.join(state, "issued/serials.txt")).read()
	except FileNotFoundError:
	    text = ""
	for line in text.split("\n")[:-1]:
	    for word in line.lower().split():
	        if len(word) == 32:
	            lines[word] = lines.get(word, 0) + 1
	            break
	n = 0
	names = {}
	for line in open(acked):
	    at, name, serial, digest = line.split()
	    serial = serial.lower().rjust(32, "0")
	    if int(at) >= before:
	        continue
	    n += 1
	    if names.setdefault(name, serial) != serial:
	        bad.append("two certificates for the one request of " + name)
	    r = rows.get(serial, [])
	    if r != [(name, digest)]:
	        bad.append("%s: in the store %d times, or another" % (serial, len(r)))
	    if lines.get(serial, 0) != 1:
	        bad.append("%s: %d lines in the log" % (serial, lines.get(serial, 0)))
	    try:
	        pem = open(os.path.join(state, "issued", serial[:2], serial + ".pem")).read()
	        import ssl
	        if hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() != digest:
	            bad.append(serial + ": another certificate in its file")
	    except (FileNotFoundError, ValueError) as e:
	        bad.append("%s: its file: %s" % (serial, e))
	print("\n".join(bad[:10]) if bad else "%d are whole" % n)
	sys.exit(1 if bad else 0)
	EOF2
}

whole_copy() {	# whole_copy NUMBER WHAT
	local out rc
	out=$(whole "$W/copy$1" "$(cat "$W/copy$1.time")" 2>&1)
	rc=$?
	result $rc "$2: $(tail -n 1 <<<"$out")"
	[ $rc -eq 0 ] || diag "$out"
}

# ---- the kills -------------------------------------------------------------

nsenter --net="/run/netns/$(ns_of ca)" "$O/tools/enrolload" load -A $CA_AT -c 50 -r $((N * 4 / RATE + 60)) -s "$RATE" -t "$W/t1" -o "$W/acked" >"$W/load" 2>&1 &
load=$!
WORLD_PIDS="$WORLD_PIDS $load"
PLAN=()
while [ ${#PLAN[@]} -lt 2000 ]; do
	for r in policyd keyd enrold netd policyd enrold keyd attestd-q attestd-r policyd; do
		PLAN+=("$r $((RANDOM % 900)) $((RANDOM % 2))")
	done
done
KILLS=0
wait_ms() {
	read -r -t "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" <>"$W/never"
}
some() { [ "$(acked)" -gt 0 ]; }
for p in "${PLAN[@]}"; do
	# On a busy machine nobody may be served between two kills.
	[ $KILLS -lt 5 ] || await 60 some
	read -r r ms copies <<<"$p"
	wait_ms "$ms"
	[ "$(acked)" -lt $((N * 9 / 10)) ] && [ $KILLS -lt $((N / 55)) ] &&
	    kill -0 "$load" 2>/dev/null || break
	[ "$copies" = 0 ] || [ $COPIES -ge 12 ] || [ "$(acked)" -eq 0 ] || copy
	kill -9 "$(pid_of ca "$r")" 2>/dev/null && KILLS=$((KILLS + 1))
done
ok "$KILLS kills, $COPIES copies meanwhile" [ $KILLS -ge 5 -a $COPIES -ge 2 ]
wait $load
is "every client has its answer" "$(awk '/^ok/ { print $2 }' "$W/load")" "$N"
diag "$(tr '\n' ' ' <"$W/load")"
ok "ready again" await_ready ca 60
is "no name was answered twice" "$(awk '{ print $2 }' "$W/acked" | sort | uniq -d | wc -l)" 0
copy
whole_copy $COPIES "the live store"
is "one certificate for each, and no more" "$(ctl ca --json cert list | jq -s 'flatten | map(select(.row == "cert")) | length')" "$N"
for ((i = 1; i < COPIES; i++)); do
	whole_copy $i "copy $i"
done
ok "the audit log is whole" ctl ca audit verify

# ---- clients that do not come back --------------------------------------------

tickets ca 100001 200 >"$W/t2"
mv "$W/acked" "$W/acked1"
nsenter --net="/run/netns/$(ns_of ca)" "$O/tools/enrolload" load -1 -A $CA_AT -c 50 -t "$W/t2" -o "$W/acked" >"$W/load" 2>&1 &
load=$!
WORLD_PIDS="$WORLD_PIDS $load"
await 10 eval '[ "$(acked)" -ge 20 ]'
kill -9 "$(pid_of ca enrold)"
await 10 eval '[ "$(acked)" -ge 21 ]'
kill -9 "$(pid_of ca policyd)"
wait $load
diag "$(tr '\n' ' ' <"$W/load")"
ok "ready again" await_ready ca 60
ctl ca --json cert list | jq -s 'flatten | map(select(.row == "cert"))' >"$W/list"
unnoticed() {	# valid, not acknowledged, and not called an orphan
	jq -r '.[] | select(.status == "valid") | "\(.serial) \(.name)"' "$W/list" |
	    awk 'NR == FNR { have[$2] = 1; next } !($2 in have)' <(cat "$W/acked1" "$W/acked") -
}
is "whatever is valid was acknowledged" "$(unnoticed)" ""
orphans=$(jq -r '[.[] | select(.status == "orphan")] | length' "$W/list")
diag "$(wc -l <"$W/acked") acknowledged, $orphans orphans"
for s in $(jq -r '[.[] | select(.status == "orphan")][:3][] | .serial' "$W/list"); do
	ok "an orphan can be revoked" ctl ca cert revoke "$s"
	is "and is" "$(cert_field ca "$s" status)" revoked
done

# ---- a copy comes back -------------------------------------------------------------

node_stop ca
i=$((COPIES - 1 - RANDOM % (COPIES / 2)))	# with much in it
rm -rf "$W/ca/state/policyd"
mv "$W/copy$i" "$W/ca/state/policyd"
find "$W/ca/state/policyd/issued" -name '*.pem' | head -n 20 | xargs -r rm -f
printf '20261126T' >>"$W/ca/state/policyd/issued/serials.txt"
node_start ca
ok "policyd starts from copy $i, without some files, with a torn line in the log" await_ready ca 60
mv "$W/acked1" "$W/acked"
nok "which is cut" grep -qE '^20261126T$' "$W/ca/state/policyd/issued/serials.txt"
again() {
	rm -rf "$W/copy$COPIES"
	COPIES=$((COPIES - 1))
	copy
	whole "$W/copy$COPIES" "$(cat "$W/copy$i.time")"
}
ok "and everything is there that was acknowledged" await 20 again
node_stop ca
ok "no daemon ended in another way" eval '. "$TOP/regress/tools/storecheck.sh"; ended_well ca'
done_testing || {
	diag "SEED=$SEED repeats this"
	diag "$(node_logs ca 25)"
}
[ "$TAP_FAILED" -eq 0 ]
