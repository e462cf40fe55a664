#!/bin/bash
# Disks, stores and clocks that fail under a pair that is Connected: a full
# disk, a read-only one, a log cut by a crash, a store with damaged pages, a
# clock that steps back by years. Each has its reason; the connection stays,
# nothing acknowledged is lost, and it goes on by itself.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
. "$(dirname "$0")/../tools/storecheck.sh"
need_root
need ip runsv jq openssl ss sqlite3 unshare
plain_only "the unit tests of the store run there"
# a mount namespace of its own, for the disks
if [ -z "${PRIVATE_MOUNTS:-}" ]; then
	unshare -m true 2>/dev/null || skip_all "needs mount namespaces"
	PRIVATE_MOUNTS=1 exec unshare -m --propagation slave "$0"
fi

DEADLINE=120
world_new
pair_wire
for n in a b; do
	NODE_SHIM=1 NODE_BACKEND=soft node_new $n "$W/acme/root.pem"
	clock_shift $n 0
	cat >>"$W/$n/conf" <<-EOF2
	accept root "$W/acme/root.pem" serial "SN-?"
	audit checkpoint every 1 s
	EOF2
done
echo 'peer "b" { }' >>"$W/a/conf"
echo 'peer "a" { }' >>"$W/b/conf"
DISK=$W/b/state/policyd
mkdir "$DISK"
mount -t tmpfs -o size=2m,mode=0700 provd-test "$DISK"
chown _policyd:_policyd "$DISK"
unmount() {
	node_stop b
	umount "$DISK"
	umount "$W/b/state/keyd" 2>/dev/null
	world_end
}
trap unmount EXIT

together() {
	peer_is a b connected Connected && peer_is b a connected Connected &&
	    node_ready a && node_ready b
}
connection() {
	in_ns a ss -tneH state established \
	    '( sport = :8090 or dport = :8090 )' | grep -o 'ino:[0-9]*'
}
warns() {	# warns CODE: does b's status have it?
	ctl b --json status | grep -q "$1"
}
well() {
	ctl b --json status >"$W/status" && ! grep -q 'SYS-05[0-9]' "$W/status" && together
}
added() {	# added NAME: as an operator, acknowledged
	ctl b peer add "$1" --serial 77
}
kept() {	# kept NAME: is it still there?
	ctl b peer list | grep -q "^$1 "
}

pair_start
ok "provision" await 60 ctl a provision b
ok "Connected" await $DEADLINE together

# policyd is killed, and CMD is done before its service manager sees it
between_lives() {
	local sv p
	sv=$(cat "$W/b/service/policyd.pid")
	kill -STOP "$sv"
	p=$(pid_of b policyd)
	if [ -n "$p" ]; then
		kill -9 "$p"
		await 30 dead "$p"
	fi
	"$@"
	kill -CONT "$sv"
	await 60 started_anew b policyd "$p"
}
dead() {	# not reaped, for its parent is stopped; or gone before
	! grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null
}

# ---- a full disk

c=$(connection)
ok "a change is acknowledged" added first
dd if=/dev/zero of="$DISK/fill" bs=4k >/dev/null 2>&1
full() {
	added "full$RANDOM" >/dev/null 2>&1 && return 1
	warns SYS-054
}
ok "full disk: b refuses changes and says why" await 60 full
ok "full disk: Connected" await $DEADLINE together
is "full disk: by the same connection" "$(connection)" "$c"
kill9 b netd
ok "full disk: Connected by a new connection" await $DEADLINE together
rm "$DISK/fill"
ok "room again: b is well by itself" await 60 well
ok "room again: a change is acknowledged" await 60 added second
ok "what was acknowledged before is there" kept first
like "what was not recorded is said" "$(ctl b audit show)" AUD-008

# ---- a disk that is read-only, with what a kill left

