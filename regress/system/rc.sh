#!/bin/bash
# The rc scripts, as installed, on a system of their own: any order, in the
# background, found again without pid files. In namespaces, so that daemons of
# other tests are not seen.
. "$(dirname "$0")/lib.sh"
need_root
need unshare jq setpriv systemd-sysusers
if [ "${1:-}" != inside ]; then
	users
	exec unshare --net --pid --fork --mount-proc --kill-child -- "$0" inside
fi

workdir
trap 'rm -rf "$W"' EXIT
ip link set lo up
ok "make install" make -s -C "$TOP" O="$O" PREFIX="$W/usr" SYSCONFDIR="$W/etc" install
cat >"$W/provd.conf" <<-EOF
node "rc" interface "lo"
run directory "$W/run"
state directory "$W/state"
key backend soft
ca "rc"
listen enrol port 8443
EOF
export provd_conf=$W/provd.conf
ctl() {
	"$W/usr/bin/provctl" -f "$provd_conf" "$@"
}
rc() {
	"$W/etc/rc.d/provd_$1" "$2"
}
ready() {
	[ "$(ctl --json status | jq -rs '[.[] | select(.row == "daemon" and .role != "policyd" and .state == "ready")] | length')" = 5 ]
}

# policyd last: the others wait for it
for r in attestd_r enrold netd keyd attestd_q policyd; do
	ok "$r: configtest" rc $r configtest
	nok "$r: check says that it is down" rc $r check
	ok "$r: start returns once it is confined" rc $r start
	ok "$r: check" rc $r check
	like "$r: status" "$(rc $r status)" 'up, pid [0-9]+'
done
ok "all of them find each other" await 60 ready
like "start again starts nothing" "$(rc keyd start)" 'runs already'
old=$(rc keyd status)
ok "restart" rc keyd restart
ok "the new one is found" rc keyd check
is "and it is another one" "$([ "$old" != "$(rc keyd status)" ] && echo yes)" yes
ok "and greets policyd" await 60 ready
ok "provctl check finds nothing amiss" ctl check

# An operator needs the group, and nothing else.
as_nobody() {
	local groups=$1
	shift
	setpriv --reuid=nobody --regid=nogroup "$groups" -- "$W/usr/bin/provctl" -f "$provd_conf" "$@"
}
ok "a member of provd may look" as_nobody --groups=provd status
ok "and command" as_nobody --groups=provd peer add other --serial X-1
like "and is named in the audit log" "$(ctl audit show)" "uid $(id -u nobody): peer add"
out=$(as_nobody --clear-groups status 2>&1)
is "others may not" "$?" 3
like "and are told why" "$out" 'not permitted: operators are members of group provd'
for r in policyd attestd_r enrold netd keyd attestd_q; do
	ok "$r: stop" rc $r stop
	nok "$r: is down" rc $r check
done
like "status says so" "$(rc netd status)" 'netd: down'

# The errors of a start are seen where it was started.
echo 'nonsense' >>"$W/provd.conf"
out=$(rc keyd start 2>&1)
is "a bad configuration: start fails" "$?" 1
like "and says where" "$out" "provd.conf:7: "
sed -i '$d' "$W/provd.conf"
sed '/^listen enrol/d' "$W/provd.conf" >"$W/without.conf"
ok "without a listener enrold has nothing to do: no failure" env provd_conf="$W/without.conf" "$W/etc/rc.d/provd_enrold" start
nok "and does not run" rc enrold check
out=$(ulimit -n 500 && "$W/usr/sbin/enrold" -d -f "$provd_conf" 2>&1)
is "fewer open files than limit enrol: enrold does not start" "$?" 1
like "and says how many it needs" "$out" 'limit enrol 512 needs 576'
rm -rf "$W/run" && echo >"$W/run"
out=$(rc netd start 2>&1)
is "no directory to live in: start fails" "$?" 1
like "and says which" "$out" "$W/run"
done_testing
