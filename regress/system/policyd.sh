#!/bin/bash
# policyd with keyd and a software TPM, both under their real filters and
# users: nothing acknowledged is lost, whatever is killed or full; the audit
# log tells who wrote into it.
# shellcheck source=regress/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_root
need swtpm openssl python3 unshare
for p in policyd keyd provctl; do
	[ -x "$O/bin/$p" ] || skip_all "needs $p built"
done
# a mount namespace of its own, for the disk that fills up
if [ -z "${PRIVATE_MOUNTS:-}" ]; then
	unshare -m true 2>/dev/null || skip_all "needs mount namespaces"
	PRIVATE_MOUNTS=1 exec unshare -m --propagation private "$0"
fi

workdir
users
TPM=
KEYD=
POLICYD=

finish() {
	trap - EXIT
	for p in $POLICYD $KEYD $TPM; do
		kill -9 "$p" 2>/dev/null
	done
	wait 2>/dev/null
	umount "$W/state/policyd" 2>/dev/null
	rm -rf "$W"
}
trap finish EXIT
exec 2>"$W/stderr"	# bash's word on each daemon that was killed

ctl() {
	"$O/bin/provctl" -s "$W/run/control.sock" "$@" 2>&1
}

status_has() {	# a row of the status, as a regular expression
	ctl --json status | grep -qE "$1"
}

member() {	# member ROW NAME: of standard input's first row of that kind
	python3 -c 'import json, sys
for line in sys.stdin:
    row = json.loads(line)
    if row["row"] == sys.argv[1]:
        print(row[sys.argv[2]])
        break' "$1" "$2"
}

sql() {		# on a store that nobody has open
	python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript(sys.argv[2])
db.close()' "$W/state/policyd/store.db" "$1"
}

policyd_start() {
	"$O/bin/policyd" -d -f "$W/conf" >>"$W/policyd.log" 2>&1 &
	POLICYD=$!
}

keyd_start() {
	"$O/bin/keyd" -d -f "$W/conf" >>"$W/keyd.log" 2>&1 &
	KEYD=$!
}

gone() {	# gone PID: wait for a child; its status
	wait "$1"
}

# keyd ends when policyd does; the service manager's part is played here
both_start() {
	policyd_start
	keyd_start
	await 60 whole
}

whole() {	# keyd is there and the log can be verified
	status_has '"row":"identity"|"role":"keyd","state":"ready"' &&
	    ctl audit verify
}

both_stop() {
	kill "$POLICYD"
	gone "$POLICYD"
	STATUS=$?
	gone "$KEYD"
	POLICYD=
	KEYD=
}

# A keyd that had not greeted yet would wait for the next policyd.
both_kill() {
	kill -9 "$POLICYD"
	gone "$POLICYD"
	kill "$KEYD" 2>/dev/null
	gone "$KEYD"
}

mkdir -p "$W/tpm" "$W/run" "$W/state"
swtpm socket --tpm2 --tpmstate "dir=$W/tpm" \
    --server "type=unixio,path=$W/tpm/sock,mode=0600" \
    --flags startup-clear,not-need-init >"$W/swtpm.log" 2>&1 &
TPM=$!
until [ -S "$W/tpm/sock" ]; do pause; done
cat >"$W/conf" <<EOF2
node "policyd-test" interface "lo"
run directory "$W/run"
state directory "$W/state"
key backend tpm "unix:$W/tpm/sock"
EOF2

# ---- a first start, and a clean stop

both_start; result $? "policyd and keyd start from nothing"
ok "the node has its identity" \
    await 60 status_has '"row":"node","node":"[0-9a-f]{40}"'
NODE=$(ctl --json status | member node node)
STARTED=$(ctl --json status | member node started)
nok "a second policyd does not start" \
    timeout 60 "$O/bin/policyd" -d -f "$W/conf"
like "and the first one serves on" "$(ctl --json status | member node started)" \
    "^$STARTED$"
ok "a peer is listed" ctl peer add clean --serial 01
both_stop
is "SIGTERM ends policyd with status 0" "$STATUS" 0
both_start; result $? "and again"
is "the node is who it was" "$(ctl --json status | member node node)" "$NODE"
like "the peer is still listed" "$(ctl peer list)" '^clean '
VERIFY=$(ctl --json audit verify)
ok "the clean stop left at most the start uncovered" \
    [ "$(echo "$VERIFY" | member verify uncovered)" -le 1 ]
is "the TPM's counter is the last checkpoint's" \
    "$(echo "$VERIFY" | member verify tpm_counter)" \
    "$(echo "$VERIFY" | member verify counter)"

# ---- kill -9, again and again