c=$(connection)
ok "a change is acknowledged" added third
between_lives mount -o remount,ro "$DISK"
ok "read-only: there is a log beside the store" [ -s "$DISK/store.db-wal" ]
ok "read-only: b says so" await 60 warns SYS-053
ok "read-only: Connected" await $DEADLINE together
is "read-only: by the same connection" "$(connection)" "$c"
ok "read-only: the last change is there" kept third
nok "read-only: no change is taken" added no
mount -o remount,rw "$DISK"
ok "writable again: b is well by itself" await 60 well
ok "writable again: a change is acknowledged" await 60 added fourth
nok "the one that was refused is not there" kept no
ok "the audit log is whole" await 60 ctl b audit verify

# ---- all of the state directory is read-only: keyd's socket cannot be made

KEYD=$W/b/state/keyd
read_only() {
	: >"$W/b/log/policyd"
	mount --bind "$KEYD" "$KEYD" && mount -o remount,bind,ro "$KEYD"
}
waits() {
	grep -q 'hub.sock: SYS-053' "$W/b/log/policyd"
}
c=$(connection)
between_lives read_only
ok "no socket can be made: policyd says why" await 60 waits
is "no socket can be made: a is still Connected" \
    "$(peer_field a b connected)" Connected
is "no socket can be made: by the same connection" "$(connection)" "$c"
mount -o remount,bind,rw "$KEYD"
ok "writable again: b is well by itself" await 60 well

# ---- a log that a crash cut

cut_log() {
	truncate -s $(($(stat -c %s "$DISK/store.db-wal") * 2 / 3)) "$DISK/store.db-wal"
}
between_lives cut_log
ok "a log that was cut: Connected" await $DEADLINE together
store_copy b
is "a log that was cut: the store is whole" \
    "$(store_sql b 'PRAGMA integrity_check')" ok
ok "a log that was cut: a change is acknowledged" await 60 added fifth

# ---- damaged pages: nobody can mend them, and nobody takes them for nothing

c=$(connection)
damage() {	# a table's root page is junk, and there is no log over it
	local page
	sqlite3 "$DISK/store.db" 'PRAGMA journal_mode = DELETE' >/dev/null
	cp "$DISK/store.db" "$W/good.db"
	page=$(sqlite3 "$DISK/store.db" \
	    "SELECT rootpage FROM sqlite_schema WHERE name = 'evidence'")
	dd if=/dev/urandom of="$DISK/store.db" bs=4096 count=1 \
	    seek=$((page - 1)) conv=notrunc 2>/dev/null
}
: >"$W/b/log/policyd"
between_lives damage
ended() {
	grep -q 'SYS-052.*Restore' "$W/b/log/policyd"
}
ok "a damaged page: policyd says so and ends" await 60 ended
is "a damaged page: a is still Connected" "$(peer_field a b connected)" Connected
is "a damaged page: by the same connection" "$(connection)" "$c"
restore() {
	cp "$W/good.db" "$DISK/store.db"
	chown _policyd:_policyd "$DISK/store.db"
}
between_lives restore
ok "a copy is put in its place: Connected" await $DEADLINE together
ok "what was acknowledged is there" kept fifth

# ---- a clock that steps back, far beyond every certificate's date

clock_is_unset() {
	ctl a --json status | jq -es 'flatten | any(.row == "clock" and .unset)' >/dev/null
}
clock_shift a $((-20 * 365 * 86400)) step
ok "twenty years back: a says that its clock is unset" await 60 clock_is_unset
kill9 a netd
ok "twenty years back: Connected by a new connection" await $DEADLINE together
clock_shift a 0 step
set_again() {
	! clock_is_unset
}
ok "the clock is right again" await 60 set_again
ok "Connected" await $DEADLINE together
for n in a b; do
	ok "$n: the audit log is whole" await 60 ctl $n audit verify
done
ok "no sanitizer spoke" world_sanitized_clean
done_testing || diag "$(node_logs a; node_logs b)"
[ "$TAP_FAILED" -eq 0 ]
