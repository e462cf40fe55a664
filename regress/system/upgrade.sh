#!/bin/bash
# An older provd's state: two nodes that trusted each other come back, with
# the stores of version 1 and the keys in regress/data/upgrade, as the pair
# that they were; nothing of the audit log changes. A newer state is refused
# with the reason, and not touched.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
. "$(dirname "$0")/../tools/storecheck.sh"
need_root
need ip runsv jq sqlite3 python3

DATA=$TOP/regress/data/upgrade
world_new
cp "$DATA/root.pem" "$W/root.pem"
wire a b
address a 192.0.2.1/24
address b 192.0.2.2/24

# restore NODE: what the older one left on disk
restore() {
	local d=$W/$1/state name hex
	mkdir -p "$d/policyd" "$d/keyd/keys"
	sqlite3 "$d/policyd/store.db" <"$DATA/$1.sql"
	while read -r name hex; do
		python3 -c 'import sys
sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))' "$hex" >"$d/keyd/keys/$name"
	done <"$DATA/$1.keys"
	chmod 700 "$d/policyd" "$d/keyd/keys"
	chmod 600 "$d/policyd/store.db" "$d/keyd/keys"/*
	chown -R _policyd:_policyd "$d/policyd"
	chown -R _keyd:_keyd "$d/keyd/keys"
}

for n in a b; do
	NODE_BACKEND=soft node_new $n "$W/root.pem"
	echo "accept root \"$W/root.pem\" serial \"SN-?\"" >>"$W/$n/conf"
	restore $n
done
echo 'peer "b" { }' >>"$W/a/conf"
echo 'peer "a" { }' >>"$W/b/conf"
records() {	# of the older one, as they are now
	store_copy "$1" && store_sql "$1" "SELECT * FROM audit
	    WHERE sequence <= $2 ORDER BY sequence"
}
store_copy a
is "a's store is of version 1" "$(store_sql a 'PRAGMA user_version')" 1
last=$(store_sql a 'SELECT max(sequence) FROM audit')
before=$(records a "$last")

node_start a
node_start b
ok "a is ready" await_ready a 120
ok "b is ready" await_ready b 120
is "a is the node that it was" "$(node_id a)" \
    "$(sqlite3 "$W/a/copy.db" "SELECT value FROM meta WHERE name = 'node'")"
ok "Connected, and nobody asked for it" await_peer a b connected Connected 120
ok "b says so, too" await_peer b a connected Connected 120
is "who was revoked still is" "$(peer_field a gone state)" Revoked
is "who was listed still is" "$(peer_field a old address)" 192.0.2.77
like "what was accepted still is" "$(ctl a reference show b)" '^b +accepted '
for n in a b; do
	ok "$n: the audit log is whole, old and new" await 60 ctl $n audit verify
	ok "$n: the store is whole" store_whole $n
done
is "no old record has changed" "$(records a "$last")" "$before"
ok "the store has moved forward" [ "$(store_sql a 'PRAGMA user_version')" -ge 2 ]
like "and the log tells it" "$(cat "$W/a/log/policyd")" 'store: moves from version 1 to '
node_stop a
node_stop b

# ---- newer ones

refused() {	# refused DESC PROGRAM CODE: at start, by an exit and a reason
	local out
	out=$(timeout 60 "$O/bin/$2" -d -f "$W/a/conf" 2>&1)
	is "$1: it does not start" $? 1
	like "$1: the reason" "$out" "$3"
}
db=$W/a/state/policyd/store.db
sqlite3 "$db" 'PRAGMA user_version = 1000' 'PRAGMA journal_mode = DELETE' >/dev/null
sum=$(sha256sum <"$db")
refused "a store of a newer provd" policyd SYS-050
is "it was not touched" "$(sha256sum <"$db")" "$sum"
key=$W/a/state/keyd/keys/tls.key
printf '\002' | dd of="$key" bs=1 seek=8 conv=notrunc 2>/dev/null
sum=$(sha256sum <"$key")
refused "a key file of a newer provd" keyd 'KEY-007.*tls.key.*version 1'
is "it was not touched" "$(sha256sum <"$key")" "$sum"
ok "no sanitizer spoke" world_sanitized_clean
done_testing || diag "$(node_logs a; node_logs b)"
[ "$TAP_FAILED" -eq 0 ]