acked=
for ((i = 1; i <= 8; i++)); do
	for ((k = 1; k <= 3; k++)); do
		ctl peer add "n$i-$k" --serial "$i$k" >/dev/null &&
		    acked="$acked n$i-$k"
	done
	[ $((i % 4)) -ne 0 ] || kill -9 "$KEYD"
	both_kill
	policyd_start
	keyd_start
	await 60 ctl status >/dev/null
done
ok "after eight kills the audit log is whole" await 60 whole
list=$(ctl peer list)
lost=
for p in $acked; do
	echo "$list" | grep -q "^$p " || lost="$lost $p"
done
is "nothing that was acknowledged is lost" "$lost" ""
is "24 changes were acknowledged" "$(echo "$acked" | wc -w)" 24
is "the node is who it was" "$(ctl --json status | member node node)" "$NODE"
both_stop

# ---- somebody writes into the store

cp "$W/state/policyd/store.db" "$W/good.db"
store_put() {	# store_put FILE: as policyd's own
	rm -f "$W/state/policyd/store.db-wal"
	cp "$1" "$W/state/policyd/store.db"
	chown _policyd:_policyd "$W/state/policyd/store.db"
	chmod 600 "$W/state/policyd/store.db"
}

found() {	# found DESC CODE: start, verify, stop
	local out
	policyd_start
	keyd_start
	await 60 status_has '"role":"keyd","state":"ready"'
	until out=$(ctl audit verify); [ -n "${out##*IPC-016*}" ]; do pause; done
	like "$1" "$out" "$2"
	both_kill
	store_put "$W/good.db"
}

both_start; result $? "an older store: first a copy is taken, and it goes on"
ok "... with a change that is acknowledged" ctl peer add later --serial 99
both_stop
store_put "$W/good.db"
found "... then the copy is put back, and found" AUD-004
sql "UPDATE audit SET text = 'nothing happened' WHERE sequence = 9"
found "a changed record is found" AUD-001
sql "DELETE FROM audit WHERE sequence = 9"
found "a missing record is found" AUD-002
sql "DELETE FROM audit WHERE sequence > 9"
found "a log that was cut is found" 'AUD-00[37]'
sql "UPDATE checkpoint SET signature = x'3006020101020101'"
found "a forged checkpoint is found" AUD-005
store_put "$W/good.db"
sql "PRAGMA user_version = 999"
"$O/bin/policyd" -d -f "$W/conf" >"$W/newer" 2>&1
is "a store of a newer provd ends the start" $? 1
like "with its reason" "$(cat "$W/newer")" SYS-050
head -c 65536 /dev/urandom >"$W/junk"
store_put "$W/junk"
"$O/bin/policyd" -d -f "$W/conf" >"$W/newer" 2>&1
like "a file that is no store ends the start with its reason" \
    "$(cat "$W/newer")" SYS-052

# ---- a full disk

rm -f "$W/state/policyd/"* "$W/state/keyd/keys/"*
mount -t tmpfs -o size=600k,mode=0700 provd-test "$W/state/policyd"
chown _policyd:_policyd "$W/state/policyd"
kill -9 "$TPM"
wait "$TPM"
rm -rf "$W/tpm"
mkdir -p "$W/tpm"
swtpm socket --tpm2 --tpmstate "dir=$W/tpm" \
    --server "type=unixio,path=$W/tpm/sock,mode=0600" \
    --flags startup-clear,not-need-init >"$W/swtpm.log" 2>&1 &
TPM=$!
until [ -S "$W/tpm/sock" ]; do pause; done
both_start; result $? "it starts on a small disk"
ok "a peer is listed" ctl peer add before --serial 01
dd if=/dev/zero of="$W/state/policyd/fill" bs=1k >/dev/null 2>&1
acked=before
for ((i = 1; i < 200; i++)); do
	out=$(ctl peer add "full$i" --serial "$i") || break
	acked="$acked full$i"
done
gone "$POLICYD"
is "on a full disk policyd ends with status 1, to start anew" $? 1
# It was a record of its own that did not fit, and nobody had asked yet?
[[ $out =~ [A-Z]{3}-[0-9]{3} ]] || out=$(tail -n 3 "$W/policyd.log")
like "with the reason, which the change was refused for" "$out" SYS-054
gone "$KEYD"
policyd_start
keyd_start
ok "it serves on a full disk" await 60 status_has SYS-054
nok "and refuses every change" ctl peer add more --serial 55
list=$(ctl peer list)
lost=
for p in $acked; do
	echo "$list" | grep -q "^$p " || lost="$lost $p"
done
is "nothing that was acknowledged is lost" "$lost" ""
rm -f "$W/state/policyd/fill"
ok "with room again it goes on by itself" \
    await 60 ctl peer add more --serial 55
ok "and the audit log is whole" await 60 whole
like "it says how many records were not written" "$(ctl audit show)" AUD-008
both_stop

done_testing
