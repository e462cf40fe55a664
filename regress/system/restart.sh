#!/bin/bash
# kill -9 of every daemon, while Connected and in the middle of an
# attestation: the pair comes back by itself, the store and the audit log are
# whole, and netd's connection outlives the other three.
. "$(dirname "$0")/lib.sh"
. "$TOP/regress/system/world.sh"
need_root
need ip runsv swtpm jq openssl ss

world_new
pair_wire
for n in a b; do
	node_new $n "$W/acme/root.pem"
	echo "accept root \"$W/acme/root.pem\" serial \"SN-?\"" >>"$W/$n/conf"
done
echo 'peer "b" { }' >>"$W/a/conf"
echo 'peer "a" { }' >>"$W/b/conf"
pair_start
ok "provision" await 60 ctl a provision b

connected() {
	await_peer a b connected Connected 90 && await_peer b a connected Connected 90
}
ok "Connected" connected

# The socket that the pair's connection is on: its inode stays while it lives.
connection() {
	in_ns a ss -tneH state established '( sport = :8090 or dport = :8090 )' |
	    grep -o 'ino:[0-9]*'
}

for r in keyd attestd-q attestd-r policyd; do
	before=$(connection)
	kill9 a $r
	ok "$r of a killed while Connected: a is ready again" await_ready a 120
	ok "$r: Connected" connected
	is "$r: the connection outlived it" "$(connection)" "$before"
	kill9 b $r
	ok "$r of b killed: b is ready again" await_ready b 120
	ok "$r: Connected" connected
done
kill9 a netd
ok "netd of a killed: a is ready again" await_ready a 120
ok "netd: Connected" connected
kill9 b netd
ok "netd of b killed: b is ready again" await_ready b 120
ok "netd: Connected" connected

# In the middle of an attestation: it is started without waiting, and the
# daemon dies at once.
for r in $ROLES; do
	for n in a b; do
		ctl a provision b --no-wait >/dev/null 2>&1
		kill9 $n "$r"
		ok "$r of $n killed during an attestation: ready again" await_ready $n 120
	done
	ok "$r: both trust each other" eval 'await_peer a b provisioned true && await_peer b a provisioned true'
	ok "$r: Connected" connected
done
kill9 a tpm
ok "a killed TPM: its daemons are back" await_ready a 120
ok "Connected" connected
for n in a b; do
	ok "$n: the audit log is whole" await 60 ctl $n audit verify
	node_stop $n
	is "$n: the store is whole" \
	    "$(sqlite3 "$W/$n/state/policyd/store.db" 'PRAGMA integrity_check' 2>&1)" ok
done
ok "no sanitizer spoke" world_sanitized_clean
done_testing
